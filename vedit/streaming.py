"""Frames on their way from decoder and renderer to a file: every stage has a thread of its own, with short queues between them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

from vedit.progress import Progress, Task

Item = TypeVar("Item")
Result = TypeVar("Result")
DEPTH = 16  # frames that may wait: enough to smooth out a slow moment, little memory
AHEAD = 2  # items that a stage may be ahead of the next one: chunks of frames, or pictures of the source


class _Abandoned(Exception):
    """The frames end early: whoever consumes them must undo what it began."""


def pump(items: Iterable[Item], sink: Callable[[Iterator[Item]], Result], stage: str, total: int | None = None) -> Task[Result]:
    """Hand `items` to `sink`, which runs in a thread, yielding progress; returns the sink's result or raises its error.

    When the task is closed or fails in the middle (Ctrl-C too), the sink's iterator raises, so that it leaves nothing behind.
    """
    queue: Queue[Any] = Queue(maxsize=DEPTH)
    end, abandon = object(), object()
    outcome: Future[Result] = Future()

    def taken() -> Iterator[Item]:
        while (item := queue.get()) is not end:
            if item is abandon:
                raise _Abandoned
            yield item

    def run() -> None:
        try:
            outcome.set_result(sink(taken()))
        except BaseException as error:  # handed to the caller, whatever it is
            outcome.set_exception(error)

    def put(item: Any) -> bool:
        while not outcome.done():
            try:
                queue.put(item, timeout=0.1)
                return True
            except Full:
                continue
        return False

    thread = Thread(target=run, name=f"vedit-{stage}", daemon=True)
    thread.start()
    last: Any = abandon
    try:
        for count, item in enumerate(items, 1):
            if not put(item):
                break
            yield Progress(stage, count, total)
        last = end
    finally:
        put(last)
        thread.join()
        close(items)
    return outcome.result()


def close(*streams: object) -> None:
    """Let streams that are generators undo what they began."""
    for stream in streams:
        if isinstance(stream, Generator):
            stream.close()


def ahead(items: Iterable[Item], depth: int = AHEAD) -> Iterator[Item]:
    """The same items, made in a thread of their own, up to `depth` of them before they are asked for.

    An error comes out where its item would have; once the iterator is closed, no more than one further item is made.
    """
    queue: Queue[Any] = Queue(maxsize=depth)
    end, left = object(), Event()
    errors: list[BaseException] = []

    def put(item: Any) -> None:
        while not left.is_set():
            try:
                return queue.put(item, timeout=0.1)
            except Full:
                continue

    def run() -> None:
        try:
            source = iter(items)
            try:
                for item in source:
                    put(item)
                    if left.is_set():
                        break
            finally:
                close(source)
        except BaseException as error:  # handed to the caller, whatever it is
            errors.append(error)
        put(end)

    thread = Thread(target=run, name="vedit-ahead", daemon=True)
    thread.start()
    try:
        while (item := queue.get()) is not end:
            yield item
        if errors:
            raise errors[0]
    finally:
        left.set()
        thread.join()
