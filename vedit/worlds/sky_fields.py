"""Fixed smooth fields from which skies are drawn: heaps of cloud puffs, ridge lines, stars. Nothing here is random at run time.

A cloud field is a sum of round puffs that drift as rigid heaps: any size is exact, nothing is finer than a generator of 64 x 64
pixels can draw, and where a cloud stands is a plain function of a few numbers, as a generator has to learn it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

BANKS = 5  # cumulus banks, each a heap of PUFFS round puffs
PUFFS = 9


def _scatter(count: int, seed: float) -> Tensor:
    """`count` numbers spread over (-1, 1), the same on every machine (torch's own generator promises that less)."""
    values = [math.sin(12.9898 * (i + 1) + 78.233 * seed) * 4375.8545 for i in range(count)]
    return torch.tensor([2 * (v - math.floor(v)) - 1 for v in values])


@lru_cache(maxsize=1)
def _heaps() -> Tensor:
    """Puffs [4, BANKS, PUFFS]: offset to the right and up from the bank's foot, radius, and a sign that morphs swell or shrink them by."""
    x = _scatter(BANKS * PUFFS, 0.37).view(BANKS, PUFFS) * 0.08 + torch.linspace(-0.36, 0.36, PUFFS)
    middle = 1 - (x / 0.44).square()
    up = (0.55 + 0.45 * _scatter(BANKS * PUFFS, 1.9).view(BANKS, PUFFS)) * 0.20 * middle
    radius = (0.075 + 0.065 * middle) * (1 + 0.25 * _scatter(BANKS * PUFFS, 3.3).view(BANKS, PUFFS))
    return torch.stack([x, up, radius, _scatter(BANKS * PUFFS, 5.1).view(BANKS, PUFFS)])


@dataclass(frozen=True)
class Puffs:
    """All puffs of a frame: centres x and up, radii along both, and heights, each [F, BANKS · PUFFS]."""

    x: Tensor
    up: Tensor
    wide: Tensor
    high: Tensor
    weight: Tensor

    @staticmethod
    def of(shapes: Tensor, drift: Tensor, morph: Tensor, streak: Tensor) -> Puffs:
        """Banks shifted by shapes [F, 4] and drift [F, 2] (right, up), swollen by morph [F, 2], drawn out by streak [F, 1] in [0, 1]."""
        heaps = _heaps().to(shapes)
        first, second = [0, 1, 2, 3, 0], [1, 2, 3, 0, 2]
        foot_x = shapes.new_tensor([-1.05, -0.5, 0.05, 0.55, 1.1]) + 0.26 * shapes[:, first] + drift[:, :1]
        foot_up = shapes.new_tensor([0.50, 0.88, 0.30, 0.70, 0.45]) + 0.10 * shapes[:, second] + drift[:, 1:]
        scale = (0.70 + 0.55 * foot_up)[:, :, None]  # what is higher up is nearer
        out = 1 + 1.5 * streak[:, :, None].square()
        flat = 1 - 0.45 * streak[:, :, None]
        swell = 1 + 0.55 * heaps[3] * morph[:, [0, 1, 0, 1, 0], None]
        x = foot_x[:, :, None] + heaps[0] * scale * out
        up = foot_up[:, :, None] + heaps[1] * scale * flat
        radius = heaps[2] * scale
        return Puffs(*(part.flatten(1) for part in (x, up, radius * out, radius * flat, swell.expand_as(x))))

    def field(self, x: Tensor, up: Tensor) -> Tensor:
        """Their sum [F, H, W], a smooth heap of about 1 to 3 within a bank, at columns x [1 or F, W] and heights up [F, H]."""
        columns = torch.exp(-((x[:, None, :] - self.x[:, :, None]) / self.wide[:, :, None]).square())
        rows = torch.exp(-((up[:, None, :] - self.up[:, :, None]) / self.high[:, :, None]).square())
        return (rows * self.weight[:, :, None]).transpose(1, 2) @ columns


def ridge(x: Tensor, shape: Tensor, layer: int) -> Tensor:
    """Height [N, W] in about [0, 1] of a mountain line at x [N, W] with shape [N, 3] in [-1, 1]."""
    frequencies = ((1.9, 3.1, 4.6), (1.6, 3.7, 5.2))[layer]
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
