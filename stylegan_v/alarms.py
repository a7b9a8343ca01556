"""Signs that a training has gone astray, read from a few fixed sample clips beside as many real ones.

Every figure is relative to the real clips, so that a quiet data set raises no alarm of its own. Clips of different z are expected,
the same z, t and motion_z every time, 8 clips and more of 8 frames and more, consecutive at the data's own rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from stylegan_v.config import Config

FROZEN = 0.05  # of the real clips' motion energy, whose median over 8 clips varies fivefold from draw to draw
RETURNING = 0.5  # of how much the real clips have changed after a period, beside the largest change within it
SHORT = 4  # frames of a period that is seen many times
SHAKY, SHAKY_LEAST = 0.4, 0.25  # of the way from the real clips' shakiness to that of independent frames, and so much at least
INDEPENDENT = 3.0  # shakiness of frames that have nothing to do with each other
ALIKE = 0.1  # of the real clips' squared distances
FLAT = 0.1  # of the real frames' contrast
FLAT_SHARE = 0.1  # more flat frames than this share
SATURATED, SATURATED_MORE = 0.99, 0.3  # a value from here on; so much larger a share of them than the real clips have
BLIND = 0.05  # mean logits of real clips above those of generated ones; sighted judges keep 0.3 and more, for good generators too
CONTENT = 32  # pixels a side at which clips are compared: grain makes no two clips different


@dataclass(frozen=True)
class Alarm:
    """One fault: its name, the figure that shows it, the bar it should have kept to, and what to try."""

    name: str
    figure: float
    bar: float
    hint: str

    def __str__(self) -> str:
        return f"{self.name}: {self.figure:.3g}, bar {self.bar:.3g}; {self.hint}"


@dataclass(frozen=True)
class ClipFigures(Config):
    """What `measure` finds in N clips, medians over clips unless said otherwise; plain numbers, to be kept with a run.

    `motion` is the mean squared difference of neighbouring frames; `shakiness` the mean squared second difference beside it (0 for
    even motion, 3 for independent frames, 4 for alternation); `returning` how much a clip has changed after a period beside the largest
    change within it, the least of all periods that fit in twice, those longer than 4 frames counting double (0 for a clip that repeats
    itself); `distance` the mean and `nearest` the median squared distance of a clip to the others and to the nearest of them; `contrast`
    a frame's standard deviation; `saturated` the share of values at either end; `broken` the share that are no finite numbers. Figures
    that need more frames or clips are not a number.
    """

    clips: int
    frames: int
    size: int
    motion: float
    shakiness: float
    returning: float
    distance: float
    nearest: float
    contrast: float
    saturated: float
    broken: float


@torch.no_grad()
def measure(clips: Tensor) -> ClipFigures:
    """Figures of clips [N, T, 3, H, W], in [-1, 1] and clamped to it; ValueError for another shape."""
    if clips.ndim != 5 or clips.shape[2] != 3 or 0 in clips.shape:
        raise ValueError(f"clips are {list(clips.shape)}, wanted [N, T, 3, H, W]")
    n, frames = clips.shape[:2]
    clips = clips.float()
    broken = 1 - float(clips.isfinite().float().mean())
    clips = clips.nan_to_num(0.0).clamp(-1, 1)
    motion = _changes(clips, 1)
    distance, nearest = _distances(clips)
    return ClipFigures(
        clips=n,
        frames=frames,
        size=clips.shape[-1],
        motion=_median(motion),
        shakiness=_median(_energy(clips.diff(n=2, dim=1)) / motion) if frames > 2 else math.nan,
        returning=_median(_returning(clips)),
        distance=distance,
        nearest=nearest,
        contrast=_median(_contrast(clips).flatten()),
        saturated=float((clips.abs() >= SATURATED).float().mean()),
        broken=broken,
    )


def watch(fake: Tensor, real: Tensor | ClipFigures) -> list[Alarm]:
    """Alarms of generated clips [N, T, 3, H, W] beside real ones, or their figures; empty where all is well.

    Frozen or repeating motion, shaking, one or few modes, flat or saturated frames, values that are no numbers. The real clips must be
    as many, as long and as large: distances to the nearest depend on it (ValueError).
    """
    reference = real if isinstance(real, ClipFigures) else measure(real)
    found = measure(fake)
    for name in ("clips", "frames", "size"):
        mine, theirs = getattr(found, name), getattr(reference, name)
        if mine != theirs:
            raise ValueError(f"generated clips have {name} {mine}, real ones {theirs}; compare as many clips of the same length and size")
    if found.broken:
        hint = "go back to the last good state; lower the learning rate, or train in fp32 or with conv_clamp 256"
        return [Alarm("not finite", found.broken, 0.0, hint)]
    return [*_motion_alarms(found, reference), *_mode_alarms(found, reference), *_frame_alarms(fake, found, reference)]


def blind(real: float, fake: float) -> list[Alarm]:
    """The alarm of judges that tell nothing apart, from the mean logits of real and generated clips over some steps."""
    if real - fake >= BLIND:
        return []
    hint = "the judges tell nothing apart, so the generator drifts: game.head_start and a game.generator_lr_factor below 1, or an earlier state"
    return [Alarm("blind judges", real - fake, BLIND, hint)]


def _motion_alarms(found: ClipFigures, real: ClipFigures) -> list[Alarm]:
    if found.motion < FROZEN * real.motion:
        hint = "motion is not learned: more frames a clip, longer spans, or a larger weight of motion in a paired start"
        return [Alarm("frozen motion", found.motion, FROZEN * real.motion, hint)]  # what little moves is noise
    alarms = []
    if found.returning < RETURNING * min(1.0, real.returning):
        hint = "clips repeat themselves: a longer shortest period of the motion codes, or a larger motion_z distance"
        alarms.append(Alarm("oscillating motion", found.returning, RETURNING * min(1.0, real.returning), hint))
    bar = real.shakiness + max(SHAKY * (INDEPENDENT - real.shakiness), SHAKY_LEAST)
    if found.shakiness > bar:
        hint = "motion shakes from frame to frame: a longer shortest period of the motion codes, or more frames a clip for the discriminator"
        alarms.append(Alarm("shaking motion", found.shakiness, bar, hint))
    return alarms


def _mode_alarms(found: ClipFigures, real: ClipFigures) -> list[Alarm]:
    if found.distance < ALIKE * real.distance:
        hint = "every z gives the same clip: a larger R1 gamma, a lower learning rate, a larger batch, or an earlier state"
        return [Alarm("one mode", found.distance, ALIKE * real.distance, hint)]
    if found.nearest < ALIKE * real.nearest:
        hint = "many z give the same few clips: a larger R1 gamma, a larger batch, or more augmentation for a small data set"
        return [Alarm("few modes", found.nearest, ALIKE * real.nearest, hint)]
    return []


def _frame_alarms(fake: Tensor, found: ClipFigures, real: ClipFigures) -> list[Alarm]:
    alarms = []
    flat = float((_contrast(fake.float().clamp(-1, 1)) < FLAT * real.contrast).float().mean())
    if flat > FLAT_SHARE:
        hint = "frames are of one colour: lower the learning rate, or go back to an earlier state"
        alarms.append(Alarm("dead frames", flat, FLAT_SHARE, hint))
    bar = min(real.saturated + SATURATED_MORE, 0.5 + real.saturated / 2)
    if found.saturated > bar:
        hint = "values lie at their ends: check that the data is in [-1, 1], lower the learning rate or p of the augmentation"
        alarms.append(Alarm("saturated frames", found.saturated, bar, hint))
    return alarms


def _energy(differences: Tensor) -> Tensor:
    """Mean square of each clip, [N]."""
    return differences.square().flatten(1).mean(dim=1)


def _changes(clips: Tensor, lag: int) -> Tensor:
    """Mean squared difference of frames `lag` apart, [N]; not a number where a clip is too short."""
    return _energy(clips[:, lag:] - clips[:, :-lag]) if clips.shape[1] > lag else clips.new_full((len(clips),), math.nan)


def _returning(clips: Tensor) -> Tensor:
    """How much of the largest change within a period is left after it, [N], the least of all periods that fit in twice."""
    least, within = clips.new_full((len(clips),), math.nan), _changes(clips, 1)
    for period in range(2, clips.shape[1] // 2 + 1):
        change = _changes(clips, period)
        returns = change / within * (1 if period <= SHORT else 2)  # a long period is seen a few times: it must come back twice as near
        least, within = torch.fmin(least, returns), torch.maximum(within, change)
    return least


def _distances(clips: Tensor) -> tuple[float, float]:
    """Mean squared distance of clips, and the median of that to the nearest other."""
    n = len(clips)
    if n < 2:
        return math.nan, math.nan
    size = min(CONTENT, clips.shape[-1])
    small = adaptive_avg_pool2d(clips.flatten(0, 1), size).unflatten(0, clips.shape[:2]).flatten(1)
    squared = torch.cdist(small, small, compute_mode="donot_use_mm_for_euclid_dist").square() / small.shape[1]
    others = squared.masked_fill(torch.eye(n, dtype=torch.bool, device=clips.device), math.inf)
    return float(squared.sum() / (n * (n - 1))), _median(others.amin(dim=1))


def _contrast(clips: Tensor) -> Tensor:
    """Standard deviation over the pixels of each frame, [N, T]."""
    return clips.flatten(3).std(dim=3, unbiased=False).mean(dim=2)


def _median(values: Tensor) -> float:
    """The middle of those that are numbers (0 / 0 of a still clip is none); not a number where there are none."""
    return float(values.nanmedian())
