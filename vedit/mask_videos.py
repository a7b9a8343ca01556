"""Masks that move: a video, an animated image or a folder of images, white where an edit acts, followed through a clip's crop.

The mask at a moment is the picture that stands there. What is kept are soft masks of the crop at the generator's size, one for a frame of
the source, so that memory does not grow with the mask's resolution and rendering does not need the file again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vedit.progress import Progress, Task
from vedit.regions import MOVING, Region, RegionError, check_greys, fitted
from vedit.video.reader import open_source
from vedit.video.stills import Folder, Mask, StillImage

NEAR = 0.002  # seconds by which two containers may round one moment apart; Matroska keeps milliseconds
LARGEST = 1 << 30  # bytes of all masks together: 260,000 frames of 64², 16,000 of 256²


@dataclass(frozen=True)
class Course:
    """The frames that a mask video is followed through: their `times` (seconds, as the source counts them), `crops` [F, 2, 3] and
    the source's `size` (width, height)."""

    times: Sequence[float]
    crops: NDArray[np.float64]
    size: tuple[int, int]


def is_moving(path: Path) -> bool:
    """Whether a mask's file is a folder, a video or an animated image; raises VideoError for what is none and no image either."""
    if not path.exists():
        return False
    source = open_source(path) if path.is_file() else None
    return not isinstance(source, StillImage) or source.animated


def follow(path: Path, course: Course, side: int) -> Task[tuple[Region, tuple[str, ...]]]:
    """The region of a mask video for a generator of `side` pixels, and what a person should be told of it.

    A folder of as many images as the clip has frames holds one for each; other images without times stand at the clip's rate, from
    second 0 of the source. Raises RegionError for other proportions than the source's and for one colour throughout, and VideoError.
    """
    count = len(course.times)
    if count * side * side > LARGEST:
        raise RegionError(f"masks for {count} frames of {side}² pixels are too many; project a shorter part of the clip")
    kept = torch.zeros(count, side, side, dtype=torch.uint8)
    darkest, brightest, ends = 255, 0, 0.0
    last: NDArray[np.uint8] | None = None
    for i, (mask, end) in enumerate(_standing(path, course.times)):
        if mask is not last or not np.array_equal(course.crops[i], course.crops[i - 1]):
            darkest, brightest = min(darkest, int(mask.min())), max(brightest, int(mask.max()))
            region = Region("mask", course.size, mask=fitted(path, mask, course.size))
            kept[i] = region.masks(course.crops[i : i + 1], side)[0, 0].mul(255).round().to(torch.uint8)
        else:
            kept[i] = kept[i - 1]
        last, ends = mask, end
        yield Progress("mask", i + 1, count)
    check_greys(path, darkest, brightest)
    short = ends < course.times[-1] - NEAR
    told = (f"the mask {path} ends at {ends:.2f} s, the clip's last frame stands at {course.times[-1]:.2f} s: its last picture is held",) if short else ()
    return Region(MOVING, course.size, moving=kept.numpy()), told


def _standing(path: Path, times: Sequence[float]) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """For every moment the picture that stands there (the first one before it begins, the last one after its end), and where that ends."""
    pictures = _pictures(path, times)
    current = next(pictures)
    following = next(pictures, None)
    for moment in times:
        while following is not None and following[0] <= moment + NEAR:
            current, following = following, next(pictures, None)
        time, mask, duration = current
        yield mask, following[0] if following is not None else time + duration


def _pictures(path: Path, times: Sequence[float]) -> Iterator[Mask]:
    """The pictures of a mask, one at a time."""
    interval = float(np.median(np.diff(times))) if len(times) > 1 else 0.04
    source = open_source(path, Fraction(1 / interval).limit_denominator(1001))
    if isinstance(source, Folder) and len(source.files) == len(times) and not source.keeps_times:  # one for each frame of the clip
        ends = [*times[1:], times[-1] + interval]
        for (_, mask, _), begin, end in zip(source.masks(), times, ends, strict=True):
            yield begin, mask, end - begin
    else:
        yield from source.masks()
