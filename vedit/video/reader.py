"""Reading anything that holds pictures: one function for videos, images and folders of frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from vedit.timing import finite, parse_rate, positive
from vedit.video.info import Frame, VideoError, VideoInfo, VideoNotFound
from vedit.video.moving import MovingPicture
from vedit.video.stills import Folder, Source, StillImage, is_image

_PLAYLISTS = (b"#EXTM3U", b"ffconcat version", b"<?xml", b"<MPD", b"[playlist]")


def open_source(path: str | Path, fps: str | float | Fraction = 25) -> Source:
    """Find out what `path` is and open it; `fps` is the rate of a folder of images that keep no times.

    Raises VideoNotFound where there is nothing, VideoError where it is no video, image or folder of images.
    """
    where = Path(path)
    if where.is_dir():
        return Folder(where, parse_rate(fps))
    if not where.exists():
        raise VideoNotFound(where)
    if where.is_file():
        try:
            with where.open("rb") as file:
                head = file.read(64)
        except OSError as error:
            raise VideoError(f"{where} cannot be read ({error.strerror}); check its permissions") from None
        if head.lstrip().startswith(_PLAYLISTS):
            raise VideoError(f"{where} is a playlist, which points at other files; give the video itself")
        if is_image(where, head):
            return StillImage(where)
    return MovingPicture(where)


def read(
    path: str | Path, *, start: float | None = None, duration: float | None = None, fps: str | float | Fraction = 25
) -> Iterator[Frame]:
    """Yield the frames of a video, an image, an animated image or a folder of images, in order, one at a time.

    Times are exact, in seconds from the container's start (the earliest of picture and sound). Images are uint8 [H, W, 3] RGB,
    upright, with square pixels; transparency lies over white; interlaced frames are made whole. `start` and `duration`, seconds,
    choose the frames with start <= time < start + duration. `fps` is the rate of a folder whose images keep no times.

    A wrong path or a file that is no video raises at once (VideoNotFound, VideoError). A damaged file yields what can be read and
    then warns (VideoWarning) with counts; a start beyond the end is a VideoError.
    """
    begin = 0.0 if start is None else finite("start", start)
    if begin < 0:
        raise VideoError(f"start is {begin:g} s; give a time of 0 or more")
    until = math.inf if duration is None else begin + positive("duration", duration)
    return _frames(open_source(path, fps), Path(path), begin, until)


def _frames(source: Source, path: Path, begin: float, until: float) -> Iterator[Frame]:
    found = False
    for frame in source.frames(begin, until):
        found = True
        yield frame
    if not found:
        window = f"from {begin:g} s on" if until == math.inf else f"between {begin:g} s and {until:g} s"
        raise VideoError(f"{path} has no frames {window}; it ends at {source.info().duration:.2f} s")


def probe(path: str | Path, fps: str | float | Fraction = 25) -> VideoInfo:
    """The facts about a video, an image or a folder of images: size as displayed, rate, frames, duration, sound.

    Raises as `read` does. A large file is taken at its header's word; a smaller one is walked through without decoding.
    """
    return open_source(path, fps).info()
