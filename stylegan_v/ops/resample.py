"""The low-pass filter of StyleGAN2 and resampling with it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def lowpass(like: Tensor, gain: float = 1.0) -> Tensor:
    """The filter outer([1,3,3,1], [1,3,3,1]) / 64 times `gain`, [4, 4], on the device and in the type of `like`."""
    tap = torch.tensor([1.0, 3.0, 3.0, 1.0], device=like.device, dtype=like.dtype)
    return torch.outer(tap, tap) * (gain / 64)


def filter2d(x: Tensor, gain: float = 1.0, padding: int = 0, stride: int = 1) -> Tensor:
    """Low-pass every channel of x [B, C, H, W] (the filter is symmetric, so correlation is convolution)."""
    channels = x.shape[1]
    kernel = lowpass(x, gain).expand(channels, 1, 4, 4)
    return F.conv2d(x, kernel, padding=padding, stride=stride, groups=channels)


def upsample_image(x: Tensor) -> Tensor:
    """Double the size of x [B, C, H, W]: zeros in between, then the low-pass filter times 4."""
    channels = x.shape[1]
    return F.conv_transpose2d(x, lowpass(x, 4.0).expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels)


def fold(weight: Tensor, gain: float) -> Tensor:
    """The full 2-D convolution of weight [O, I, 3, 3] with the low-pass filter times `gain`: [O, I, 6, 6]."""
    out_channels, in_channels = weight.shape[:2]
    flat = weight.reshape(out_channels * in_channels, 1, 3, 3)
    folded = F.conv2d(flat, lowpass(weight, gain).expand(1, 1, 4, 4), padding=3)
    return folded.reshape(out_channels, in_channels, 6, 6)


def fold_up(weight: Tensor) -> Tensor:
    """The four 3x3 phase kernels of an up-sampling 3x3 convolution, [4 O, I, 3, 3], channel order o * 4 + 2 a + b."""
    folded = fold(weight, 4.0).flip((-2, -1))  # flipped, so that the taps a + 4, a + 2, a are a strided view
    phases = [folded[..., 1 - a :: 2, 1 - b :: 2] for a in (0, 1) for b in (0, 1)]
    return torch.stack(phases, dim=1).flatten(0, 1)
