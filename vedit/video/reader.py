"""Reading anything that holds pictures: one function for videos, images and folders of frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

from vedit.timing import finite, parse_rate, positive
from vedit.video.info import SLACK, Frame, VideoError, VideoInfo, VideoNotFound
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
    return _frames(open_source(path, fps), Path(path), *_window(start, duration))


def read_at(path: str | Path, times: Iterable[float], *, fps: str | float | Fraction = 25) -> Iterator[Frame]:
    """Yield for each of `times` (seconds, none below the one before) the frame that `read` shows at that moment.

    A moment before the first frame gets the first, one after the end the last. Frames are those of `read` to the last bit, with
    their own times and durations. What lies between is decoded only where no key frame can be jumped to: long files of MP4, MOV,
    Matroska, WebM, AVI, FLV and MPEG-TS are entered at key frames if a walk through their packets finds the clock sound; other
    files, and those in which a jump does not land where it should, are read through. Raises and warns as `read` does.

    PyAV alone does this. decord 0.6 was measured against it on 11,280 frames, 9 and 64 of them read: 0.9 to 1.6 times the
    processor time, and colours that agree for RGB and 8-bit 4:4:4 files alone (elsewhere up to 29 levels off at edges of colour,
    since it repeats chroma samples; a quarter of a 10-bit or an untagged bt709 picture is more than 2 off). It is a second opinion
    in the tests, no more.
    """
    moments = [finite("time", time) for time in times]
    if any(a > b for a, b in zip(moments, moments[1:], strict=False)):
        raise VideoError("the times to read at fall; sort them")
    return open_source(path, fps).at(moments)


def sample(
    path: str | Path,
    count: int,
    *,
    start: float | None = None,
    duration: float | None = None,
    fps: str | float | Fraction = 25,
) -> Iterator[Frame]:
    """Yield up to `count` different frames spread evenly over a source or a part of it, by `read_at`; fewer where there are fewer.

    `start`, `duration` and `fps` are those of `read`; frames stand in the middle of `count` equal parts. Raises as `read` does.
    """
    if count < 1:
        raise VideoError(f"found {count} frames to sample; give 1 or more")
    begin, until = _window(start, duration)
    source = open_source(path, fps)
    return _spread(source, Path(path), count, begin, until)


def _spread(source: Source, path: Path, count: int, begin: float, until: float) -> Iterator[Frame]:
    info = source.info()
    first, length = max(begin, info.start), min(until, info.duration) - max(begin, info.start)
    moments = [first + length * (i + 0.5) / count for i in range(count)] if length > 0 else [first]
    last = -math.inf
    for frame in source.at(moments):
        # The one that stands at the first moment may have begun before the part that was asked for.
        if frame.time > last and begin - SLACK <= frame.time < until - SLACK:
            last = frame.time
            yield frame
    if last == -math.inf:
        yield next(_frames(source, path, begin, until))


def _window(start: float | None, duration: float | None) -> tuple[float, float]:
    begin = 0.0 if start is None else finite("start", start)
    if begin < 0:
        raise VideoError(f"start is {begin:g} s; give a time of 0 or more")
    return begin, math.inf if duration is None else begin + positive("duration", duration)


def _no_frames(path: Path, begin: float, until: float, info: VideoInfo) -> VideoError:
    window = f"from {begin:g} s on" if until == math.inf else f"between {begin:g} s and {until:g} s"
    return VideoError(f"{path} has no frames {window}; it ends at {info.duration:.2f} s")


def _frames(source: Source, path: Path, begin: float, until: float) -> Iterator[Frame]:
    found = False
    for frame in source.frames(begin, until):
        found = True
        yield frame
    if not found:
        raise _no_frames(path, begin, until, source.info())


def probe(path: str | Path, fps: str | float | Fraction = 25) -> VideoInfo:
    """The facts about a video, an image or a folder of images: size as displayed, rate, frames, duration, sound.

    Raises as `read` does. A large file is taken at its header's word; a smaller one is walked through without decoding.
    """
    return open_source(path, fps).info()
