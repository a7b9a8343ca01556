"""The clock of a clip: which t of the generator belongs to which second of the source.

Footage often shows a frame twice: film of 24 pictures a second stored at 30, a time lapse slowed down. No smooth function of time
stands still for every fifth frame, so t stands still instead, and runs a little faster between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

REPEAT = 0.03
"""A frame that differs from the one before by less than this part of what is usual around it (mean square) is that one again: stored
again it differs by 0.002 to 0.04 of it, a real pause seldom by less than 0.1 (measured on real clips)."""
AROUND = 7  # frames on either side


def repeats(frames: Tensor) -> list[int]:
    """Which frames, uint8 [T, H, W, 3], are the one before them again: their indices.

    >>> picture = torch.arange(0, 240, 5).reshape(1, 4, 4, 3).expand(8, -1, -1, -1) + torch.tensor([0, 3, 6, 6, 9, 12, 12, 15])[:, None, None, None]
    >>> repeats(picture.byte())
    [3, 6]
    """
    if len(frames) < 4:
        return []
    change = torch.stack([(after.float() - before.float()).square().mean() for before, after in zip(frames, frames[1:], strict=False)])
    around = [change[max(0, i - AROUND) : i + AROUND + 1].median() for i in range(len(change))]
    return [i + 1 for i, usual in enumerate(around) if change[i] < REPEAT * usual]


@dataclass(frozen=True)
class Clock:
    """t at the source's frames: `times` in seconds, as the source counts them, and `t` [T] in frames of the generator's clock."""

    times: tuple[float, ...]
    t: tuple[float, ...]
    fps: float

    @classmethod
    def of(cls, times: Sequence[float], fps: float, held: Sequence[int] = ()) -> Clock:
        """The clock of a clip with frames at `times` of which those at the indices `held` are the ones before them again.

        >>> [round(t, 3) for t in Clock.of([1.0, 1.1, 1.2, 1.3, 1.4], 10.0, [2]).t]
        [0.0, 1.333, 1.333, 2.667, 4.0]
        """
        even = (np.asarray(times, dtype=np.float64) - times[0]) * fps
        steps = np.diff(even)
        moving = np.ones(len(steps), dtype=bool)
        moving[[index - 1 for index in held]] = False
        if not moving.all() and moving.any():
            even = np.concatenate([[0.0], np.cumsum(steps * moving * (even[-1] / steps[moving].sum()))])
        return cls(tuple(times), tuple(float(t) for t in even), fps)

    @property
    def origin(self) -> float:
        """The second at which t = 0."""
        return self.times[0]

    def __call__(self, seconds: Sequence[float]) -> Tensor:
        """t [T], float64, at seconds of the source; after the clip's end it goes on at the generator's rate, before its start it is 0."""
        beyond = np.maximum(np.asarray(seconds, dtype=np.float64) - self.times[-1], 0) * self.fps
        return torch.from_numpy(np.interp(seconds, self.times, self.t) + beyond)
