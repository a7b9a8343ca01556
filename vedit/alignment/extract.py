"""Taking a crop out of a picture: sub-pixel, rotated, and without aliasing."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

CHUNK = 1 << 21  # sampled points at a time, which bounds memory for large crops of small sizes


def extract(image: NDArray[np.uint8] | Tensor, matrix: NDArray[np.float64], size: int) -> Tensor:
    """The crop `matrix` [2, 3] of a picture, uint8 [H, W, 3], as uint8 [size, size, 3].

    `matrix` maps fractions (x, y) of the crop to source pixels, whose edges are at 0, 1, … W: the centre of output pixel i is
    the fraction (i + 0.5) / size. Where the crop is larger than `size`, each output pixel is the mean of bilinear samples spread
    over its area. The spread grows from zero at equal size, so that a whole picture of `size` comes back exactly, an integer
    shrink of aligned pixels is their plain mean, and a slowly growing crop changes smoothly. Beyond the picture its edge goes on.
    """
    pixels = torch.as_tensor(np.ascontiguousarray(image) if isinstance(image, np.ndarray) else image)
    matrix = np.asarray(matrix, dtype=np.float64)
    _check(pixels, matrix, size)
    side = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    shrink = max(side / size, 1.0)
    taps = math.ceil(shrink - 1e-6)
    offsets = np.linspace(-1, 1, taps) * (shrink - 1) / 2 / side if taps > 1 else np.zeros(1)
    along = ((np.arange(size) + 0.5) / size)[:, None] + offsets  # [size, taps], fractions
    region, left, top = _region(pixels, matrix)
    rows = max(1, CHUNK // (size * taps * taps))
    parts = [
        _rows(region, _local(matrix, left, top), along[begin : begin + rows], along) for begin in range(0, size, rows)
    ]
    return torch.cat(parts).add(0.5 + 1e-4).clamp(0, 255).to(torch.uint8)  # rounds halves up, in spite of float32


def _rows(region: Tensor, matrix: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64]) -> Tensor:
    """Means of the samples [h, size, 3] at fractions y [h, taps] and x [size, taps] of the region [1, 3, H, W]."""
    (h, taps), size = y.shape, len(x)
    down, across = y.reshape(-1, 1), x.reshape(1, -1)
    points = np.stack(
        [row[0] * across + row[1] * down + row[2] for row in matrix], axis=-1
    )  # [h taps, size taps, 2], pixels
    scale = np.array([region.shape[3], region.shape[2]]) / 2
    grid = torch.from_numpy((points / scale - 1).astype(np.float32))[None]
    samples = functional.grid_sample(region, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return samples.reshape(3, h, taps, size, taps).mean(dim=(2, 4)).permute(1, 2, 0)


def _region(pixels: Tensor, matrix: NDArray[np.float64]) -> tuple[Tensor, int, int]:
    """The part of the picture that the crop touches, float [1, 3, h, w], and its left and top pixel."""
    corners = matrix @ np.array([[0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]])
    bounds = []
    for values, length in zip(corners, (pixels.shape[1], pixels.shape[0]), strict=True):
        first = min(max(math.floor(values.min()) - 1, 0), length - 1)
        bounds.append((first, max(min(math.ceil(values.max()) + 1, length), first + 1)))
    (left, right), (top, bottom) = bounds
    return pixels[top:bottom, left:right].permute(2, 0, 1)[None].float(), left, top


def _local(matrix: NDArray[np.float64], left: int, top: int) -> NDArray[np.float64]:
    """The same crop in the pixels of a region."""
    local: NDArray[np.float64] = matrix - np.array([[0, 0, left], [0, 0, top]])
    return local


def _check(pixels: Tensor, matrix: NDArray[np.float64], size: int) -> None:
    from vedit.alignment.crops import AlignmentError

    if pixels.dtype != torch.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise AlignmentError(f"found {pixels.dtype} {list(pixels.shape)}; a crop is taken from uint8 pixels [H, W, 3]")
    if matrix.shape != (2, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:, :2])) < 1e-6:
        raise AlignmentError(f"{matrix.tolist()} is no crop; an invertible 2 x 3 matrix is wanted")
    if size < 1:
        raise AlignmentError(f"found a size of {size} pixels; at least 1 is wanted")
