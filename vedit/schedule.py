"""Which moments of a clip are rendered, and when each of them is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from vedit.errors import VeditError
from vedit.timing import finite, parse_rate, resample, respeed, subdivide

LONGEST = 24 * 3600.0  # seconds that a clip can be extended by
PREVIEWED = 48  # frames of a preview at most


class RenderError(VeditError, ValueError):
    """A render cannot be made as asked."""


@dataclass(frozen=True)
class Schedule:
    """Moments of the clip to be rendered (seconds, as the source counts them), and when each is shown."""

    moments: list[float]
    shown: list[float]
    last_duration: float
    audio_start: float
    audio_end: float | None
    whole: bool


def schedule(
    times: Sequence[float],
    end: float,
    *,
    fps: str | float | Fraction | None = None,
    factor: int | None = None,
    speed: float = 1.0,
    first: float | None = None,
    last: float | None = None,
    extend: float = 0.0,
    lead: bool = True,
) -> Schedule:
    """Which moments of a clip to render. `first` and `last` are seconds from the clip's first frame, `extend` seconds beyond its end.

    Factor K gives K frames an interval, those of the source unchanged among them; `fps` a constant rate over the clip. With `lead`
    a picture that begins a little after its container's zero keeps that offset; a clip cut from its source's middle has none.
    """
    origin, speed = times[0], finite("speed", speed)
    if speed <= 0:
        raise RenderError(f"found the speed {speed:g}; give a number above 0, such as 0.5")
    if len(times) == 1 and (fps is not None or (factor or 1) > 1) and end <= origin:
        raise RenderError("a photograph has no length to be divided into frames; set it in motion: --motion-seed 3, --motion-from PROJECT or --extend 4")
    if fps is not None:
        moments = resample(origin, end, parse_rate(fps) / Fraction(speed))
    else:
        moments = subdivide(times, factor or 1)
    interval = moments[-1] - moments[-2] if len(moments) > 1 else max(end - origin, 0.04)
    if extend:
        begin = moments[-1]
        moments = moments + [begin + (i + 1) * interval for i in range(round(lasting(extend) / interval))]
    low = origin + (first or 0.0) - 1e-9
    high = float("inf") if last is None else origin + last - 1e-9
    kept = [moment for moment in moments if low <= moment < high]
    if not kept:
        raise RenderError(f"nothing of the clip lies from {first or 0:g} s to {last if last is not None else 'its end'}; it is {end - origin:.3f} s long")
    whole = kept[0] == moments[0]
    # With the offset the sound keeps its place.
    shift = 0.0 if lead and whole and origin < 1.0 and speed == 1 else kept[0]
    shown = respeed([moment - shift for moment in kept], speed)
    stop = min(end, high) if extend or last is not None else None
    # Frame for frame, the last one stands as long as in the source, which may differ from the interval before it.
    as_source = fps is None and kept[-1] == times[-1] < end and (factor or 1) == 1 and not extend
    return Schedule(kept, shown, (end - times[-1] if as_source else interval) / speed, shift, stop, whole)


def previewed(plan: Schedule, most: int = PREVIEWED) -> Schedule:
    """Every k-th frame of a schedule, so that `most` remain at most; each stands until the next one did, and the whole is as long.

    >>> plan = Schedule([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 2.0, 3.0, 4.0], 1.0, 0.0, None, True)
    >>> previewed(plan, 3).shown, previewed(plan, 2).last_duration
    ([0.0, 2.0, 4.0], 2.0)
    """
    step = -(-len(plan.moments) // most)
    shown = plan.shown[::step]
    return replace(plan, moments=plan.moments[::step], shown=shown, last_duration=plan.shown[-1] + plan.last_duration - shown[-1])


def lasting(seconds: float, what: str = "extension") -> float:
    """`seconds` if that is a length to render, or RenderError naming it."""
    if not 0 < finite(f"the {what}", seconds) <= LONGEST:
        raise RenderError(f"found an {what} of {seconds:g} s; give more than 0 and at most {LONGEST:g}")
    return seconds
