"""Putting an edit back into its picture: only the difference that the edit makes is added, so the source's detail survives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vedit.timing import parse_rate
from vedit.video import Frame
from vedit.video.info import Pixels
from vedit.workspace import Workspace

if TYPE_CHECKING:
    from vedit.rendering import Scene

FEATHER = 0.12  # of the crop's side: the width over which the difference fades in from the crop's edge
CHUNK = 8


class PasteBack:
    """Source pictures with an edit's difference in the crop; outside the crop every pixel stays as decoded."""

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
            change = self.scene.frames(part).cpu() - self.plain.frames(part).cpu()
            for moment, difference in zip(part, change, strict=True):
                yield add_difference(held.at(moment).image, difference, self.crop_at(moment))

    def footage(self) -> Iterator[Frame]:
        """The source's frames again, as they were projected."""
        from vedit.projection import Footage

        rate = self.settings["fps"]
        return iter(Footage(self.source, self.settings["start"], self.settings["duration"], parse_rate(rate) if rate else None))

    def crop_at(self, moment: float) -> np.ndarray:
        """The crop [2, 3] of the source frame that stands at a moment: the crop belongs to the picture, not to the time."""
        index = int(np.searchsorted(np.asarray(self.times), moment + 1e-6, side="right")) - 1
        return np.asarray(self.crops[min(max(index, 0), len(self.crops) - 1)])


class _Held:
    """Frames of a source in order, each held until the next one begins."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self.frames = frames
        self.now = next(frames)
        self.next: Frame | None = next(frames, None)

    def at(self, moment: float) -> Frame:
        while self.next is not None and self.next.time <= moment + 1e-6:
            self.now, self.next = self.next, next(self.frames, None)
        return self.now


def add_difference(image: Pixels, difference: Tensor, crop: np.ndarray) -> Pixels:
    """Add a difference [3, S, S] (of frames in [-1, 1]) to an image, uint8 [H, W, 3], where `crop` says it lies.

    `crop` [2, 3] maps fractions of the crop to source pixels. The difference is enlarged bicubically and feathered towards the
    crop's edge; pixels outside the crop are returned untouched.
    """
    height, width = image.shape[:2]
    box = _bounds(crop, width, height)
    if box is None:
        return image
    left, top, right, bottom = box
    u = _fractions(crop, left, top, right, bottom)  # [h, w, 2] in crop fractions
    grid = (u * 2 - 1).unsqueeze(0)
    change = F.grid_sample(difference.unsqueeze(0).float(), grid, mode="bicubic", padding_mode="border", align_corners=False)[0]
    edge = torch.minimum(u, 1 - u).amin(dim=-1).div(FEATHER).clamp(0, 1)
    mask = edge * edge * (3 - 2 * edge)  # exactly 0 outside the crop
    part = torch.from_numpy(np.ascontiguousarray(image[top:bottom, left:right])).float()
    mixed = part + (change * mask * 127.5).permute(1, 2, 0)
    result = np.array(image)
    result[top:bottom, left:right] = mixed.round().clamp(0, 255).to(torch.uint8).numpy()
    return result


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
