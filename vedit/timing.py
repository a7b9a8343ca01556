"""Moments in time: rates, resampling, subdividing and the small languages in which a person writes them.

Times are seconds, rates are exact fractions of frames per second. Nothing here knows of files or tensors.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction

from vedit.errors import VeditError

TOLERANCE = 1e-6
"""Two moments closer than this many seconds are the same moment."""

MAX_RATE = 100_000
"""The highest rate, in frames per second, that a container's time base can still tell apart."""

_NTSC = {"23.976": 24, "23.98": 24, "29.97": 30, "47.952": 48, "47.95": 48, "59.94": 60, "119.88": 120, "239.76": 240}
_SECONDS = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)(?:s|sec)?")


class TimingError(VeditError, ValueError):
    """A rate, time or list of them that makes no sense; one line says what was found and what is wanted."""


def finite(name: str, value: float) -> float:
    """Return `value` as a float, or raise TimingError naming it when it is nan or infinite.

    >>> finite("start", 2)
    2.0
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise TimingError(f"{name} is {value!r}; give a number") from None
    if not math.isfinite(number):
        raise TimingError(f"{name} is {number}; give a finite number")
    return number


def positive(name: str, value: float) -> float:
    """Return `value` as a float, or raise TimingError naming it unless it is finite and above zero.

    >>> positive("speed", 0)
    Traceback (most recent call last):
    vedit.timing.TimingError: speed is 0; give a number above 0
    """
    number = finite(name, value)
    if number <= 0:
        raise TimingError(f"{name} is {number:g}; give a number above 0")
    return number


def parse_rate(rate: str | float | Fraction) -> Fraction:
    """Read a frame rate: "25", "30000/1001", "12.5", a number or a fraction; in (0, 100000].

    The decimals that broadcasters write for their rates (23.976, 29.97, 59.94, …) mean 24000/1001 and so on.

    >>> parse_rate("30000/1001"), parse_rate("25"), parse_rate("59.94"), parse_rate(12.5)
    (Fraction(30000, 1001), Fraction(25, 1), Fraction(60000, 1001), Fraction(25, 2))
    """
    text = str(rate).strip()
    wanted = "give frames per second, such as 25, 29.97 or 30000/1001"
    if text in _NTSC:
        return Fraction(_NTSC[text] * 1000, 1001)
    try:
        value = Fraction(text).limit_denominator(1_000_000)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise TimingError(f"found the frame rate {text!r}; {wanted}") from None
    if not 0 < value <= MAX_RATE:
        raise TimingError(f"found the frame rate {text}; {wanted}, above 0 and at most {MAX_RATE}")
    return value


def parse_time(text: str | float) -> float:
    """Read a moment or a length in seconds: "1.5", "1.5s", "02:03.5" (minutes), "1:02:03" (hours).

    >>> parse_time("1.5s"), parse_time("02:03.5"), parse_time("1:02:03"), parse_time(2)
    (1.5, 123.5, 3723.0, 2.0)
    """
    match = _SECONDS.fullmatch(str(text).strip().lower())
    if match is None:
        raise TimingError(
            f"found the time {text!r}; give seconds such as 1.5 or 1.5s, or minutes and seconds such as 2:03"
        )
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return finite("the time", hours * 3600 + minutes * 60 + seconds)


def parse_keyframes(text: str) -> tuple[tuple[float, float], ...]:
    """Read keyframes "TIME=VALUE,TIME=VALUE", times rising, as ((seconds, value), …); a lone number is one keyframe at 0.

    >>> parse_keyframes("0s=0,2s=1"), parse_keyframes("-0.5")
    (((0.0, 0.0), (2.0, 1.0)), ((0.0, -0.5),))
    """
    parts = [part.strip() for part in str(text).split(",")]
    if len(parts) == 1 and "=" not in parts[0]:
        parts = [f"0={parts[0]}"]
    keyframes = []
    for part in parts:
        time, equals, value = part.partition("=")
        if not equals:
            raise TimingError(
                f"found {part!r} among the keyframes {text!r}; write each as TIME=VALUE, such as 0s=0,2s=1"
            )
        keyframes.append((parse_time(time), finite(f"the value at {time.strip()}", value)))  # type: ignore[arg-type]
    if any(later[0] <= earlier[0] for earlier, later in zip(keyframes, keyframes[1:], strict=False)):
        raise TimingError(f"the keyframes {text!r} do not rise in time; order them, each time once")
    return tuple(keyframes)


def keyframe_value(keyframes: Sequence[tuple[float, float]], time: float) -> float:
    """The value at `time` on straight lines between keyframes; the first and the last value hold outside.

    >>> [keyframe_value([(0, 0), (2, 1)], time) for time in (-1, 0.5, 2, 9)]
    [0.0, 0.25, 1.0, 1.0]
    """
    if not keyframes:
        raise TimingError("found no keyframes; give at least one")
    if time <= keyframes[0][0]:
        return float(keyframes[0][1])
    for (t0, v0), (t1, v1) in zip(keyframes, keyframes[1:], strict=False):
        if time <= t1:
            return v0 + (v1 - v0) * (time - t0) / (t1 - t0)
    return float(keyframes[-1][1])


def parse_sweep(text: str) -> list[float]:
    """Read "FROM:TO:COUNT" as COUNT values from FROM to TO, both included, evenly spaced.

    >>> parse_sweep("-2:2:5"), parse_sweep("1:0:3")
    ([-2.0, -1.0, 0.0, 1.0, 2.0], [1.0, 0.5, 0.0])
    """
    wanted = "write FROM:TO:COUNT, such as -2:2:5, with a COUNT of 2 to 100"
    parts = str(text).split(":")
    try:
        first, last, count = float(parts[0]), float(parts[1]), int(parts[2])
    except (ValueError, IndexError):
        raise TimingError(f"found the sweep {text!r}; {wanted}") from None
    if len(parts) != 3 or not (math.isfinite(first) and math.isfinite(last)) or not 2 <= count <= 100:
        raise TimingError(f"found the sweep {text!r}; {wanted}")
    return [first + (last - first) * i / (count - 1) for i in range(count)]


def check_times(times: Sequence[float]) -> list[float]:
    """Return the frame times as floats, or raise TimingError when there are none or they do not rise.

    >>> check_times([0, 0.5])
    [0.0, 0.5]
    """
    checked = [finite(f"frame time {i}", time) for i, time in enumerate(times)]
    if not checked:
        raise TimingError("found no frame times; at least one frame is needed")
    for i, (earlier, later) in enumerate(zip(checked, checked[1:], strict=False)):
        if later <= earlier:
            raise TimingError(
                f"frame {i + 1} stands at {later:g} s, not after frame {i} at {earlier:g} s; frame times must rise"
            )
    return checked


def end_time(times: Sequence[float], last: float | None = None) -> float:
    """When the last frame ends: after `last` seconds where that is known, else after as long as the frame before it lasted.

    >>> end_time([0, 1, 3]), end_time([0, 1, 3], last=0.5), end_time([0])
    (5.0, 3.5, 0.0)
    """
    checked = check_times(times)
    if last is None:
        last = checked[-1] - checked[-2] if len(checked) > 1 else 0.0
    return checked[-1] + last


def subdivide(times: Sequence[float], factor: int) -> list[float]:
    """Split every interval into `factor` equal parts: n times become factor · n, and number factor · i is times[i] exactly.

    A variable rate is subdivided interval by interval; the last interval repeats the one before it.

    >>> subdivide([0, 1, 4], 2)
    [0.0, 0.5, 1.0, 2.5, 4.0, 5.5]
    """
    if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1:
        raise TimingError(f"found the factor {factor!r}; give a whole number of 1 or more")
    checked = check_times(times)
    if factor == 1:
        return checked
    if len(checked) == 1:
        raise TimingError(f"one frame has no interval to divide by {factor}; a clip of two frames or more is needed")
    ends = [*checked[1:], end_time(checked)]
    return [
        start + (end - start) * (i / factor) for start, end in zip(checked, ends, strict=True) for i in range(factor)
    ]


def resample(start: float, end: float, fps: str | float | Fraction) -> list[float]:
    """Times of a constant rate over [start, end): start + i / fps, each rounded once from the exact value.

    >>> resample(0.0, 0.2, 10), len(resample(0.0, 1.001, "30000/1001"))
    ([0.0, 0.1], 30)
    """
    first, last, rate = finite("start", start), finite("end", end), parse_rate(fps)
    if last <= first:
        raise TimingError(f"the end at {last:g} s is not after the start at {first:g} s; give an end above the start")
    # The clip's length is seldom exact in binary: a frame that would begin within the tolerance of the end is not wanted.
    count = max(1, math.ceil(Fraction(last - first - TOLERANCE) * rate))
    return [float(Fraction(first) + i / rate) for i in range(count)]


def respeed(times: Sequence[float], speed: float) -> list[float]:
    """Times after playing at `speed`: 2 is twice as fast, 0.5 half as fast; the first time stays.

    >>> respeed([1, 2, 4], 2)
    [1.0, 1.5, 2.5]
    """
    factor = positive("speed", speed)
    checked = check_times(times)
    return [checked[0] + (time - checked[0]) / factor for time in checked]


def constant_rate(times: Sequence[float], tolerance: float = 0.6e-3, usual: Sequence[Fraction] = ()) -> Fraction | None:
    """The constant rate that explains `times` to within `tolerance` seconds each, None if there is none (or fewer than 2 times).

    The tolerance admits the rounding to milliseconds of Matroska. A rate that explains the times exactly wins; else the first of
    `usual` that fits; else the better of the nearest whole rate and the nearest rate over 1001; else any fraction that fits.

    >>> (
    ...     constant_rate([i * 1001 / 30000 for i in range(50)]),
    ...     constant_rate([0, 0.04, 0.08]),
    ...     constant_rate([0, 0.04, 0.12]),
    ... )
    (Fraction(30000, 1001), Fraction(25, 1), None)
    """
    if len(times) < 2 or times[-1] <= times[0]:
        return None
    measured = (len(times) - 1) / (times[-1] - times[0])
    if measured > MAX_RATE:
        return None

    def error(rate: Fraction) -> float:
        interval = float(1 / rate)
        return max(abs(time - times[0] - i * interval) for i, time in enumerate(times))

    common = [Fraction(round(measured)), Fraction(round(measured * 1.001) * 1000, 1001)]
    fitted = [Fraction(measured).limit_denominator(limit) for limit in (10, 1001, 100_000)]
    errors = {rate: error(rate) for rate in [*usual, *common, *fitted] if rate > 0}
    exact = [rate for rate in errors if errors[rate] <= min(tolerance, 2e-6)]
    near = [*usual, *sorted(common, key=lambda rate: errors.get(rate, math.inf)), *fitted]
    return next((rate for rate in [*exact, *near] if errors.get(rate, math.inf) <= tolerance), None)


Place = tuple[int, int, float]


def between(moment: float, times: Sequence[float]) -> Place:
    """The frames of ascending `times` around a moment, and how far it lies from the first to the second, in [0, 1).

    >>> between(1.0, [0.0, 1.0, 3.0]), between(2.5, [0.0, 1.0, 3.0]), between(9.0, [0.0, 1.0, 3.0])
    ((1, 1, 0.0), (1, 2, 0.75), (2, 2, 0.0))
    """
    before = max(bisect_right(times, moment + 1e-6) - 1, 0)
    after = min(before + 1, len(times) - 1)
    share = (moment - times[before]) / (times[after] - times[before]) if after > before else 0.0
    return (before, after, share) if share > 1e-6 else (before, before, 0.0)
