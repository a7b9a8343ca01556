"""One video becomes clips: scenes, a crop, a size, a rate."""

from __future__ import annotations

import math
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from stylegan_v.config import Config
from vedit import video
from vedit.alignment import AlignmentError, AlignmentWarning, Crops, extract, find_crops
from vedit.data.likeness import signature, thumbnail
from vedit.data.scenes import split
from vedit.data.store import save_frame
from vedit.progress import Progress, Task
from vedit.timing import parse_rate
from vedit.video import Frame, VideoError, VideoWarning

TOLD = (VideoWarning, AlignmentWarning)  # warnings that are kept as notes


@dataclass(frozen=True)
class CutConfig(Config):
    """How videos become clips.

    `size` is the side of the square frames; `fps` their rate (None: as they come); `crop` is "center", "face" or "x,y,w,h"; scenes shorter
    than `least` frames are left out, longer ones than `most` are cut into several; `start` and `duration` are seconds of every video.
    """

    size: int = 256
    fps: str | None = None
    crop: str = "center"
    scenes: bool = True
    least: int = 16
    most: int | None = None
    start: float | None = None
    duration: float | None = None
    format: Literal["jpg", "png"] = "jpg"
    quality: int = 95

    def __post_init__(self) -> None:
        self._require_counts("size", least=4, most=4096)
        self._require_counts("least")
        self._require_counts("quality", most=100)
        if self.most is not None:
            self._require_counts("most", least=self.least)
        self._require(self.format in ("jpg", "png"), "format", "'jpg' or 'png'")
        self._require(self.start is None or 0 <= self.start < math.inf, "start", "seconds of 0 or more")
        self._require(self.duration is None or 0 < self.duration < math.inf, "duration", "seconds above 0")
        self._require(self.crop == "face" or not self.crop.startswith(("auto", "face")), "crop", "'center', 'face' or 'x,y,w,h'")
        find_crops([], self.crop if self.crop != "face" else "center")  # raises AlignmentError for what is no crop
        if self.fps is not None:
            parse_rate(self.fps)

    @property
    def rate(self) -> Fraction | None:
        """The rate of the clips, None for that of each video."""
        return None if self.fps is None else parse_rate(self.fps)


def counted(frames: int) -> str:
    """A number of frames in words.

    >>> counted(1), counted(3)
    ('1 frame', '3 frames')
    """
    return f"{frames} frame" + "s" * (frames != 1)


@dataclass
class Cut:
    """What became of one video: its clips (as prepared.json lists them, with their signatures), what was left out and why, and oddities."""

    clips: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def cut(source: Path, name: str, cfg: CutConfig, folder: Path) -> Task[dict[str, Any]]:
    """Write the clips of a video as `folder/NAME-0000/000000.jpg …`; returns the plain data of a `Cut`.

    A video that cannot be read, or in which the crop has no place, is left out with the reason; one that is damaged gives what can be read.
    """
    result = Cut()
    with warnings.catch_warnings(record=True) as said:
        for kind in TOLD:
            warnings.simplefilter("always", kind)
        try:
            crops = (yield from _face_crops(source, cfg)) if cfg.crop == "face" else None
            yield from _write(source, name, cfg, folder, crops, result)
        except (VideoError, AlignmentError) as error:
            for clip in folder.iterdir():
                shutil.rmtree(clip)
            result = Cut(left_out=[{"source": str(source), "reason": str(error).removeprefix(str(source)).lstrip(":/ ")}])
    result.notes += sorted({str(warning.message) for warning in said if issubclass(warning.category, TOLD)})
    return asdict(result)


def _frames(source: Path, cfg: CutConfig) -> Iterator[tuple[int, Frame]]:
    """The frames at the wanted rate, with the numbers of their scenes; images of a folder keep no times and are all taken."""
    rate = cfg.rate
    frames = video.read(source, start=cfg.start, duration=cfg.duration, fps=rate or 25)
    return split(video.at_rate(frames, rate) if rate else frames, cfg.scenes)


def _face_crops(source: Path, cfg: CutConfig) -> Task[list[Crops]]:
    """The crops of every scene; their kind is "face" where most pictures show one."""
    crops = []
    yield Progress("faces", 0, None, source.name)
    for scene, group in groupby(_frames(source, cfg), key=itemgetter(0)):
        crops.append(find_crops((frame for _, frame in group), "auto"))
        yield Progress("faces", scene + 1, None, source.name)
    return crops


def _write(source: Path, name: str, cfg: CutConfig, folder: Path, crops: list[Crops] | None, result: Cut) -> Task[None]:
    seen = 0
    for scene, group in groupby(_frames(source, cfg), key=itemgetter(0)):
        clip: _Clip | None = None
        for index, (_, frame) in enumerate(group):
            if crops is not None and crops[scene].kind != "face":
                clip = clip or _Clip(source, folder / name, cfg, frame, crops[scene][index])
                clip.skip(frame)
                continue
            if clip is not None and clip.frames == cfg.most:
                clip.close(result)
                clip = None
            matrix = find_crops([frame], cfg.crop)[0] if crops is None else crops[scene][index]
            clip = clip or _Clip(source, folder / f"{name}-{len(result.clips):04d}", cfg, frame, matrix)
            clip.add(frame, extract(frame.image, matrix, cfg.size))
            seen += 1
            yield Progress("cut", seen, None, source.name)
        if clip is not None:
            clip.close(result)


class _Clip:
    """A clip that is being written."""

    def __init__(self, source: Path, folder: Path, cfg: CutConfig, first: Frame, matrix: Any) -> None:
        self.source, self.folder, self.cfg = source, folder, cfg
        self.start = self.end = first.time
        self.frames = self.skipped = 0
        self.thumbnails: list[Tensor] = []
        self.matrix = matrix

    def add(self, frame: Frame, image: Tensor) -> None:
        """Write a frame, uint8 [S, S, 3]."""
        if not self.frames:
            self.folder.mkdir()
        save_frame(image, self.folder, self.frames, self.cfg.format, self.cfg.quality)
        self.thumbnails.append(thumbnail(image.permute(2, 0, 1)))
        self.frames += 1
        self.end = frame.time + frame.duration

    def skip(self, frame: Frame) -> None:
        """Count a frame that is not written."""
        self.skipped += 1
        self.end = frame.time + frame.duration

    def close(self, result: Cut) -> None:
        """Keep the clip if it is long enough."""
        about = {"source": str(self.source), "start": round(self.start, 6), "end": round(self.end, 6)}
        if self.skipped:
            result.left_out.append(about | {"reason": f"no face in most of its {self.skipped} frames"})
        elif self.frames < self.cfg.least:
            shutil.rmtree(self.folder)
            result.left_out.append(about | {"reason": f"{counted(self.frames)}, wanted at least {self.cfg.least}"})
        else:
            side = math.hypot(self.matrix[0][0], self.matrix[1][0])
            if side < self.cfg.size:
                result.notes.append(f"{self.folder.name}: a crop of {side:.0f} pixels was enlarged to {self.cfg.size}")
            crop = [[round(float(value), 3) for value in row] for row in self.matrix]
            known: dict[str, Any] = {"name": self.folder.name, "frames": self.frames, "crop": crop}
            if not self.source.is_dir():  # a folder's images have no times of their own
                known["fps"] = round(self.frames / max(self.end - self.start, 1e-6), 3)
            result.clips.append(known | about | {"signature": signature(self.thumbnails).tobytes().hex()})
