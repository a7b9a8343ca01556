"""Putting a render back into its picture: what it changes is added to the source, or the render itself takes the crop's place.

By difference (edit − reconstruction) the source's detail survives. Between two of its frames the source is their average by time, and
the render's difference from the same average of its own reconstructions is added: inside the crop what moves is placed by the
generator, outside it the two frames fade into each other. A render that replaces the crop needs no reconstruction.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vedit.blending import Crop, add_difference, add_differences, replace_crop, rounded, side_of
from vedit.frame_store import FrameStore
from vedit.scene import Scene
from vedit.streaming import ahead, close
from vedit.timing import Place, between, parse_rate
from vedit.video import Frame
from vedit.video.info import Pixels
from vedit.workspace import Workspace

SOFT = {"difference": 8.0, "replace": 4.0, "poisson": 4.0}  # times: a render that is enlarged more than this looks soft

Blend = Literal["difference", "replace", "poisson"]
Item = TypeVar("Item")


class PasteWarning(UserWarning):
    """What is put back will look softer than the picture around it."""


class PasteBack:
    """Source pictures with a render in the crop; at the source's moments every pixel outside the crop stays as decoded.

    `blend` is `difference` (what `scene` changes of `plain`, by default itself without edits, is added), `replace` (the render itself) or
    `poisson` (the render in the colours of its surroundings).
    """

    def __init__(
        self, workspace: Workspace, scene: Scene, store: FrameStore | None = None, blend: Blend = "difference", plain: Scene | None = None
    ) -> None:
        self.scene, self.plain, self.store, self.blend = scene, plain or replace(scene, edits=()), store, blend
        self.times = [float(time) for time in workspace.info["times"]]
        self.crops = np.asarray(workspace.info["crops"], dtype=np.float64)  # [T, 2, 3]: crop fractions to source pixels
        self.settings = workspace.info["settings"]
        self.source = workspace.source()

    def pictures(self, moments: Sequence[float]) -> Iterator[Pixels]:
        """One picture, uint8 [H, W, 3], for each moment (seconds, as the source counts them, ascending)."""
        places = [between(moment, self.times) for moment in moments]
        compared = sorted({index for place in places for index in place[:2]}) if self.blend == "difference" else []
        footage = ahead((index, frame.image) for index, frame in enumerate(self.footage()))
        plain = ahead(self.plain.chunks([self.times[index] for index in compared], self.store) if compared else iter(()))
        changed = ahead(self.scene.chunks(moments, self.store))
        held, known = _Held(footage), _Held(zip(compared, _each(plain), strict=True))
        try:
            for place, wanted in zip(places, _each(changed), strict=True):
                if self.blend == "difference":
                    yield self._changed(held, place, wanted, known)
                else:
                    yield replace_crop(self._averaged(held, place), wanted, self._crop(place), poisson=self.blend == "poisson")
        finally:
            close(footage, plain, changed)

    def _changed(self, held: _Held[Pixels], place: Place, wanted: Tensor, known: _Held[Tensor]) -> Pixels:
        before, after, share = place
        if share == 0:
            return add_difference(held.at(before), wanted - known.at(before), self.crops[before])
        image, crop = _mean(held, place), self._crop(place)
        there = [(-(1 - share) * known.at(before), self.crops[before]), (-share * known.at(after), self.crops[after])]
        return add_differences(image, [(wanted, crop), *there], crop)

    def _averaged(self, held: _Held[Pixels], place: Place) -> Pixels:
        return held.at(place[0]) if place[2] == 0 else rounded(_mean(held, place))

    def _crop(self, place: Place) -> Crop:
        """The crop at a moment, between those of two frames by time."""
        before, after, share = place
        crop: Crop = (1 - share) * self.crops[before] + share * self.crops[after]
        return self.crops[before] if abs(np.linalg.det(crop[:, :2])) < 1e-6 else crop  # turned by half a circle between two frames

    def footage(self) -> Iterator[Frame]:
        """The source's frames again, as they were projected."""
        from vedit.projection import Footage

        rate = self.settings["fps"]
        return iter(Footage(self.source, self.settings["start"], self.settings["duration"], parse_rate(rate) if rate else None))


def warn_if_soft(workspace: Workspace, moments: Sequence[float], resolution: int, blend: Blend) -> None:
    """A PasteWarning if a generator of `resolution` is enlarged more than SOFT in one of the crops at `moments`."""
    places = sorted({between(moment, workspace.info["times"])[0] for moment in moments})
    side = max(side_of(np.asarray(workspace.info["crops"][place], dtype=np.float64)) for place in places)
    factor = side / resolution
    if factor <= SOFT[blend]:
        return
    difference = blend == "difference"
    what, instead = ("what changes", "") if difference else ("the render", ", or leave --blend at difference")
    found = f"the crop is {side:.0f} pixels wide and the generator makes {resolution}: {what} is enlarged {factor:.1f} times and looks soft"
    warnings.warn(f"{found}; project the clip with a larger generator (-g) or a tighter --crop{instead}", PasteWarning, stacklevel=2)


class _Held(Generic[Item]):
    """Items by index, which ascends; each is asked for in order, with the one after it, and let go when it is past."""

    def __init__(self, items: Iterator[tuple[int, Item]]) -> None:
        self.items = items
        self.kept: dict[int, Item] = {}

    def at(self, index: int) -> Item:
        while index not in self.kept:
            found = next(self.items, None)
            if found is None:  # a decoder that finds fewer frames than the one before: the last one is held
                return self.kept[max(self.kept)]
            place, item = found
            self.kept = {earlier: held for earlier, held in self.kept.items() if earlier >= index - 1} | {place: item}
        return self.kept[index]


def _each(chunks: Iterator[Tensor]) -> Iterator[Tensor]:
    return (frame for chunk in chunks for frame in chunk)


def _mean(held: _Held[Pixels], place: Place) -> NDArray[np.float32]:
    """The average by time of the two frames around a moment."""
    before, after, share = place
    first = held.at(before)
    return (1 - share) * first.astype(np.float32) + share * held.at(after).astype(np.float32)
