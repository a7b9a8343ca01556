"""The low-pass filter of StyleGAN2 and resampling with it."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


def lowpass(like: Tensor, gain: float = 1.0) -> Tensor:
    """The filter outer([1,3,3,1], [1,3,3,1]) / 64 times `gain`, [4, 4], on the device and in the type of `like`."""
    return _lowpass(gain, like.dtype, like.device)


@lru_cache(maxsize=32)
def _lowpass(gain: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():  # kept, so it must be fit for gradients whoever asks first
        tap = torch.tensor([1.0, 3.0, 3.0, 1.0], device=device, dtype=dtype)
        return torch.outer(tap, tap) * (gain / 64)


def filter2d(x: Tensor, gain: float = 1.0, padding: int = 0, stride: int = 1, bias: Tensor | None = None) -> Tensor:
    """Low-pass every channel of x [B, C, H, W] (the filter is symmetric, so correlation is convolution), and add bias [C]."""
    channels = x.shape[1]
    kernel = lowpass(x, gain).expand(channels, 1, 4, 4)
    return F.conv2d(x, kernel, bias, padding=padding, stride=stride, groups=channels)


def upsample_image(x: Tensor) -> Tensor:
    """Double the size of x [B, C, H, W]: zeros in between, then the low-pass filter times 4."""
    channels = x.shape[1]
    return F.conv_transpose2d(x, lowpass(x, 4.0).expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels)
