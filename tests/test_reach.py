"""How far strengths carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedit.reach import FARTHEST, MIDDLE, Reach

places = st.floats(-6, 6)
strengths = st.floats(-10, 10)
reaches = st.builds(Reach, places, st.floats(0.2, 3))


def test_in_the_middle_a_strength_is_what_it_says() -> None:
    assert [Reach(0.0, 1.2)(strength) for strength in (-1.25, -1.0, 0.5, 1.25)] == pytest.approx([-1.25, -1.0, 0.5, 1.25])
    assert Reach(-1.0, 2.0)(1.25) == pytest.approx(1.25)


@given(reaches)
def test_no_strength_changes_nothing(reach: Reach) -> None:
    assert reach(0.0) == pytest.approx(0.0, abs=1e-9)


@given(reaches, strengths, strengths)
def test_more_strength_goes_farther_and_never_farther_than_it_says(reach: Reach, one: float, other: float) -> None:
    low, high = sorted((one, other))
    step = reach(high) - reach(low)
    assert 0 <= step <= (high - low) * (1 + 1e-9) + 1e-9
    assert step > 0 or high - low < 1e-6


@given(places, strengths)
def test_one_side_is_the_mirror_of_the_other(place: float, strength: float) -> None:
    assert Reach(-place, 1.8)(-strength) == pytest.approx(-Reach(place, 1.8)(strength))


def test_who_stands_at_the_end_goes_back_freely_and_on_a_little() -> None:
    at_the_end, beyond = Reach(FARTHEST, 1.8), Reach(5.0, 1.8)
    assert 0.2 < at_the_end(1.0) < 0.4 < 0.8 < -at_the_end(-1.0) <= 1
    assert beyond(1.0) == at_the_end(1.0)
    assert FARTHEST > MIDDLE


def test_it_is_kept_and_found_again() -> None:
    reach = Reach(-0.3, 1.8)
    assert Reach.from_info(reach.to_info()) == reach


NO_REACHES: list[dict[str, object]] = [
    {}, {"stands": 0.0}, {"stands": "far", "length": 1.0}, {"stands": 0.0, "length": 0.0}, {"stands": float("nan"), "length": 1.0},
]  # fmt: skip


@pytest.mark.parametrize("info", NO_REACHES)
def test_what_is_no_reach_is_refused(info: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        Reach.from_info(info)
