"""Signs that a training goes wrong, read off generated clips beside real ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

LEAST_SPREAD = 0.25  # of the real clips' spread; below it contents have become alike
LEAST_MOTION, MOST_MOTION = 0.1, 10.0  # of the real clips' motion
MOST_EXTREME = 0.5  # share of values at the ends of the range, above the real clips'
SIZE = 32  # pixels: what differs between contents and moments is seen at this size


@dataclass(frozen=True)
class Alarm:
    """One sign: its kind, what was found beside the real clips', and what may help."""

    kind: str
    text: str

    def __str__(self) -> str:
        return self.text


def watch(fake: Tensor, real: Tensor) -> list[Alarm]:
    """Alarms of generated clips [N, T, 3, H, W] against as many real ones, both in [-1, 1]; empty where all looks well.

    Looked at: numbers that are not finite, clips that are all alike (mode collapse; with N ≥ 4), clips that stand still or flicker
    (T ≥ 2), and values driven to the ends of the range. With few clips it is a rough look, no measurement.
    """
    if not fake.isfinite().all():
        return [Alarm("numbers", "generated frames hold numbers that are not finite; go back to an earlier snapshot and lower lr")]
    found = []
    a, b = (_small(clips) for clips in (fake, real))
    if len(a) >= 4 and len(b) >= 4:
        ratio = _spread(a) / max(_spread(b), 1e-8)
        if ratio < LEAST_SPREAD:
            found.append(Alarm("contents", f"generated clips look alike: their spread is {ratio:.2f} of the real clips'; raise r1_gamma or give more data"))
    if a.shape[1] > 1:
        ratio = _motion(a) / max(_motion(b), 1e-8)
        if not LEAST_MOTION <= ratio <= MOST_MOTION:
            kind, what = ("still", "stand still") if ratio < 1 else ("flicker", "flicker")
            found.append(Alarm(kind, f"generated clips {what}: their motion is {ratio:.2g} times the real clips'; see max_span, min_period, the data's rate"))
    extreme = float((fake.abs() > 0.98).float().mean() - (real.abs() > 0.98).float().mean())
    if extreme > MOST_EXTREME:
        found.append(Alarm("extreme", f"{extreme:.0%} more of the generated values than of the real ones are black, white or pure; lower lr or raise r1_gamma"))
    return found


def _small(clips: Tensor) -> Tensor:
    """Clips at most SIZE pixels high, float32."""
    clips = clips.detach().float()
    if clips.shape[-1] <= SIZE:
        return clips
    return interpolate(clips.flatten(0, 1), size=(SIZE, SIZE), mode="area").unflatten(0, clips.shape[:2])


def _spread(clips: Tensor) -> float:
    """Root mean square distance of the clips' mean frames from their mean."""
    return float(clips.mean(dim=1).var(dim=0, unbiased=False).mean().sqrt())


def _motion(clips: Tensor) -> float:
    """Root mean square difference of neighbouring frames."""
    return float(torch.diff(clips, dim=1).square().mean().sqrt())
