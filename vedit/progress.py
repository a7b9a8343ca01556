"""How long library functions tell what they are doing: they yield `Progress`, and the command draws it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """One moment of a long task: `done` of `total` units (frames, steps) of `stage` are ready."""

    stage: str
    done: int
    total: int | None = None
    note: str = ""


Task = Generator[Progress, None, Result]
"""A long function: iterate it for progress; its return value is the result (see `finish`)."""


def finish(task: Task[Result], on_progress: Callable[[Progress], None] | None = None) -> Result:
    """Run a task to its end, handing each `Progress` to `on_progress`, and return the task's result.

    >>> def task():
    ...     yield Progress("count", 1, 1)
    ...     return "ready"
    >>> finish(task())
    'ready'
    """
    while True:
        try:
            progress = next(task)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        if on_progress is not None:
            on_progress(progress)
