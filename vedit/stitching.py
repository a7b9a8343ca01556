"""Putting a render back into its picture: only what it changes is added to the source, so that the source's detail survives.

At a frame of the source that is edit − reconstruction. Between two of its frames the source is their average by time, and the
render's difference from the same average of its own reconstructions is added: inside the crop what moves is placed by the
generator, outside it the two frames fade into each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vedit.timing import Place, between, parse_rate
from vedit.video import Frame
from vedit.video.info import Pixels
from vedit.workspace import Workspace

if TYPE_CHECKING:
    from vedit.rendering import Scene

FEATHER = 0.12  # of the crop's side: the width over which the difference fades in from the crop's edge
CHUNK = 8


class PasteBack:
    """Source pictures with a render's difference in the crop; at the source's moments every pixel outside the crop stays as decoded."""

    def __init__(self, workspace: Workspace, scene: Scene) -> None:
        self.scene, self.plain = scene, replace(scene, edits=())
        self.times = [float(time) for time in workspace.info["times"]]
        self.crops = np.asarray(workspace.info["crops"], dtype=np.float64)  # [T, 2, 3]: crop fractions to source pixels
        self.settings = workspace.info["settings"]
        self.source = workspace.source()

    def pictures(self, moments: Sequence[float]) -> Iterator[Pixels]:
        """One picture, uint8 [H, W, 3], for each moment (seconds, as the source counts them, ascending)."""
        held = _Held(self.footage())
        for begin in range(0, len(moments), CHUNK):
            part = moments[begin : begin + CHUNK]
            places = [between(moment, self.times) for moment in part]
            seen = sorted({index for place in places for index in place[:2]})
            known = dict(zip(seen, self.plain.frames([self.times[index] for index in seen]).cpu(), strict=True))
            for place, wanted in zip(places, self.scene.frames(part).cpu(), strict=True):
                yield self._picture(held, place, wanted, known)

    def _picture(self, held: _Held, place: Place, wanted: Tensor, known: dict[int, Tensor]) -> Pixels:
        before, after, share = place
        first = held.at(before)
        if share == 0:
            return add_difference(first, wanted - known[before], self.crops[before])
        image = (1 - share) * first.astype(np.float32) + share * held.at(after).astype(np.float32)
        here, there = self.crops[before], self.crops[after]
        crop = (1 - share) * here + share * there
        crop = here if abs(np.linalg.det(crop[:, :2])) < 1e-6 else crop  # turned by half a circle between two frames
        drawn = ((wanted, crop), (-(1 - share) * known[before], here), (-share * known[after], there))
        for part, change in _changes(drawn, crop, image.shape):
            image[part] += change
        return _rounded(image)

    def footage(self) -> Iterator[Frame]:
        """The source's frames again, as they were projected."""
        from vedit.projection import Footage

        rate = self.settings["fps"]
        return iter(Footage(self.source, self.settings["start"], self.settings["duration"], parse_rate(rate) if rate else None))


class _Held:
    """Frames of a source by index; each is asked for in order, with the one after it, and let go when it is past."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self.frames = enumerate(frames)
        self.kept: dict[int, Pixels] = {}

    def at(self, index: int) -> Pixels:
        self.kept = {place: image for place, image in self.kept.items() if place >= index - 1 or place == max(self.kept)}
        while index not in self.kept:
            place, frame = next(self.frames, (index, None))
            if frame is None:  # a decoder that finds fewer frames than the one before: the last one is held
                return self.kept[max(self.kept)]
            self.kept[place] = frame.image
        return self.kept[index]


def add_difference(image: Pixels, difference: Tensor, crop: np.ndarray) -> Pixels:
    """Add a difference [3, S, S] (of frames in [-1, 1]) to an image, uint8 [H, W, 3], where `crop` says it lies.

    `crop` [2, 3] maps fractions of the crop to source pixels. The difference is enlarged bicubically and feathered towards the
    crop's edge; pixels outside the crop are returned untouched.
    """
    result = np.array(image)
    for place, change in _changes([(difference, crop)], crop, image.shape):
        result[place] = _rounded(image[place] + change)
    return result


def _rounded(image: NDArray[np.float32]) -> Pixels:
    return image.round().clip(0, 255).astype(np.uint8)


def _changes(
    pictures: Iterable[tuple[Tensor, np.ndarray]], crop: np.ndarray, shape: tuple[int, ...]
) -> Iterator[tuple[tuple[slice, slice], NDArray[np.float32]]]:
    """The part of a picture of `shape` [H, W, 3] that a crop reaches, if any, and what the sum of `pictures` adds there, of 255.

    Each [3, S, S] lies in a crop of its own; one mask, of `crop`, fades their sum, so that what cancels leaves no edge.
    """
    box = _bounds(crop, shape[1], shape[0])
    if box is None:
        return
    left, top, right, bottom = box
    total = torch.zeros(3, bottom - top, right - left)
    for picture, where in pictures:
        grid = (_fractions(where, left, top, right, bottom) * 2 - 1).unsqueeze(0)
        total += F.grid_sample(picture.unsqueeze(0).float(), grid, mode="bicubic", padding_mode="border", align_corners=False)[0]
    u = _fractions(crop, left, top, right, bottom)  # [h, w, 2] in crop fractions
    edge = torch.minimum(u, 1 - u).amin(dim=-1).div(FEATHER).clamp(0, 1)
    mask = edge * edge * (3 - 2 * edge)  # exactly 0 outside the crop
    yield (slice(top, bottom), slice(left, right)), (total * mask * 127.5).permute(1, 2, 0).numpy()


def _bounds(crop: np.ndarray, width: int, height: int) -> tuple[int, int, int, int] | None:
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float64) @ crop[:, :2].T + crop[:, 2]
    left, top = (max(0, math.floor(value)) for value in corners.min(axis=0))
    right, bottom = (min(size, math.ceil(value)) for size, value in zip((width, height), corners.max(axis=0), strict=True))
    return (left, top, right, bottom) if right > left and bottom > top else None


def _fractions(crop: np.ndarray, left: int, top: int, right: int, bottom: int) -> Tensor:
    """Crop fractions [h, w, 2] of the centres of the source pixels in a box."""
    inverse = np.linalg.inv(crop[:, :2])
    xs, ys = np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5)
    points = (np.stack([xs, ys], axis=-1) - crop[:, 2]) @ inverse.T
    return torch.from_numpy(points).float()
