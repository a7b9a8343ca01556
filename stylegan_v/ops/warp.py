"""Affine maps of mirrored images, without aliasing, differentiable as often as one likes by the image.

An image is thought to go on for ever, mirrored at the centres of its outermost pixels. It is doubled in size through a low-pass filter,
read by bilinear interpolation at twice the density of the result, low-passed again and halved (Karras et al. 2020, Training GANs with
limited data, appendix B). The filter has the gain of the paper's, the orthogonal wavelet sym6, but is symmetric: the doubled image is
then mirrored too, and nothing has to be padded however far a map reaches.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

MOMENTS = 6  # zeros of the filter at half the sampling rate, sym6's number
REACH = 10  # taps of the filter on either side
LEAST = 8  # the smallest image: the filter's reach at both ends has to be there to be mirrored
BILINEAR, REFLECTION = 0, 2  # names of grid_sampler_2d for its modes


def warp(x: Tensor, inverse: Tensor) -> Tensor:
    """Move x [N, C, S, S] by affine maps given by their inverses [N, 2, 3], in pixels from the image's centre, x right and y down.

    The result at a place p is the image at `inverse @ (p, 1)`. S ≥ 8. Gradients, of any order, go to x alone. On CUDA the
    gradient adds in an order of its own, so its last digit varies from run to run.
    """
    size = x.shape[-1]
    tile = _double(_double(x, 2), 3)  # [N, C, 2 S - 1, 2 S - 1], mirrored beyond
    half = (size - 1) / 2
    places = (torch.arange(-REACH, 2 * size - 1 + REACH, dtype=torch.float64) / 2 - half) / half
    matrix = inverse.double().cpu().clone()
    matrix[:, :, 2] /= half
    matrix, places = (value.to(x.device, x.dtype) for value in (matrix, places))
    across = matrix[:, None, None, :, 0] * places[:, None]  # [N, 1, F, 2]
    along = matrix[:, None, None, :, 1] * places[:, None, None]  # [N, F, 1, 2]
    fine = _Read.apply(tile, across + along + matrix[:, None, None, :, 2])
    return _halve(_halve(fine, 2), 3)


def move_lattice(x: Tensor, inverse: Tensor) -> Tensor:
    """The same as `warp` for maps that send pixels to pixels (flips, quarter turns, whole shifts), to the bit and without filters."""
    size = x.shape[-1]
    places = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    turned = inverse[:, 0, 0].abs() < 0.5  # [N]: the columns come from rows
    slope_x = torch.where(turned, inverse[:, 0, 1], inverse[:, 0, 0])
    slope_y = torch.where(turned, inverse[:, 1, 0], inverse[:, 1, 1])
    from_x = mirrored(slope_x[:, None] * places + inverse[:, 0, 2, None] + (size - 1) / 2, size)
    from_y = mirrored(slope_y[:, None] * places + inverse[:, 1, 2, None] + (size - 1) / 2, size)
    rows = torch.where(turned[:, None], from_x, from_y).to(x.device)
    columns = torch.where(turned[:, None], from_y, from_x).to(x.device)
    x = torch.where(turned.to(x.device)[:, None, None, None], x.transpose(2, 3), x)
    x = x.gather(2, rows[:, None, :, None].expand_as(x))
    return x.gather(3, columns[:, None, None, :].expand_as(x))


def mirrored(index: Tensor, size: int) -> Tensor:
    """Whole numbers folded into 0 … size - 1 as in an endless corridor of mirrors.

    >>> mirrored(torch.tensor([-2.0, 0.0, 3.0, 4.0, 5.0, 6.0, 7.0]), 4).tolist()
    [2, 0, 3, 2, 1, 0, 1]
    """
    period = 2 * (size - 1)
    index = index.round().long() % period
    return torch.minimum(index, period - index)


@lru_cache(maxsize=1)
def half_band() -> tuple[float, ...]:
    """A symmetric low-pass filter of 21 taps, sum 1, with the gain of the wavelet sym6 and no phase.

    That gain is the root of (1 - y)⁶ Σ C(5 + k, k) yᵏ with y = sin²(ω/2), k = 0 … 5: smooth, so its series falls below 10⁻⁴ after eight
    terms. Doubled and halved by it, any image comes back to within 10⁻⁴ of its largest value.
    """
    angles = torch.arange(1024, dtype=torch.float64) * (2 * math.pi / 1024)
    y = (angles / 2).sin().square()
    power = (1 - y) ** MOMENTS * sum(math.comb(MOMENTS - 1 + k, k) * y**k for k in range(MOMENTS))
    taps = torch.stack([(power.sqrt() * (angles * k).cos()).mean() for k in range(-REACH, REACH + 1)])
    return tuple((taps / taps.sum()).tolist())


def _kernel(x: Tensor, dim: int, gain: float = 1.0) -> Tensor:
    shape = (1, 1, -1, 1) if dim == 2 else (1, 1, 1, -1)
    return (torch.tensor(half_band(), dtype=torch.float64) * gain).to(x.device, x.dtype).reshape(shape)


def _double(x: Tensor, dim: int) -> Tensor:
    """S → 2 S - 1 along `dim`: what lies between the first and the last pixel of the mirrored image."""
    size, margin = x.shape[dim], REACH // 2
    before = x.narrow(dim, 1, margin).flip(dim)
    after = x.narrow(dim, size - 1 - margin, margin).flip(dim)
    x = torch.cat([before, x, after], dim=dim)  # the copies are added up in a fixed order when gradients come back
    stride = (2, 1) if dim == 2 else (1, 2)
    y = F.conv_transpose2d(x.flatten(0, 1).unsqueeze(1), _kernel(x, dim, gain=2.0), stride=stride)
    return y.narrow(dim, 2 * margin + REACH, 2 * size - 1).squeeze(1).unflatten(0, x.shape[:2])


def _halve(x: Tensor, dim: int) -> Tensor:
    """2 S - 1 and the filter's reach at both ends → S along `dim`."""
    stride = (2, 1) if dim == 2 else (1, 2)
    y = F.conv2d(x.flatten(0, 1).unsqueeze(1), _kernel(x, dim), stride=stride)
    return y.squeeze(1).unflatten(0, x.shape[:2])


class _Read(torch.autograd.Function):
    """Bilinear reading of mirrored images at fixed places: linear in the image, so its gradient is a linear map with a gradient.

    torch's own has no second derivative, which R1 takes through it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.shape = x.shape
        return F.grid_sample(x, places, mode="bilinear", padding_mode="reflection", align_corners=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        return _Spread.apply(gradients[0], places, ctx.shape), None


class _Spread(torch.autograd.Function):
    """The transpose of `_Read`."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, places: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(places)
        like = y.new_zeros(1).expand(shape)  # only its shape matters
        return torch.ops.aten.grid_sampler_2d_backward(y.contiguous(), like, places, BILINEAR, REFLECTION, True, (True, False))[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return _Read.apply(gradients[0], places), None, None
