"""Putting a render back into its picture: only what it changes is added to the source, so that the source's detail survives.

At a frame of the source that is edit − reconstruction. Between two of its frames the source is their average by time, and the
render's difference from the same average of its own reconstructions is added: inside the crop what moves is placed by the
generator, outside it the two frames fade into each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vedit.frame_store import FrameStore
from vedit.scene import Scene
from vedit.streaming import ahead, close
from vedit.timing import Place, between, parse_rate
from vedit.video import Frame
from vedit.video.info import Pixels
from vedit.workspace import Workspace

FEATHER = 0.12  # of the crop's side: the width over which the difference fades in from the crop's edge

Item = TypeVar("Item")
Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels of the source


class PasteBack:
    """Source pictures with a render's difference in the crop; at the source's moments every pixel outside the crop stays as decoded."""

    def __init__(self, workspace: Workspace, scene: Scene, store: FrameStore | None = None) -> None:
        self.scene, self.plain, self.store = scene, replace(scene, edits=()), store
        self.times = [float(time) for time in workspace.info["times"]]
        self.crops = np.asarray(workspace.info["crops"], dtype=np.float64)  # [T, 2, 3]: crop fractions to source pixels
        self.settings = workspace.info["settings"]
        self.source = workspace.source()

    def pictures(self, moments: Sequence[float]) -> Iterator[Pixels]:
        """One picture, uint8 [H, W, 3], for each moment (seconds, as the source counts them, ascending)."""
        places = [between(moment, self.times) for moment in moments]
        first, last = min(place[0] for place in places), max(place[1] for place in places)
        footage = ahead(frame.image for frame in self.footage())
        plain = ahead(self.plain.chunks(self.times[first : last + 1], self.store))
        changed = ahead(self.scene.chunks(moments, self.store))
        held, known = _Held(footage), _Held(_each(plain), first)
        try:
            for place, wanted in zip(places, _each(changed), strict=True):
                yield self._picture(held, place, wanted, known)
        finally:
            close(footage, plain, changed)

    def _picture(self, held: _Held[Pixels], place: Place, wanted: Tensor, known: _Held[Tensor]) -> Pixels:
        before, after, share = place
        first = held.at(before)
        if share == 0:
            return add_difference(first, wanted - known.at(before), self.crops[before])
        image = (1 - share) * first.astype(np.float32) + share * held.at(after).astype(np.float32)
        here, there = self.crops[before], self.crops[after]
        crop = (1 - share) * here + share * there
        crop = here if abs(np.linalg.det(crop[:, :2])) < 1e-6 else crop  # turned by half a circle between two frames
        drawn = ((wanted, crop), (-(1 - share) * known.at(before), here), (-share * known.at(after), there))
        for part, change in _changes(drawn, crop, image.shape):
            image[part] += change
        return _rounded(image)

    def footage(self) -> Iterator[Frame]:
        """The source's frames again, as they were projected."""
        from vedit.projection import Footage

        rate = self.settings["fps"]
        return iter(Footage(self.source, self.settings["start"], self.settings["duration"], parse_rate(rate) if rate else None))


class _Held(Generic[Item]):
    """Items by index, from `first` on; each is asked for in order, with the one after it, and let go when it is past."""

    def __init__(self, items: Iterator[Item], first: int = 0) -> None:
        self.items = enumerate(items, first)
        self.kept: dict[int, Item] = {}

    def at(self, index: int) -> Item:
        self.kept = {place: item for place, item in self.kept.items() if place >= index - 1 or place == max(self.kept)}
        while index not in self.kept:
            found = next(self.items, None)
            if found is None:  # a decoder that finds fewer frames than the one before: the last one is held
                return self.kept[max(self.kept)]
            self.kept[found[0]] = found[1]
        return self.kept[index]


def _each(chunks: Iterator[Tensor]) -> Iterator[Tensor]:
    return (frame for chunk in chunks for frame in chunk)


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
    u = _fractions(crop, box)
    total: Tensor | None = None
    for picture, where in pictures:
        grid = (u if where is crop else _fractions(where, box)) * 2 - 1
        part = F.grid_sample(picture.unsqueeze(0).float(), grid.unsqueeze(0), mode="bicubic", padding_mode="border", align_corners=False)[0]
        total = part if total is None else total.add_(part)
    assert total is not None
    edge = torch.minimum(u, 1 - u).amin(dim=-1).div_(FEATHER).clamp_(0, 1)
    mask = edge * edge * (3 - 2 * edge)  # exactly 0 outside the crop
    yield (slice(top, bottom), slice(left, right)), (total * (mask * 127.5)).permute(1, 2, 0).numpy()


def _bounds(crop: np.ndarray, width: int, height: int) -> Box | None:
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float64) @ crop[:, :2].T + crop[:, 2]
    left, top = (max(0, math.floor(value)) for value in corners.min(axis=0))
    right, bottom = (min(size, math.ceil(value)) for size, value in zip((width, height), corners.max(axis=0), strict=True))
    return (left, top, right, bottom) if right > left and bottom > top else None


def _fractions(crop: np.ndarray, box: Box) -> Tensor:
    """Crop fractions [h, w, 2] of the centres of the source pixels in a box."""
    left, top, right, bottom = box
    inverse = np.linalg.inv(crop[:, :2])
    across = np.outer(np.arange(left, right) + 0.5 - crop[0, 2], inverse[:, 0])
    down = np.outer(np.arange(top, bottom) + 0.5 - crop[1, 2], inverse[:, 1])
    return torch.from_numpy(across).float()[None] + torch.from_numpy(down).float()[:, None]
