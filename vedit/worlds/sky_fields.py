"""Fixed smooth fields from which skies are drawn: cloud waves, ridge lines, stars. Nothing here is random at run time.

A cloud field is a short Fourier sum whose coefficients are mixed from fixed tables, so a frame costs two small matrix
products, any size is exact, and nothing is finer than a generator of 64 x 64 pixels can draw.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

HARMONICS = 12
PERIOD = 4.0  # of the cloud fields, in units of half the image's width
MIX = 7  # tables mixed into one field: one always there, four shapes, two morphs


def smoothstep(x: Tensor, low: float, high: float) -> Tensor:
    """0 below `low`, 1 above `high`, a cubic between."""
    x = ((x - low) / (high - low)).clamp(0, 1)
    return x * x * (3 - 2 * x)


def _scatter(count: int, seed: float) -> Tensor:
    """`count` numbers spread over (-1, 1), the same on every machine (torch's own generator promises that less)."""
    values = [math.sin(12.9898 * (i + 1) + 78.233 * seed) * 4375.8545 for i in range(count)]
    return torch.tensor([2 * (v - math.floor(v)) - 1 for v in values])


def _wave_numbers() -> Tensor:
    """Wave numbers [2 H + 1] of the rows that `waves` returns: constant, H cosines, H sines."""
    k = torch.arange(1, HARMONICS + 1, dtype=torch.float32)
    return torch.cat([torch.zeros(1), k, k])


@lru_cache(maxsize=1)
def _tables() -> Tensor:
    """Coefficients [2, MIX, 2 H + 1, 2 H + 1] of a coarse field (where clouds are) and a finer one (their puffs)."""
    k = _wave_numbers()
    radius = (k[:, None].square() + k[None, :].square()).sqrt()
    coarse = torch.exp(-((radius - 2.0) / 2.6).square()) * (radius >= 1) / (0.6 + radius)
    fine = torch.exp(-((radius - 8.0) / 2.4).square()) * (radius <= HARMONICS + 0.5)
    side = len(k)
    raw = _scatter(2 * MIX * side * side, 0.37).view(2, MIX, side, side)
    tables = raw * torch.stack([coarse, fine])[:, None]
    return tables / tables.square().sum((2, 3), keepdim=True).sqrt()


def waves(position: Tensor) -> Tensor:
    """Waves [N, S, 2 H + 1] at positions [N, S]."""
    k = torch.arange(1, HARMONICS + 1, device=position.device, dtype=position.dtype)
    phase = position.unsqueeze(-1) * (k * (2 * math.pi / PERIOD))
    return torch.cat([torch.ones_like(position).unsqueeze(-1), phase.cos(), phase.sin()], dim=-1)


def mixed(weights: Tensor, streak: Tensor) -> Tensor:
    """Coefficients [2, N, 2 H + 1, 2 H + 1] of two fields of about unit variance: weights [N, MIX], streak [N] in [0, 1]."""
    tables = _tables().to(weights)
    mix = torch.einsum("nm,fmab->fnab", weights, tables)
    k = _wave_numbers().to(weights)
    mix = mix * torch.exp(-streak[:, None, None] * k.square() / 8.0)  # streaks vary slowly along x
    return mix * 2 * torch.rsqrt(mix.square().sum((2, 3), keepdim=True) + 1e-8)


def field(coefficients: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The fields [..., N, H, W] with coefficients [..., N, K, K] at columns x [N, W] and rows y [N, H]."""
    return waves(y) @ coefficients @ waves(x).transpose(-1, -2)


def ridge(x: Tensor, shape: Tensor, layer: int) -> Tensor:
    """Height [N, W] in about [0, 1] of a mountain line at x [N, W] with shape [N, 3] in [-1, 1]."""
    frequencies = ((2.1, 3.4, 5.6), (1.7, 4.3, 6.5))[layer]
    phases = ((0.4, 2.1, 4.4), (3.3, 0.2, 1.6))[layer]
    total = torch.zeros_like(x)
    for i, (frequency, phase) in enumerate(zip(frequencies, phases, strict=True)):
        arc = torch.sin(frequency * x + phase + 1.3 * shape[:, i : i + 1])
        # The rounded fold of a sine gives peaks and valleys instead of waves.
        total = total + (1 - torch.sqrt(arc.square() + 0.02)) * (0.5, 0.3, 0.2)[i] * (1 + 0.5 * shape[:, (i + 1) % 3].unsqueeze(1))
    return (total * 1.15).clamp(0, 1.3)


@lru_cache(maxsize=8)
def stars(size: int) -> Tensor:
    """Brightness [size, size] in [0, 1] of some fixed stars, round dots of at least one pixel and a half."""
    count = 46
    cx, cy, magnitude = _scatter(count, 1.1), _scatter(count, 2.7), 0.7 + 0.3 * _scatter(count, 4.9)
    grid = pixel_centres(size)
    spread = max(0.011, 1.5 / size)
    gx = torch.exp(-((grid[None, :] - cx[:, None]) / spread).square())
    gy = torch.exp(-((grid[None, :] - cy[:, None]) / spread).square())
    return torch.einsum("s,sy,sx->yx", magnitude, gy, gx).clamp(max=1)


def pixel_centres(size: int) -> Tensor:
    """Coordinates [size] of pixel centres in (-1, 1)."""
    return (torch.arange(size, dtype=torch.float32) + 0.5) * (2 / size) - 1
