"""Distorted copies of frames, for rank correlations between distances: blurs, noises, shifts, colour changes, JPEG."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from vedit.pixels import from_pixels, to_pixels


def uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * torch.rand(1, generator=rng).item()


def log_uniform(rng: torch.Generator, low: float, high: float) -> float:
    return math.exp(uniform(rng, math.log(low), math.log(high)))


def blurred(frame: Tensor, sigma: float) -> Tensor:
    """Frame [1, 3, H, W] under a Gaussian of `sigma` pixels."""
    reach = max(1, round(3 * sigma))
    line = torch.exp(-(torch.arange(-reach, reach + 1) / sigma).square() / 2)
    kernel = torch.outer(line, line) / line.sum() ** 2
    padded = functional.pad(frame, (reach,) * 4, mode="reflect")
    return functional.conv2d(padded, kernel.expand(3, 1, -1, -1), groups=3)


def noisy(frame: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Frame under white, grey or blotchy noise of that standard deviation."""
    kind = int(torch.randint(3, (1,), generator=rng))
    size = frame.shape[2:]
    if kind == 2:
        coarse = torch.randn(1, 3, 12, 12, generator=rng)
        return frame + strength * functional.interpolate(coarse, size=size, mode="bicubic")
    return frame + strength * torch.randn(1, 3 if kind == 0 else 1, *size, generator=rng)


def shifted(frame: Tensor, pixels: float, rng: torch.Generator) -> Tensor:
    """Frame moved as a whole, or bent, by about that many pixels."""
    grid = functional.affine_grid(torch.eye(2, 3)[None], [1, 1, *frame.shape[2:]], align_corners=False)
    bend = torch.randn(1, 2, 5, 5, generator=rng)
    if torch.rand(1, generator=rng) < 0.5:
        bend = bend[:, :, :1, :1]
    move = functional.interpolate(bend, size=frame.shape[2:], mode="bilinear").permute(0, 2, 3, 1)
    place = grid + move * pixels * 2 / frame.shape[3]
    return functional.grid_sample(frame, place, mode="bicubic", padding_mode="reflection", align_corners=False)


def recoloured(frame: Tensor, rng: torch.Generator) -> Tensor:
    """Frame with another brightness, contrast, saturation, tint or gamma."""
    kind = int(torch.randint(5, (1,), generator=rng))
    if kind == 0:
        return frame + uniform(rng, -0.5, 0.5)
    if kind == 1:
        return frame.mean() + (frame - frame.mean()) * log_uniform(rng, 0.4, 2)
    if kind == 2:
        grey = frame.mean(dim=1, keepdim=True)
        return grey + (frame - grey) * uniform(rng, -0.2, 2.2)
    if kind == 3:
        return frame + torch.randn(1, 3, 1, 1, generator=rng) * log_uniform(rng, 0.03, 0.4)
    return ((frame + 1) / 2).clamp(1e-4, 1) ** log_uniform(rng, 0.45, 2.2) * 2 - 1


def compressed(frame: Tensor, quality: int) -> Tensor:
    """Frame as JPEG leaves it."""
    file = io.BytesIO()
    Image.fromarray(to_pixels(frame)[0].numpy()).save(file, "JPEG", quality=quality)
    return from_pixels(np.array(Image.open(file)))[None]


KINDS = ("blur", "noise", "shift", "colour", "jpeg")


def distorted(frame: Tensor, kind: str, rng: torch.Generator) -> Tensor:
    """Frame [1, 3, H, W] in [-1, 1] under one of KINDS, its strength drawn over a wide range."""
    result = {
        "blur": lambda: blurred(frame, log_uniform(rng, 0.4, 4)),
        "noise": lambda: noisy(frame, log_uniform(rng, 0.02, 0.6), rng),
        "shift": lambda: shifted(frame, log_uniform(rng, 0.2, 5), rng),
        "colour": lambda: recoloured(frame, rng),
        "jpeg": lambda: compressed(frame, int(uniform(rng, 5, 95))),
    }[kind]()
    return result.clamp(-1, 1)
