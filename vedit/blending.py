"""Laying what was made for a crop into a picture: by its difference, or instead of what is there; outside the crop every pixel stays.

A crop [2, 3] maps fractions of itself to pixels of the picture. One mask of the crop fades whatever is laid into it in from its edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vedit.alignment import extract
from vedit.pixels import from_pixels
from vedit.video.info import Pixels

FEATHER = 0.12  # of the crop's side: the width over which what is laid in fades in from the crop's edge

Crop = NDArray[np.float64]
Placed = tuple[Tensor, Crop]  # a picture [3, S, S] and where it lies
Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels of the picture


def add_difference(image: Pixels, difference: Tensor, crop: Crop) -> Pixels:
    """Add a difference [3, S, S] (of frames in [-1, 1]) to an image, uint8 [H, W, 3], where `crop` says it lies.

    The difference is enlarged bicubically and feathered towards the crop's edge; pixels outside the crop are returned untouched.
    """
    return add_differences(image, [(difference, crop)], crop)


def add_differences(image: Pixels | NDArray[np.float32], differences: Sequence[Placed], crop: Crop) -> Pixels:
    """The same of the sum of differences that lie in crops of their own, under the mask of `crop`: what cancels leaves no edge."""
    window = _Window.of(crop, image.shape)
    if window is None:
        return rounded(image)
    total = torch.zeros(3, *window.mask.shape)
    for placed in differences:
        total.add_(window.sampled(*placed))
    result = rounded(image)
    result[window.part] = rounded(image[window.part] + (total * (window.mask * 127.5)).permute(1, 2, 0).numpy())
    return result


def replace_crop(image: Pixels, picture: Tensor, crop: Crop, *, poisson: bool = False) -> Pixels:
    """Put a picture [3, S, S] in [-1, 1] in the place of what an image, uint8 [H, W, 3], shows where `crop` lies.

    It is enlarged bicubically and feathered towards the crop's edge; pixels outside the crop are returned untouched. With `poisson` it
    takes on the colours of its surroundings: its gradients stay, its edge is the image's (Pérez et al., Poisson Image Editing, 2003).
    """
    window = _Window.of(crop, image.shape)
    if window is None:
        return np.array(image)
    picture = picture.float()
    if poisson:
        picture = picture + membrane(from_pixels(extract(image, crop, picture.shape[-1])) - picture)
    wanted = window.sampled(picture, crop).add(1).mul(127.5)
    there = torch.from_numpy(image[window.part].astype(np.float32)).permute(2, 0, 1)
    result = np.array(image)
    result[window.part] = rounded(torch.lerp(there, wanted, window.mask).permute(1, 2, 0).numpy())
    return result


def membrane(edge: Tensor) -> Tensor:
    """The smoothest [3, S, S] with the outermost pixels of `edge` [3, S, S]: the discrete Laplace equation, solved by sine transforms.

    Added to a picture it is what seamless cloning makes of that picture, for a square and without its rounding to whole levels.
    """
    from scipy.fft import dstn, idstn

    values = edge.double().numpy().copy()
    count = values.shape[-1] - 2
    if count < 1:
        return edge
    values[:, 1:-1, 1:-1] = 0
    known = np.zeros((len(values), count, count))
    known[:, 0] -= values[:, 0, 1:-1]
    known[:, -1] -= values[:, -1, 1:-1]
    known[:, :, 0] -= values[:, 1:-1, 0]
    known[:, :, -1] -= values[:, 1:-1, -1]
    eigenvalues = 2 * np.cos(np.pi * np.arange(1, count + 1) / (count + 1)) - 2
    transformed = dstn(known, type=1, axes=(1, 2)) / (eigenvalues[:, None] + eigenvalues)
    values[:, 1:-1, 1:-1] = idstn(transformed, type=1, axes=(1, 2))
    return torch.from_numpy(values).float()


def rounded(image: Pixels | NDArray[np.float32]) -> Pixels:
    """Pixels of an image whose values lie about [0, 255]."""
    return np.array(image) if image.dtype == np.uint8 else image.astype(np.float32).round().clip(0, 255).astype(np.uint8)


def side_of(crop: Crop) -> float:
    """A crop's side in pixels of the picture.

    >>> round(side_of(np.array([[40.0, 30.0, 7.0], [-30.0, 40.0, 9.0]])), 9)
    50.0
    """
    return math.sqrt(abs(float(np.linalg.det(crop[:, :2]))))


@dataclass(frozen=True)
class _Window:
    """The part of a picture that a crop reaches: its slices, the crop fractions [h, w, 2] of its pixels' centres, the mask [h, w]."""

    part: tuple[slice, slice]
    box: Box
    crop: Crop
    fractions: Tensor
    mask: Tensor

    @classmethod
    def of(cls, crop: Crop, shape: tuple[int, ...]) -> _Window | None:
        """The window of a crop in a picture of `shape` [H, W, 3]; None where they do not meet."""
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float64) @ crop[:, :2].T + crop[:, 2]
        left, top = (max(0, math.floor(value)) for value in corners.min(axis=0))
        right, bottom = (min(size, math.ceil(value)) for size, value in zip((shape[1], shape[0]), corners.max(axis=0), strict=True))
        if right <= left or bottom <= top:
            return None
        u = _fractions(crop, (left, top, right, bottom))
        edge = torch.minimum(u, 1 - u).amin(dim=-1).div_(FEATHER).clamp_(0, 1)
        mask = edge * edge * (3 - 2 * edge)  # exactly 0 outside the crop
        return cls((slice(top, bottom), slice(left, right)), (left, top, right, bottom), crop, u, mask)

    def sampled(self, picture: Tensor, crop: Crop) -> Tensor:
        """A picture [3, S, S] that lies in `crop`, at the window's pixels, [3, h, w]; one larger than its crop is shrunk without aliasing."""
        u = self.fractions if crop is self.crop else _fractions(crop, self.box)
        pictures, side = picture.float().unsqueeze(0), max(1, math.ceil(side_of(crop)))
        if side < picture.shape[-1]:
            pictures = F.interpolate(pictures, size=(side, side), mode="bicubic", antialias=True, align_corners=False)
        grid = (u * 2 - 1).unsqueeze(0)
        return F.grid_sample(pictures, grid, mode="bicubic", padding_mode="border", align_corners=False)[0]


def _fractions(crop: Crop, box: Box) -> Tensor:
    """Crop fractions [h, w, 2] of the centres of the pixels in a box."""
    left, top, right, bottom = box
    inverse = np.linalg.inv(crop[:, :2])
    across = np.outer(np.arange(left, right) + 0.5 - crop[0, 2], inverse[:, 0])
    down = np.outer(np.arange(top, bottom) + 0.5 - crop[1, 2], inverse[:, 1])
    return torch.from_numpy(across).float()[None] + torch.from_numpy(down).float()[:, None]
