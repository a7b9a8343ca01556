"""Writing video: frames as they come, at exact times, with the sound of a source, whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np

from vedit.pixels import save_png
from vedit.video.codecs import Codec, check_crf, check_path, find_codec
from vedit.video.info import Pixels, VideoError
from vedit.video.movie import Movie
from vedit.video.schedule import Schedule, plan
from vedit.video.sound import SoundKind, SoundPlan
from vedit.video.stills import DURATION_KEY, TIME_KEY

_GIF_TICK = Fraction(1, 100)
_FRAME_NAME = re.compile(r"\d{6,}\.png")


@dataclass(frozen=True)
class Written:
    """What was written: where, how many frames, when the last one ends (seconds), and what became of the sound."""

    path: Path
    frames: int
    duration: float
    sound: SoundKind


class _Film(Protocol):
    """Where frames go."""

    @property
    def sound_kind(self) -> SoundKind: ...

    def add(self, image: Pixels, i: int) -> None: ...

    def finish(self, count: int) -> None: ...

    def abort(self) -> None: ...


def write(
    path: str | Path,
    frames: Iterable[Pixels],
    *,
    fps: str | float | Fraction | None = None,
    times: Sequence[float] | None = None,
    last_duration: float | None = None,
    codec: str = "h264",
    crf: float | None = None,
    audio_from: str | Path | None = None,
    audio_start: float = 0.0,
    audio_end: float | None = None,
    audio_speed: float = 1.0,
    extend_silence: float = 0.0,
    metadata: Mapping[str, str] | None = None,
) -> Written:
    """Write `frames`, uint8 [H, W, 3] RGB each, taken one by one, to `path`; the file appears only when it is whole.

    Times: a constant rate `fps` (exact), or `times`, one per frame in seconds from 0 (exact where a constant rate explains them, else
    to 1/120000 s; Matroska and WebM round to 1 ms, GIF to 10 ms); the last frame stands for `last_duration`, else as long as the one
    before it.

    Codecs: h264 and hevc (mp4, mov, mkv), av1 (mp4, mkv, webm), vp9 (webm, mkv, mp4), prores (mov, mkv), ffv1 (mkv, mp4) and png
    (a folder), both lossless, gif. Colours are tagged and converted as bt709. The size is never changed: h264 and hevc store odd sizes
    as 4:4:4, since 4:2:0 needs even ones. `crf` is the quality of h264, hevc, av1 and vp9.

    Sound: that of the file `audio_from`, whose second `audio_start` is heard at 0. It ends at the source's second `audio_end`, else
    with the written pictures, or with the source where they reach its last frame. Packets are copied unchanged where the container
    takes them, else encoded (AAC, Opus), as they are when `audio_speed` is not 1. `extend_silence` seconds of silence follow. GIF and
    png hold no sound.

    Raises VideoError (nothing is left behind) for no frames, frames of another size, a count that differs from that of `times`, and
    settings that do not fit together.
    """
    target, chosen = Path(path), find_codec(codec)
    check_path(chosen, target)
    quality = check_crf(chosen, crf)
    schedule = plan(fps, times, last_duration, _GIF_TICK if codec == "gif" else None)
    sound = None
    if audio_from is not None:
        sound = SoundPlan(Path(audio_from), audio_start, audio_end, audio_speed, extend_silence)
    if not target.parent.is_dir():
        raise VideoError(f"there is no folder {target.parent} to write {target.name} to; make it first")
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    with _explained(target):
        film = _film(beside, target, chosen, quality, schedule, sound, dict(metadata or {}))
    try:
        count = _fill(film, frames, schedule, target)
        if codec == "gif" and metadata:
            _comment_gif(beside, "; ".join(f"{key}={value}" for key, value in metadata.items()))
        _replace(beside, target)
    except BaseException:  # Ctrl-C too: nothing half-written stays
        film.abort()
        _remove(beside)
        raise
    return Written(target, count, schedule.end(count), film.sound_kind)


def _film(
    beside: Path,
    target: Path,
    codec: Codec,
    crf: float | None,
    schedule: Schedule,
    sound: SoundPlan | None,
    metadata: dict[str, str],
) -> _Film:
    if codec.name == "png":
        _check_replaceable(target)
        return _Pictures(beside, schedule, metadata)
    return Movie(beside, target.suffix.lower(), codec, crf, schedule, None if codec.name == "gif" else sound, metadata)


def _fill(film: _Film, frames: Iterable[Pixels], schedule: Schedule, target: Path) -> int:
    """Hand every frame to the film and finish it; returns their count."""
    count, size = 0, None
    for image in frames:
        array = np.asarray(image)
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
            raise VideoError(f"frame {count} is {array.dtype} {list(array.shape)}; uint8 pixels [H, W, 3] are wanted")
        size = size or array.shape
        if array.shape != size:
            raise VideoError(
                f"frame {count} has {array.shape[1]}×{array.shape[0]} pixels, the first one {size[1]}×{size[0]}; all frames need one size"
            )
        if schedule.count is not None and count >= schedule.count:
            raise VideoError(f"found more frames than the {schedule.count} times given for them")
        with _explained(target):
            film.add(np.ascontiguousarray(array), count)
        count += 1
    if not count:
        raise VideoError(f"found no frames to write to {target}")
    if schedule.count is not None and count < schedule.count:
        raise VideoError(f"found {count} frames for {schedule.count} times; as many are wanted")
    with _explained(target):
        film.finish(count)
    return count


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    """Turn what an encoder, a container or the disk refuses into VideoError."""
    try:
        yield
    except VideoError:
        raise
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(
            f"could not write {target} ({error.strerror or error}); check the folder, the space on the disk, or choose another codec"
        ) from error


class _Pictures:
    """A folder of PNG pictures, each of which keeps its time and the metadata as comments."""

    def __init__(self, folder: Path, schedule: Schedule, metadata: dict[str, str]) -> None:
        self.folder, self.schedule, self.metadata = folder, schedule, metadata
        self.sound_kind: SoundKind = "none"
        folder.mkdir()

    def add(self, image: Pixels, i: int) -> None:
        """Write picture number i."""
        moment = {
            TIME_KEY: repr(self.schedule.seconds(i)),
            DURATION_KEY: repr(float(self.schedule.duration(i) * self.schedule.base)),
        }
        save_png(self.folder / f"{i:06d}.png", image, {**self.metadata, **moment})

    def finish(self, count: int) -> None:
        """All pictures are written as they come."""

    def abort(self) -> None:
        """Nothing is held open."""


def _check_replaceable(folder: Path) -> None:
    """Raise VideoError unless `folder` is missing, empty or holds nothing but frames of ours."""
    if folder.is_dir() and any(not _FRAME_NAME.fullmatch(item.name) for item in folder.iterdir()):
        raise VideoError(f"{folder} holds other files than numbered PNG frames; give the name of a new folder")


def _replace(beside: Path, target: Path) -> None:
    """Put what was written where it belongs; an older folder of frames is moved away first, since a folder cannot be replaced at once."""
    if target.is_dir():
        old = target.with_name(f".{target.name}.{os.getpid()}.old")
        target.rename(old)
        beside.rename(target)
        shutil.rmtree(old)
    else:
        beside.replace(target)


def _remove(beside: Path) -> None:
    if beside.is_dir():
        shutil.rmtree(beside, ignore_errors=True)
    else:
        beside.unlink(missing_ok=True)


def _comment_gif(path: Path, comment: str) -> None:
    """Add a comment to a GIF, which FFmpeg cannot: a block after the header and the global colour table."""
    data = path.read_bytes()
    table = 3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0
    text = comment.encode("utf-8")
    blocks = b"".join(bytes([len(text[i : i + 255])]) + text[i : i + 255] for i in range(0, len(text), 255))
    path.write_bytes(data[: 13 + table] + b"\x21\xfe" + blocks + b"\0" + data[13 + table :])
