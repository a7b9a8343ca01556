"""Augmented views: the same picture a little differently framed, blurred or lit, so that a model judges what it shows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def vary(frames: Tensor, rng: torch.Generator, strength: float = 1.0) -> Tensor:
    """Frames [N, 3, H, W] in [-1, 1] a little shifted and scaled, blurred, noisy, brighter or darker; colours keep their hue."""
    n, _, height, width = frames.shape

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, 1, 1, 1, generator=rng) * (high - low) + low

    scale = 1 + strength * uniform(-0.08, 0.08)
    shift = strength * torch.cat([uniform(-0.07, 0.07), uniform(-0.07, 0.07)], dim=1)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = scale.view(n), scale.view(n), shift.view(n, 2)
    grid = F.affine_grid(theta, [n, 3, height, width], align_corners=False)
    frames = F.grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=False)
    blurred = F.avg_pool2d(F.pad(frames, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    frames = torch.lerp(frames, blurred, strength * uniform(-0.5, 0.9))  # negative: sharpened
    frames = frames * (1 + strength * uniform(-0.1, 0.1)) + strength * uniform(-0.06, 0.06)
    noise = torch.randn(frames.shape, generator=rng)
    return frames + noise * (strength * uniform(0, 0.06))
