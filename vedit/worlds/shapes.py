"""Soft-edged shapes for the procedural worlds: signed distances, bumps, ramps and colours, all elementwise tensor code.

Lengths are fractions of the frame, `y` downwards. A signed distance is negative inside its shape; `coverage` turns it into
an alpha whose edge is one pixel wide, which is the antialiasing.
"""

from __future__ import annotations

import torch
from torch import Tensor

Number = float | Tensor


def pixel_centres(size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel centres x [1, 1, size] and y [1, size, 1] in fractions of the frame, with the dtype and device of `like`."""
    centres = (torch.arange(size, dtype=like.dtype, device=like.device) + 0.5) / size
    return centres.view(1, 1, size), centres.view(1, size, 1)


def coverage(distance: Tensor, softness: Number) -> Tensor:
    """Alpha in [0, 1] of a signed distance, with an edge `softness` wide (one pixel for a sharp edge)."""
    return (0.5 - distance / softness).clamp_(0, 1)


def ellipse(x: Tensor, y: Tensor, rx: Number, ry: Number) -> Tensor:
    """First-order signed distance (f / |grad f|) to the ellipse with half axes rx, ry around 0; exact on its edge."""
    xx, yy = (x / rx).square(), (y / ry).square()
    slope = (xx / rx**2 + yy / ry**2).add_(1e-6).rsqrt_()
    return (xx + yy).sub_(1).mul_(slope).mul_(0.5)


def bump(x: Tensor, y: Tensor, rx: Number, ry: Number) -> Tensor:
    """Soft spot (1 - x²/rx² - y²/ry²)² around 0, zero outside the ellipse: shading with no visible edge."""
    return ((x / rx).square() + (y / ry).square()).neg_().add_(1).clamp_(min=0).square_()


def stroke(x: Tensor, offset: Tensor, half_length: Number, half_width: Number) -> Tensor:
    """Soft line: `offset` is the distance across it, `x` the position along it; fades towards both ends and edges."""
    across = (offset / half_width).square().neg_().add_(1).clamp_(min=0)
    return across.mul_((x / half_length).square().neg_().add_(1).clamp_(min=0))


def smoothstep(x: Tensor, low: float, high: float) -> Tensor:
    """0 below `low`, 1 above `high`, a cubic with flat ends between."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def opponent_rgb(light: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """RGB [..., 3] in (0, 1) of lightness and the opponents a (red - green) and b (yellow - blue), softly clamped."""
    rgb = torch.stack([light + 0.5 * a + 0.2 * b, light - 0.35 * a + 0.2 * b, light + 0.1 * a - 0.6 * b], dim=-1)
    return 0.5 + 0.5 * torch.tanh(2.3 * (rgb - 0.5))


def mix(first: Tensor, second: Tensor, amount: Number) -> Tensor:
    """The way from `first` (amount 0) to `second` (amount 1)."""
    return first + (second - first) * amount
