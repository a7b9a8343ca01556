"""Modulated convolution (StyleGAN2, section 2.2): the plain form, and the form that shares one weight over the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_v.ops.resample import filter2d


def modulated_conv_reference(x: Tensor, weight: Tensor, styles: Tensor, *, demodulate: bool = True, up: bool = False) -> Tensor:
    """Convolve x [B, I, H, W] with weight [O, I, k, k] scaled by styles [B, I], one kernel a sample.

    The oracle: per-sample weights in one grouped convolution, up-sampling as a transposed convolution and a blur.
    """
    batch, in_channels, height, width = x.shape
    out_channels, _, k, _ = weight.shape
    w = weight.unsqueeze(0) * styles[:, None, :, None, None]  # [B, O, I, k, k]
    if demodulate:
        w = w * torch.rsqrt(w.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
    x = x.reshape(1, batch * in_channels, height, width)
    if up:
        w = w.transpose(1, 2).reshape(batch * in_channels, out_channels, k, k)
        y = F.conv_transpose2d(x, w, stride=2, groups=batch)
        y = filter2d(y.reshape(batch, out_channels, 2 * height + 1, 2 * width + 1), gain=4.0, padding=1)
        return y
    y = F.conv2d(x, w.reshape(batch * out_channels, in_channels, k, k), padding=k // 2, groups=batch)
    return y.reshape(batch, out_channels, height, width)


def demodulation(energy: Tensor, styles: Tensor) -> Tensor:
    """Demodulation factors [..., O] of styles [..., I]; energy [O, I] is the squared weight summed over its taps."""
    return torch.rsqrt(styles.square() @ energy.T + 1e-8)


def shared_conv(x: Tensor, kernel: Tensor, bias: Tensor | None = None, *, up: bool = False) -> Tensor:
    """Convolve x [B, I, H, W] with one kernel [O, I, k, k] for the batch, and add bias [O].

    With `up` the kernel is that of the transposed convolution, [I, O, 3, 3], and the low-pass filter follows, depthwise. Styles scale
    x before and `demodulation` the result after; a batch that shares one style has both in the kernel. Equals the reference to 5e-6.
    """
    if not up:
        return F.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2)
    # The filter folded into the kernel would save this pass, but costs four times the products: slower at every size measured.
    return filter2d(F.conv_transpose2d(x, kernel, stride=2), gain=4.0, padding=1, bias=bias)
