"""What a video is made of, once it is read: frames, the facts about a file, and what can be wrong with one."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vedit.errors import VeditError

Pixels = NDArray[np.uint8]
"""One picture: uint8 [H, W, 3], RGB, 0 to 255."""

SLACK = 1e-4
"""Seconds by which a frame may miss a moment it was asked for, since people write moments in decimals."""


class VideoError(VeditError, ValueError):
    """A file that cannot be read or written as video; one line says what was found, what was wanted and what to do."""


class VideoNotFound(VideoError, FileNotFoundError):
    """There is nothing at the path that was given."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"found nothing at {path}; give a video, an image or a folder of frames")


class VideoWarning(UserWarning):
    """The file could be read, but not quite as it claims to be: what is missing, or what was assumed."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture and the moment it stands for.

    `time` is in seconds from the container's start (the earliest of picture and sound). `image` is uint8 [H, W, 3] RGB,
    upright, with square pixels. `duration` is how long it is shown in seconds, 0 where the file does not say.
    """

    time: float
    image: Pixels
    duration: float = 0.0


@dataclass(frozen=True)
class VideoInfo:
    """The facts about a source, found without decoding all of it.

    `width`, `height`: as displayed (rotated, square pixels). `fps`: the average rate, None for a still image. `frames`: as the
    container counts or implies them, None where it does not. `duration`: seconds from the container's start to the end of the
    last frame. `start`: time of the first frame. `audio`: whether there is sound. `constant`: False where the file shows
    that its rate varies, None where only reading it would tell.
    """

    width: int
    height: int
    fps: Fraction | None
    frames: int | None
    duration: float
    audio: bool
    start: float = 0.0
    constant: bool | None = None
    codec: str = ""
    container: str = ""
    pixel_format: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
