"""The queue between renderer and file: order, errors from both sides, and being stopped in the middle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vedit.progress import finish
from vedit.streaming import DEPTH, pump


def test_everything_arrives_in_order() -> None:
    assert finish(pump(range(100), list, "count", 100)) == list(range(100))


def test_progress_counts_up() -> None:
    assert [moment.done for moment in pump(range(5), list, "count", 5)] == [1, 2, 3, 4, 5]


def test_an_error_of_the_sink_reaches_the_caller_even_when_the_queue_is_full() -> None:
    def broken(items: Iterator[int]) -> None:
        next(items)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        finish(pump(range(DEPTH * 10), broken, "count"))


def test_an_error_of_the_source_makes_the_sink_undo_its_work() -> None:
    undone: list[bool] = []

    def careful(items: Iterator[int]) -> None:
        try:
            list(items)
        except BaseException:
            undone.append(True)
            raise

    def source() -> Iterator[int]:
        yield 1
        raise ValueError("bad frame")

    with pytest.raises(ValueError, match="bad frame"):
        finish(pump(source(), careful, "count"))
    assert undone == [True]


def test_closing_the_task_stops_the_sink() -> None:
    undone: list[bool] = []

    def careful(items: Iterator[int]) -> None:
        try:
            list(items)
        except BaseException:
            undone.append(True)
            raise

    task = pump(range(1000), careful, "count")
    next(task)
    task.close()
    assert undone == [True]
