"""How far a strength carries an edit: straight through the middle of what a generator draws, ever less towards its ends."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MIDDLE = 1.5
"""Standard deviations of w along a direction within which equal steps of strength are equal steps of w."""
YIELD = 0.6
"""Beyond, a step is as long as it would be, times YIELD / (YIELD + way already gone): strengths from -2 to 2 stay in order, and a night made
night again is no blue blot (as it was at 3.7 deviations)."""
FARTHEST = 2.0
"""A content beyond counts as standing here: its edits move by 0.5 deviations at least."""


@dataclass(frozen=True)
class Reach:
    """Where a content stands along a direction, and how far strength 1 carries it in the middle, both in standard deviations of w."""

    stands: float
    length: float

    def __call__(self, strength: float) -> float:
        """The part of `length` that a strength really moves the content; 0 at 0, rising everywhere.

        >>> middle, end = Reach(0.0, 1.0), Reach(2.0, 1.0)
        >>> middle(1.0), middle(-1.0), round(end(1.0), 2), round(end(-1.0), 2)
        (1.0, -1.0, 0.33, -0.72)
        """
        here = max(-FARTHEST, min(FARTHEST, self.stands))
        return (_yielding(_straight(here) + strength * self.length) - here) / self.length

    def to_info(self) -> dict[str, float]:
        """What edit.json keeps."""
        return {"stands": self.stands, "length": self.length}

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> Reach:
        """The reach in an edit.json; raises KeyError or TypeError where there is none."""
        stands, length = info["stands"], info["length"]
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in (stands, length)) or length <= 0:
            raise TypeError(f"a content that stands at {stands}, with steps of {length}")
        return cls(float(stands), float(length))


def _yielding(way: float) -> float:
    beyond = max(0.0, abs(way) - MIDDLE)
    return math.copysign(min(abs(way), MIDDLE) + YIELD * math.log1p(beyond / YIELD), way)


def _straight(place: float) -> float:
    beyond = max(0.0, abs(place) - MIDDLE)
    return math.copysign(min(abs(place), MIDDLE) + YIELD * math.expm1(beyond / YIELD), place)
