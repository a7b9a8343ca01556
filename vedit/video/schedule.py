"""When each written frame stands: exact ticks of a container's time base from a constant rate or a list of times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from vedit.timing import check_times, constant_rate, parse_rate, positive
from vedit.video.info import VideoError

FINE = 120_000
"""Ticks per second for a variable rate: whole numbers for 24, 25, 30, 50, 60 and their 1000/1001 relatives times five."""


@dataclass(frozen=True)
class Schedule:
    """Ticks and durations of frames in units of `base` seconds; `rate` is what the container is told about the frame rate."""

    base: Fraction
    rate: Fraction
    ticks: tuple[int, ...] | None  # None: frame i stands at i * step, rounded
    step: Fraction
    last: int  # duration of the last frame of `ticks`

    @property
    def count(self) -> int | None:
        """How many frames are planned; None where any number may come."""
        return None if self.ticks is None else len(self.ticks)

    def tick(self, i: int) -> int:
        """When frame i begins."""
        return round(i * self.step) if self.ticks is None else self.ticks[i]

    def duration(self, i: int) -> int:
        """For how many ticks frame i stands."""
        if self.ticks is None:
            return self.tick(i + 1) - self.tick(i)
        return self.ticks[i + 1] - self.ticks[i] if i + 1 < len(self.ticks) else self.last

    def seconds(self, i: int) -> float:
        """When frame i begins, in seconds."""
        return float(self.tick(i) * self.base)

    def end(self, count: int) -> float:
        """When the last of `count` frames ends, in seconds."""
        return float((self.tick(count - 1) + self.duration(count - 1)) * self.base)


def plan(
    fps: str | float | Fraction | None,
    times: Sequence[float] | None,
    last: float | None,
    coarse: Fraction | None = None,
) -> Schedule:
    """Plan frames at a constant rate (`fps`) or at `times` (seconds, rising, from 0 on), one of the two.

    A constant rate is exact; so are times that a constant rate explains; others are rounded to 1/120000 s, each on its own. The
    last frame stands for `last` seconds, else as long as the one before it. `coarse` is the only time base a format has (GIF:
    1/100 s); VideoError when two frames would fall on one of its ticks.
    """
    if (fps is None) == (times is None):
        raise VideoError("found neither or both of fps and times; give one of them")
    if times is None:
        assert fps is not None
        rate = parse_rate(fps)
        base = coarse or 1 / rate
        if 1 / rate < base:
            raise VideoError(
                f"found {float(rate):g} frames per second; this format shows at most {float(1 / base):g}: lower the rate or choose another codec"
            )
        return Schedule(base, rate, None, 1 / rate / base, 0)
    return _plan_times(check_times(times), last, coarse)


def _plan_times(times: list[float], last: float | None, coarse: Fraction | None) -> Schedule:
    if times[0] < 0:
        raise VideoError(f"the first frame stands at {times[0]:g} s; frame times begin at 0 or later")
    constant = constant_rate(times, tolerance=2e-6)
    average = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 25.0
    rate = constant or Fraction(average).limit_denominator(1001) or Fraction(1)
    if coarse is not None:
        base, ticks = coarse, [round(Fraction(time) / coarse) for time in times]
    elif constant is not None:
        # A base that both the rate and an offset of the first frame fit into, the offset to some microseconds.
        base = Fraction(1, constant.numerator * math.ceil(FINE / constant.numerator))
        first, step = round(Fraction(times[0]) / base), 1 / constant / base
        ticks = [first + int(i * step) for i in range(len(times))]
    else:
        base, ticks = Fraction(1, FINE), [round(Fraction(time) * FINE) for time in times]
    for i in range(1, len(ticks)):
        if ticks[i] <= ticks[i - 1]:
            apart = f"frames {i - 1} and {i} stand {times[i] - times[i - 1]:g} s apart"
            raise VideoError(f"{apart}; this format tells {float(base):g} s: lower the rate or choose another codec")
    if last is not None:
        lasting = max(1, round(Fraction(positive("the last frame's duration", last)) / base))
    else:
        lasting = ticks[-1] - ticks[-2] if len(ticks) > 1 else max(1, round(1 / rate / base))
    return Schedule(base, rate, tuple(ticks), Fraction(0), lasting)
