"""The low-pass filter of StyleGAN2 and resampling with it."""

from __future__ import annotations

from functools import lru_cache

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


@lru_cache(maxsize=16)
def _folding(gain: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The linear map [9, 36] from a 3x3 kernel to its full convolution with the low-pass filter times `gain`."""
    with torch.inference_mode(False), torch.no_grad():  # kept, so it must be fit for gradients whoever asks first
        units = torch.eye(9, dtype=dtype, device=device).view(9, 1, 3, 3)
        return F.conv2d(units, lowpass(units, gain)[None, None], padding=3).view(9, 36)


def fold(weight: Tensor, gain: float) -> Tensor:
    """The full 2-D convolution of weight [O, I, 3, 3] with the low-pass filter times `gain`: [O, I, 6, 6].

    As one matrix product: a convolution of thousands of 3x3 images costs more, with its gradient, than all the layer's own work.
    """
    return (weight.flatten(2) @ _folding(gain, weight.dtype, weight.device)).unflatten(2, (6, 6))


def fold_point(weight: Tensor, gain: float = 1.0) -> Tensor:
    """The low-pass filter times `gain` followed by a 1x1 convolution, weight [O, I, 1, 1], as one kernel [O, I, 4, 4]."""
    return weight * lowpass(weight, gain)


def fold_up(weight: Tensor) -> Tensor:
    """The four 3x3 phase kernels of an up-sampling 3x3 convolution, [4 O, I, 3, 3], channel order o * 4 + 2 a + b."""
    folded = fold(weight, 4.0).flip((-2, -1))  # flipped, so that the taps a + 4, a + 2, a are a strided view
    phases = [folded[..., 1 - a :: 2, 1 - b :: 2] for a in (0, 1) for b in (0, 1)]
    return torch.stack(phases, dim=1).flatten(0, 1)
