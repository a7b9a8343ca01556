"""The queue between renderer and file: order, errors from both sides, and being stopped in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from vedit.progress import finish
from vedit.streaming import DEPTH, ahead, close, pump


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


def test_what_is_made_ahead_arrives_in_order_and_waits_for_its_taker() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for i in range(50):
            made.append(i)
            yield i

    stream = ahead(source(), depth=2)
    assert next(stream) == 0
    time.sleep(0.05)
    assert len(made) <= 5  # one taken, two waiting, one being put, one begun
    assert list(stream) == list(range(1, 50))


def test_an_error_comes_out_where_its_item_would_have() -> None:
    def source() -> Iterator[int]:
        yield from (1, 2, 3)
        raise ValueError("bad frame")

    stream = ahead(source())
    assert [next(stream) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match="bad frame"):
        next(stream)


def test_closing_stops_and_closes_the_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = threading.active_count()
    stream = ahead(source())
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert closed.wait(5) and threading.active_count() == before


def test_a_sink_that_fails_leaves_no_thread() -> None:
    def broken(items: Iterator[int]) -> None:
        next(items)
        raise OSError("disk full")

    def endless() -> Iterator[int]:
        while True:
            yield 0

    def passed_on(items: Iterator[int]) -> Iterator[int]:
        try:
            yield from items
        finally:
            close(items)

    before = threading.active_count()
    with pytest.raises(OSError, match="disk full"):
        finish(pump(passed_on(ahead(endless())), broken, "count"))
    assert threading.active_count() == before
