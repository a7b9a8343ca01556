"""Moments: laws of subdividing and resampling, exact rates, and clear words for nonsense."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedit.errors import VeditError
from vedit.timing import (
    TimingError,
    constant_rate,
    end_time,
    keyframe_value,
    parse_keyframes,
    parse_rate,
    parse_sweep,
    parse_time,
    resample,
    respeed,
    subdivide,
)

RISING = st.lists(st.floats(0.001, 2), min_size=2, max_size=30).map(
    lambda steps: [sum(steps[:i]) for i in range(len(steps))]
)


@given(times=RISING, factor=st.integers(1, 9))
def test_subdividing_keeps_every_original_time(times: list[float], factor: int) -> None:
    fine = subdivide(times, factor)
    assert len(fine) == factor * len(times)
    assert fine[::factor] == times
    assert all(a < b for a, b in zip(fine, fine[1:]))
    assert end_time(fine) == pytest.approx(end_time(times), abs=1e-6)


@given(times=RISING, factor=st.integers(2, 6))
def test_subdividing_divides_interval_by_interval(times: list[float], factor: int) -> None:
    fine = subdivide(times, factor)
    for i in range(len(times) - 1):
        step = (times[i + 1] - times[i]) / factor
        for j in range(factor):
            assert fine[i * factor + j] == pytest.approx(times[i] + j * step, abs=1e-9)
    last = (times[-1] - times[-2]) / factor
    assert fine[-factor:] == pytest.approx([times[-1] + j * last for j in range(factor)], abs=1e-9)


def test_subdividing_asks_for_an_interval() -> None:
    assert subdivide([0.5], 1) == [0.5]
    with pytest.raises(TimingError, match="two frames"):
        subdivide([0.5], 2)


@pytest.mark.parametrize("rate", ["25", "30000/1001", "24000/1001", "60", "120", "12.5", "150000/1001", "7"])
def test_resampling_is_exact_and_fills_the_window(rate: str) -> None:
    fps = Fraction(rate)
    for count in (1, 2, 97, 1000):
        times = resample(0.0, float(count / fps), rate)
        assert len(times) == count
        assert times == [float(i / fps) for i in range(count)]
    times = resample(1.25, 4.0, rate)
    assert times[0] == 1.25
    assert times[-1] < 4.0 <= times[-1] + float(1 / fps) + 1e-6


@pytest.mark.parametrize(
    "rate", ["25", "30000/1001", "24000/1001", "50", "60000/1001", "120", "12.5", "1", "15", "1/2"]
)
def test_a_constant_rate_is_recognised_also_when_rounded(rate: str) -> None:
    fps = Fraction(rate)
    exact = [float(i / fps) for i in range(400)]
    assert constant_rate(exact) == fps
    assert constant_rate([0.4 + time for time in exact]) == fps
    assert constant_rate([round(time, 3) for time in exact]) == fps


def test_a_variable_rate_is_not_taken_for_constant() -> None:
    assert constant_rate([0, 0.04, 0.08, 0.13]) is None
    assert constant_rate([0, 0.04, 0.12, 0.16]) is None
    assert constant_rate([0]) is None
    assert constant_rate([1, 1]) is None


def test_speed() -> None:
    assert respeed([0.5, 1.0, 2.0], 2) == [0.5, 0.75, 1.25]
    assert respeed([0.0, 1.0], 0.5) == [0.0, 2.0]


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("25", 25),
        ("30000/1001", Fraction(30000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        (29.97, Fraction(30000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        (12.5, Fraction(25, 2)),
        (Fraction(24), 24),
        (" 50 ", 50),
    ],
)
def test_rates(text: str | float | Fraction, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "0", "-25", "nan", "inf", "1/0", "25fps", "a/b", "1e9", "30000/1001/2", "0/1", float("nan"), None]
)
def test_nonsense_rates(text: str) -> None:
    with pytest.raises(TimingError, match="frame rate") as error:
        parse_rate(text)
    assert isinstance(error.value, ValueError)
    assert isinstance(error.value, VeditError)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "soon", "1:2:3:4", "1m", "s"])
def test_nonsense_times(text: str) -> None:
    with pytest.raises(TimingError, match="give seconds"):
        parse_time(text)


@pytest.mark.parametrize(
    "text", ["", "0s", "0s=", "0s=x", "0s=nan", "0s=0,,2s=1", "2s=0,1s=1", "1s=0,1s=1", "-1s=0", "0s=0;2s=1", "0s=inf"]
)
def test_nonsense_keyframes(text: str) -> None:
    with pytest.raises(TimingError):
        parse_keyframes(text)


def test_keyframes_are_joined_by_straight_lines() -> None:
    keyframes = parse_keyframes("1s=0, 2s=1, 1:00=-1")
    assert keyframes == ((1.0, 0.0), (2.0, 1.0), (60.0, -1.0))
    assert [keyframe_value(keyframes, time) for time in (0, 1, 1.5, 2, 31, 99)] == [0, 0, 0.5, 1, 0, -1]


@pytest.mark.parametrize(
    "text", ["", "1", "1:2", "1:2:1", "1:2:0", "1:2:-3", "1:2:101", "1:2:2.5", "a:b:c", "nan:1:3", "0:inf:3", "0:1:3:4"]
)
def test_nonsense_sweeps(text: str) -> None:
    with pytest.raises(TimingError, match="FROM:TO:COUNT"):
        parse_sweep(text)


@pytest.mark.parametrize("factor", [0, -1, 1.5, True, "2", float("nan")])
def test_nonsense_factors(factor: int) -> None:
    with pytest.raises(TimingError, match="whole number"):
        subdivide([0, 1], factor)


@pytest.mark.parametrize("times", [[], [0, 0], [1, 0], [0, float("nan")], [0, float("inf")]])
def test_nonsense_frame_times(times: list[float]) -> None:
    for use in (lambda: subdivide(times, 2), lambda: respeed(times, 2), lambda: end_time(times)):
        with pytest.raises(TimingError):
            use()


def test_nonsense_windows_and_speeds() -> None:
    for start, end in ((0, 0), (1, 0), (0, float("nan")), (float("-inf"), 1)):
        with pytest.raises(TimingError):
            resample(start, end, 25)
    for speed in (0, -1, float("nan"), float("inf")):
        with pytest.raises(TimingError, match="speed"):
            respeed([0, 1], speed)
