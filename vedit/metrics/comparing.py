"""How near two sets of clips are: FID, KID, precision and recall of frames, FVD of windows, each with a spread over repeats."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import stylegan_v
from stylegan_v.config import Config
from stylegan_v.metrics.frechet import FeatureStatistics
from stylegan_v.metrics.kernel import kernel_distance
from stylegan_v.metrics.precision_recall import NEIGHBOURS, precision_recall
from stylegan_v.metrics.windows import CLIPS, WINDOWS, Choices
from vedit import models
from vedit.devices import pick_device
from vedit.errors import VeditError
from vedit.frame_store import FrameStore
from vedit.metrics.features import (
    CLIP_FEATURES,
    FRAME_FEATURES,
    Features,
    figure_name,
    load_clip_features,
    load_frame_features,
    pick,
)
from vedit.metrics.sources import Source, common_size, open_source
from vedit.progress import Progress, Task

FRAME_METRICS = ("fid", "kid", "pr")
METRICS = (*FRAME_METRICS, *WINDOWS)
BATCH = 32  # rows of features at a time; their frames are never more than 32 windows'
TOGETHER = 32  # frames that become features at a time


class MetricsError(VeditError, ValueError):
    """A comparison cannot be made as asked."""


@dataclass(frozen=True)
class Settings(Config):
    """What to compute: metrics and features by name, clips (or frames) a side, and the seeds `seed`, `seed + 1`, … of the repeats."""

    metrics: tuple[str, ...] = ("fid", "fvd16")
    features: tuple[str, ...] = ("auto",)
    clips: int = CLIPS
    seed: int = 0
    repeats: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", tuple(dict.fromkeys(self.metrics)))
        object.__setattr__(self, "features", tuple(self.features))
        self._require(bool(self.metrics) and set(self.metrics) <= set(METRICS), "metrics", f"some of {', '.join(METRICS)}")
        self._require_counts("clips", least=2)
        self._require_counts("repeats")
        self._require_counts("seed", least=0, most=(1 << 31) - 1)


@dataclass(frozen=True)
class Figure:
    """A metric's figures, one for each repeat; `spread` is their standard deviation, None for a single one."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the repeats."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """Standard deviation over the repeats."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Sample:
    """What one side of a metric saw: `rows` clips or frames, and how many videos were too short and left out."""

    rows: int
    left_out: int


@dataclass(frozen=True)
class Comparison:
    """Figures by name, and what they were taken from: both sides at `size`, samples by what was sampled ("frames" or the window)."""

    real: str
    fake: str
    size: int
    settings: Settings
    figures: dict[str, Figure]
    samples: dict[str, dict[str, Sample]]
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        figures = {name: {"mean": found.mean, "spread": found.spread, "values": list(found.values)} for name, found in self.figures.items()}
        sides = {"real": self.real, "fake": self.fake, "size": self.size}
        samples = {what: {side: asdict(sample) for side, sample in sides.items()} for what, sides in self.samples.items()}
        return {"metrics": figures, **sides, "samples": samples, "settings": self.settings.to_dict(), "notes": list(self.notes)}


def compare(
    real: Source | str | Path, fake: Source | str | Path, settings: Settings | None = None, *, device: str = "auto", store: FrameStore | None = None
) -> Task[Comparison]:
    """Hold generated clips against real ones; what either can be is said at `vedit.metrics.sources.open_source`.

    Features of the real side are kept in `store` (by default in the user's cache) under a hash of everything they depend on.
    Memory grows by up to 8 kB a clip or frame, whatever its size. Raises MetricsError, SourceError, FeaturesError and
    what loading generators, weights and videos raises.
    """
    settings, device = settings or Settings(), pick_device(device)
    store = store or FrameStore(models.features_dir())
    sides = {"real": _opened(real, device), "fake": _opened(fake, device)}
    sides["fake"].take_labels_of(sides["real"])
    size = common_size(sides["real"], sides["fake"])
    values: dict[str, list[float]] = {}
    samples: dict[str, dict[str, Sample]] = {}
    notes: list[str] = []
    for what, features in _plan(settings, device).items():
        for repeat in range(settings.repeats):
            rows = {}
            for number, (side, source) in enumerate(sides.items()):
                choices = _choices(source, what, settings, repeat, number)
                samples.setdefault(what, {})[side] = _counted(source, what, choices, settings)
                rows[side] = yield from _rows(source, what, side, choices, size, features, store if side == "real" else None)
            rng = torch.Generator().manual_seed(settings.seed + repeat)
            for name, value in _figures(what, settings.metrics, rows["real"], rows["fake"], features.name, rng):
                values.setdefault(name, []).append(value)
        notes.extend(_notes(what, settings, samples[what], features))
    figures = {name: Figure(tuple(found)) for name, found in values.items()}
    return Comparison(sides["real"].name, sides["fake"].name, size, settings, figures, samples, tuple(notes))


def require(source: Source, settings: Settings, device: str = "auto") -> None:
    """Raise what a comparison with this source would, as far as the source and the features tell."""
    for what in _plan(settings, pick_device(device)):
        _counted(source, what, _choices(source, what, settings, 0, 0), settings)


def _opened(what: Source | str | Path, device: str) -> Source:
    return what if isinstance(what, Source) else open_source(what, device)


def _plan(settings: Settings, device: str) -> dict[str, Features]:
    """What is sampled ("frames", "fvd16", …) and the features of it; every network is loaded once."""
    frames = [name for name in settings.metrics if name in FRAME_METRICS]
    windows = [name for name in settings.metrics if name in WINDOWS]
    plan: dict[str, Features] = {}
    names = (pick(settings.features, FRAME_FEATURES, frames) if frames else "", pick(settings.features, CLIP_FEATURES, windows) if windows else "")
    if frames:
        plan["frames"] = load_frame_features(names[0], device)
    if windows:
        features = load_clip_features(names[1], device)
        plan |= {name: features for name in windows}
    return plan


def _choices(source: Source, what: str, settings: Settings, repeat: int, side: int) -> Choices:
    """What a repeat sees of one side; the sides of one repeat, and repeats, are drawn apart."""
    rng = torch.Generator().manual_seed(2 * (settings.seed + repeat) + side)
    if what == "frames":
        return source.moments(settings.clips, rng, side)
    return source.windows(WINDOWS[what], settings.clips, rng, side)


def _counted(source: Source, what: str, choices: Choices, settings: Settings) -> Sample:
    sample = Sample(_row_count(what, choices), choices.left_out)
    needed = NEIGHBOURS + 1 if what == "frames" and "pr" in settings.metrics else 2
    if sample.rows < needed:
        wanted = "frames" if what == "frames" else f"videos of {WINDOWS[what].length} frames"
        remedy = "ask for more" if settings.clips < needed else "add more, or cut long ones into several (`vedit data prepare --most N`)"
        raise MetricsError(f"{source.name} gives {sample.rows} {wanted}, and {what} needs at least {needed}; {remedy}")
    return sample


def _row_count(what: str, choices: Choices) -> int:
    return sum(len(choice.frames) for choice in choices.chosen) if what == "frames" else len(choices.chosen)


def _rows(source: Source, what: str, side: str, choices: Choices, size: int, features: Features, store: FrameStore | None) -> Task[Tensor]:
    """Features [N, K] of the choices, from the store where they are there."""
    count = _row_count(what, choices)
    stage = f"{what}, {side}"
    yield Progress(stage, 0, count)

    def computed() -> Iterator[Tensor]:
        return (part[:, None, None, :] for part in _computed(source, what, choices, size, features))

    shape = (count, 1, 1, features.width)
    parts = computed() if store is None else store.through(_key(source, what, choices, size, features), shape, computed, BATCH)
    found = torch.empty(count, features.width)
    done = 0
    for part in parts:
        found[done : done + len(part)] = part[:, 0, 0]
        done += len(part)
        yield Progress(stage, done, count)
    if not found.isfinite().all():
        raise MetricsError(f"features {features.name} of {source.name} are not finite; its frames are broken (look at them with `vedit generate`)")
    return found


def _computed(source: Source, what: str, choices: Choices, size: int, features: Features) -> Iterator[Tensor]:
    """Features in order, [n, K] on the CPU, of about 32 frames, or one clip, at a time."""
    pending: list[Tensor] = []
    for clip in source.clips(choices.chosen, size):
        pending.append(clip)
        if sum(len(part) for part in pending) >= TOGETHER:
            yield _features(pending, what, features)
            pending = []
    if pending:
        yield _features(pending, what, features)


def _features(clips: Sequence[Tensor], what: str, features: Features) -> Tensor:
    return features(torch.cat(list(clips)) if what == "frames" else torch.stack(list(clips))).float().cpu()


def _figures(what: str, metrics: Sequence[str], real: Tensor, fake: Tensor, features: str, rng: torch.Generator) -> Iterator[tuple[str, float]]:
    """Every figure that was asked for of this sample, by name."""
    if what != "frames":
        yield figure_name(what, features), _frechet(real, fake)
    elif "fid" in metrics:
        yield figure_name("fid", features), _frechet(real, fake)
    if what == "frames" and "kid" in metrics:
        yield figure_name("kid", features), kernel_distance(real, fake, rng).mean
    if what == "frames" and "pr" in metrics:
        found = precision_recall(real, fake)
        yield figure_name("precision", features), found.precision
        yield figure_name("recall", features), found.recall


def _frechet(real: Tensor, fake: Tensor) -> float:
    sides = FeatureStatistics(), FeatureStatistics()
    for side, rows in zip(sides, (real, fake), strict=True):
        side.add(rows)
    return sides[0].distance(sides[1])


def _notes(what: str, settings: Settings, samples: dict[str, Sample], features: Features) -> Iterator[str]:
    """What a reader of the figures has to know."""
    unit = "frames" if what == "frames" else "clips"
    if (what != "frames" or "fid" in settings.metrics) and (fewest := min(sample.rows for sample in samples.values())) <= features.width:
        metric = "fid" if what == "frames" else what
        yield f"{figure_name(metric, features.name)}: {fewest} {unit} of {features.width} features, which makes it too large; compare it at equal counts only"
    for side, sample in samples.items():
        if sample.rows < settings.clips:
            yield f"{what}, {side}: {sample.rows} {unit} instead of {settings.clips}, there are no more"
        if sample.left_out:
            yield f"{what}, {side}: {sample.left_out} videos are shorter than {WINDOWS[what].length} frames and were left out"


def _key(source: Source, what: str, choices: Choices, size: int, features: Features) -> str:
    """A hash of all that features depend on: data, choice, size, network, and the code that draws and computes them."""
    chosen = [[choice.clip, choice.frames] for choice in choices.chosen]
    text = json.dumps([_code(), source.identity, "frames" if what == "frames" else "clips", chosen, size, features.identity])
    return hashlib.sha256(text.encode()).hexdigest()[:40]


@lru_cache(maxsize=1)
def _code() -> str:
    """A hash of the sources by which clips become features."""
    package, core = Path(__file__).parents[1], Path(stylegan_v.__file__).parent
    folders = (core, *(package / name for name in ("alignment", "metrics", "perceptual", "video", "worlds")))
    files = [package / "pixels.py", *(file for folder in folders for file in sorted(folder.rglob("*.py")))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
