"""The equalised layers of StyleGAN2: weights are stored at unit variance and scaled when used."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_v.ops.resample import filter2d

SLOPE = 0.2
GAIN = math.sqrt(2)


def activate(x: Tensor, gain: float = 1.0, clamp: float | None = None) -> Tensor:
    """Leaky ReLU times sqrt(2) times `gain`, then a clamp to ± clamp * gain."""
    x = F.leaky_relu(x, SLOPE) * (GAIN * gain)
    return x if clamp is None else x.clamp(-clamp * gain, clamp * gain)


def normalise(x: Tensor) -> Tensor:
    """Scale the rows of x [N, D] to unit second moment."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class Linear(nn.Module):
    """y = x W' + b with W' = weight * lr_multiplier / sqrt(in); weights are stored divided by lr_multiplier."""

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool = True, bias_init: float = 0.0, lr_multiplier: float = 1.0, act: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init)) if bias else None
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """Map x [..., in] to [..., out]."""
        bias = None if self.bias is None else self.bias * self.bias_gain
        y = F.linear(x, self.weight * self.weight_gain, bias)
        return activate(y) if self.act else y


class Conv1d(nn.Module):
    """Unpadded convolution over motion codes, leaky ReLU *without* the sqrt(2)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, lr_multiplier: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size) / lr_multiplier)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.weight_gain = lr_multiplier / math.sqrt(in_channels * kernel_size)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """Map x [N, in, M] to [N, out, M - k + 1]."""
        return F.leaky_relu(F.conv1d(x, self.weight * self.weight_gain, self.bias * self.bias_gain), SLOPE)


class Conv2d(nn.Module):
    """The discriminator's convolution, optionally halving the size, with both ways to do so."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, bias: bool = True, down: bool = False, act: bool = True, clamp: float | None = None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)
        self.kernel_size, self.down, self.act, self.clamp = kernel_size, down, act, clamp

    def forward(self, x: Tensor, gain: float = 1.0, path: str = "fast") -> Tensor:
        """Map x [B, in, H, W] to [B, out, H', W']; `gain` scales the result and the clamp."""
        if path == "reference":
            return self._reference(x, gain)
        # Every gain is linear up to the leaky ReLU, which is homogeneous: scale the small weight, not the large map.
        total = gain * (GAIN if self.act else 1.0)
        weight = self.weight * (self.weight_gain * total)
        bias = None if self.bias is None else (self.bias * total).to(x.dtype)
        weight = weight.to(x.dtype).contiguous(memory_format=torch.channels_last)
        if not self.down:
            y = F.conv2d(x, weight, bias, padding=self.kernel_size // 2)
        elif self.kernel_size == 1:
            y = F.conv2d(filter2d(x, padding=1, stride=2), weight, bias)
        else:
            y = F.conv2d(filter2d(x, padding=2), weight, bias, stride=2)
        y = F.leaky_relu(y, SLOPE) if self.act else y
        return y if self.clamp is None or not self.act else y.clamp(-self.clamp * gain, self.clamp * gain)

    def _reference(self, x: Tensor, gain: float) -> Tensor:
        weight = self.weight * self.weight_gain
        if self.down and self.kernel_size == 1:
            y = F.conv2d(filter2d(x, padding=1, stride=2), weight)
        elif self.down:
            y = F.conv2d(filter2d(x, padding=2), weight, stride=2)
        else:
            y = F.conv2d(x, weight, padding=self.kernel_size // 2)
        if self.bias is not None:
            y = y + self.bias[:, None, None]
        return activate(y, gain, self.clamp) if self.act else y * gain
