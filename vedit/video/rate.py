"""Frames at a constant rate out of frames at any times."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction

from vedit.video.info import Frame


def at_rate(frames: Iterator[Frame], fps: Fraction) -> Iterator[Frame]:
    """At every tick of a constant rate the frame that stands there; the first tick is the first frame's time."""
    ticks: Iterator[float] | None = None
    shown: Frame | None = None
    tick = 0.0
    for frame in itertools.chain(frames, [None]):
        if ticks is None:
            if frame is None:
                return
            first = frame.time
            ticks = (float(Fraction(first) + i / fps) for i in itertools.count())
            tick = next(ticks)
        end = frame.time if frame is not None else (shown.time + max(shown.duration, 1e-3) if shown is not None else 0.0)
        while shown is not None and tick < end - 1e-6:
            yield Frame(tick, shown.image, float(1 / fps))
            tick = next(ticks)
        shown = frame
