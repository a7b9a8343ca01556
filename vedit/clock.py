"""The clock of a clip: which t of the generator belongs to which second of the source.

Footage often shows a frame twice or three times: film of 24 pictures a second stored at 30, drawings "on twos". No smooth function
of time stands still for every fifth frame, so t stands still instead, and runs a little faster between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

REPEAT = 0.05
"""A frame that differs from the one before by less than this part of what one of the two changes beside it is (mean square) may be that
one again: stored again, frames of real clips differ by 0.002 to 0.04 of it. What slows down does so over more than one frame."""
LEVELS = 1.5  # and by less than this many of 255 steps (root mean square)


def repeats(frames: Iterable[Tensor]) -> list[int]:
    """Which of a clip's frames, each uint8 [H, W, 3], are the one before them again: their indices.

    >>> picture = torch.arange(0, 240, 5).reshape(1, 4, 4, 3).expand(8, -1, -1, -1) + torch.tensor([0, 3, 6, 6, 9, 12, 12, 15])[:, None, None, None]
    >>> repeats(picture.byte())
    [3, 6]
    """
    changes = [(after.float() - before.float()).square().mean() for before, after in pairwise(frames)]
    if len(changes) < 3:
        return []
    change = torch.stack(changes)
    beside = torch.maximum(change.roll(1), change.roll(-1))
    beside[0], beside[-1] = change[1:3].max(), change[-3:-1].max()
    again = (change < REPEAT * beside) & (change < LEVELS**2)
    return (again.nonzero()[:, 0] + 1).tolist()


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
