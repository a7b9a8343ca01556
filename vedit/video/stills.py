"""Pictures that are not video files: one image, an animated image (WebP, APNG), a folder of images."""

from __future__ import annotations

import math
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from stylegan_v.data import natural_order
from vedit.video.info import SLACK, Frame, Pixels, VideoError, VideoInfo
from vedit.video.picture import MAX_PIXELS, laid_over

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "AVIF")
"""The image formats read here, by Pillow's names. GIF is left to the video reader, which keeps its times exactly."""

TIME_KEY = "vedit:time"
DURATION_KEY = "vedit:duration"
"""The PNG comments in which a written frame keeps its time and how long it stands, in seconds."""

_SIGNATURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"P5", b"P6", b"P4", b"P2", b"P3")
# What Pillow raises, by format and kind of damage; SyntaxError is its word for a broken PNG.
_BROKEN = (OSError, SyntaxError, EOFError, ValueError, IndexError, KeyError, OverflowError, struct.error)
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".avif", ".apng"}
_MOVING = {".mjpeg", ".mjpg"}  # a stream of JPEG pictures begins like one


Mask = tuple[float, NDArray[np.uint8], float]
"""Time, greys [H, W] and duration of a mask's frame."""


class Source(Protocol):
    """Something that can be read as frames."""

    def info(self) -> VideoInfo:
        """The facts, without reading all of it."""

    def frames(self, start: float, end: float) -> Iterator[Frame]:
        """The frames with start <= time < end."""

    def at(self, moments: Sequence[float]) -> Iterator[Frame]:
        """The frame that stands at each of the moments, in ascending order; the first or last one outside the source."""

    def masks(self) -> Iterator[Mask]:
        """Every frame as a mask: what is transparent is black."""


def is_image(path: Path, head: bytes) -> bool:
    """Whether a file that begins with `head` (16 bytes or more) is an image rather than a video."""
    if path.suffix.lower() in _MOVING:
        return False
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return True
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
        return True
    if head[:2] == b"BM" and path.suffix.lower() not in _SUFFIXES:
        return False  # two letters alone are no proof
    return head.startswith(_SIGNATURES)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image, turning what Pillow says of a broken or enormous one into VideoError."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise VideoError(
                    f"{path} has {image.width}×{image.height} pixels; at most {MAX_PIXELS} pixels are read"
                )
            yield image
    except UnidentifiedImageError:
        raise VideoError(
            f"{path} is no image that can be read; give a whole PNG, JPEG, WebP, BMP, TIFF or AVIF"
        ) from None
    except Image.DecompressionBombError:
        raise VideoError(f"{path} claims more pixels than are read ({MAX_PIXELS}); give a smaller image") from None
    except VideoError:
        raise
    except _BROKEN as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise VideoError(f"{path} cannot be read as an image ({reason}); give a whole one") from None


def read_mask(path: Path | str) -> NDArray[np.uint8]:
    """Greys [H, W] of an image, upright; what is transparent is black. Raises VideoError."""
    with _opened(Path(path)) as image:
        return _greys(ImageOps.exif_transpose(image))


def _greys(image: Image.Image) -> NDArray[np.uint8]:
    """Any mode of image as greys [H, W]; what is transparent is black."""
    if not image.has_transparency_data:
        return _pixels(image).mean(axis=2).round().astype(np.uint8)
    colours = np.asarray(image.convert("RGBA")).astype(np.float32)
    return (colours[..., :3].mean(axis=2) * colours[..., 3] / 255).round().astype(np.uint8)


def _pixels(image: Image.Image) -> Pixels:
    """Any mode of image as uint8 [H, W, 3] RGB; transparency over white, 16-bit grey scaled down."""
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = np.asarray(image.convert("I"), np.int64)
        return np.repeat((grey.clip(0, 65535) // 257).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "F":
        return np.repeat(np.asarray(image).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if image.has_transparency_data:
        return laid_over(np.asarray(image.convert("RGBA")))
    return np.array(image.convert("RGB"))


def _load(path: Path) -> Pixels:
    with _opened(path) as image:
        return _pixels(ImageOps.exif_transpose(image))


def _upright_size(image: Image.Image) -> tuple[int, int]:
    swapped = image.getexif().get(0x0112, 1) >= 5  # EXIF orientations 5 to 8 swap the sides
    return (image.height, image.width) if swapped else image.size


def _comments(image: Image.Image) -> dict[str, str]:
    """The comments an image file carries, but for those in which we keep a frame's time."""
    mine = (TIME_KEY, DURATION_KEY)
    return {str(key): value for key, value in image.info.items() if isinstance(value, str) and key not in mine}


class StillImage:
    """One image file: a single frame at time 0, or the frames of an animated one at their own times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _opened(path) as image:
            self.animated = getattr(image, "is_animated", False) and image.format in ("WEBP", "PNG", "AVIF")
            self.size = _upright_size(image)
            self.codec = (image.format or "").lower()
            self.metadata = _comments(image)

    def _durations(self) -> list[float]:
        if not self.animated:
            return [0.0]
        with _opened(self.path) as image:
            return [_duration(picture) for picture in ImageSequence.Iterator(image)]

    def info(self) -> VideoInfo:
        """The facts; the duration of a still image is 0."""
        durations = self._durations()
        total = sum(durations)
        fps = Fraction(len(durations) / total).limit_denominator(1001) if total > 0 else None
        return VideoInfo(
            *self.size,
            fps,
            len(durations),
            total,
            False,
            constant=len(set(durations)) == 1,
            codec=self.codec,
            container="image",
            metadata=self.metadata,
        )

    def frames(self, start: float, end: float) -> Iterator[Frame]:
        """The frames with start <= time < end."""
        if not self.animated:
            if start <= 0 < end:
                yield Frame(0.0, _load(self.path))
            return
        for time, picture, duration in self._pictures():
            if start <= time < end:
                yield Frame(time, _pixels(ImageOps.exif_transpose(picture)), duration)

    def masks(self) -> Iterator[Mask]:
        """Every frame as `read_mask` reads a still one."""
        for time, picture, duration in self._pictures():
            yield time, _greys(ImageOps.exif_transpose(picture)), duration

    def _pictures(self) -> Iterator[tuple[float, Image.Image, float]]:
        time = 0.0
        with _opened(self.path) as image:
            for picture in ImageSequence.Iterator(image):
                duration = _duration(picture)
                yield time, picture, duration
                time += duration

    def at(self, moments: Sequence[float]) -> Iterator[Frame]:
        """The frame that stands at each of the moments; an animated image is read from its beginning, each frame leaning on the last."""
        frames = self.frames(0.0, math.inf)
        shown = next(frames)
        coming = next(frames, None)
        for moment in moments:
            while coming is not None and coming.time <= moment + SLACK:
                shown, coming = coming, next(frames, None)
            yield shown


def _duration(picture: Image.Image) -> float:
    """How long a frame of an animated image stands; below 20 ms browsers show 100 ms, and so do we."""
    picture.load()  # WebP knows a frame's duration only once it is decoded
    milliseconds = float(picture.info.get("duration", 0))
    return milliseconds / 1000 if milliseconds >= 20 else 0.1


def _seconds(text: object) -> float | None:
    """A sane time out of an untrusted comment."""
    try:
        time = float(str(text))
    except ValueError:
        return None
    return time if 0 <= time < 1e9 else None


class Folder:
    """A folder of images in natural order, capitals or not; PNGs written by this program keep their times, others stand at a constant rate."""

    def __init__(self, path: Path, fps: Fraction) -> None:
        self.path = path
        self.files = sorted(
            (file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and not file.name.startswith(".")),
            key=lambda file: (natural_order(file.name.casefold()), file.name),
        )
        if not self.files:
            raise VideoError(
                f"{path} holds no images; give a folder of PNG, JPEG, WebP, BMP or TIFF frames, or a video"
            )
        with _opened(self.files[0]) as image:
            self.size = _upright_size(image)
            self.metadata = _comments(image)
        written = [self._written(file) for file in self.files]
        times = [time for time, _ in written if time is not None]
        self.keeps_times = len(times) == len(written) and all(a < b for a, b in zip(times, times[1:], strict=False))
        self.times = times if self.keeps_times else [float(i / fps) for i in range(len(self.files))]
        self.last = (self.keeps_times and written[-1][1]) or float(1 / fps)
        self.fps = fps

    @staticmethod
    def _written(file: Path) -> tuple[float | None, float | None]:
        """Time and duration in seconds that a PNG keeps, None for what it does not."""
        if file.suffix.lower() != ".png":
            return None, None
        with _opened(file) as image:
            return tuple(_seconds(image.info.get(key)) for key in (TIME_KEY, DURATION_KEY))  # type: ignore[return-value]

    def info(self) -> VideoInfo:
        """The facts, from the first image and the names."""
        end = self.times[-1] + self.last
        fps = (
            Fraction(len(self.times) / (end - self.times[0])).limit_denominator(1001) if self.keeps_times else self.fps
        )
        return VideoInfo(
            *self.size,
            fps,
            len(self.files),
            end,
            False,
            start=self.times[0],
            codec="images",
            container="folder",
            metadata=self.metadata,
        )

    def frames(self, start: float, end: float) -> Iterator[Frame]:
        """The frames with start <= time < end; one whose size differs from the first one's is an error."""
        return (self._frame(i) for i, time in enumerate(self.times) if start <= time < end)

    def at(self, moments: Sequence[float]) -> Iterator[Frame]:
        """The frame that stands at each of the moments; no other image is opened."""
        return (self._frame(max(0, bisect_right(self.times, moment + SLACK) - 1)) for moment in moments)

    def masks(self) -> Iterator[Mask]:
        """Every image as `read_mask` reads it."""
        return ((time, read_mask(self.files[i]), self._end(i) - time) for i, time in enumerate(self.times))

    def _frame(self, i: int) -> Frame:
        image = _load(self.files[i])
        if (image.shape[1], image.shape[0]) != self.size:
            wanted = "×".join(map(str, self.size))
            raise VideoError(
                f"{self.files[i]} has {image.shape[1]}×{image.shape[0]} pixels, the first frame {wanted}; all frames of a folder need one size"
            )
        return Frame(self.times[i], image, self._end(i) - self.times[i])

    def _end(self, i: int) -> float:
        return self.times[i + 1] if i + 1 < len(self.times) else self.times[i] + self.last
