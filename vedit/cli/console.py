"""What a command shows: bars drawn from Progress, lines for a person, one JSON object for a script."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from vedit.progress import Progress, Task, finish

Result = TypeVar("Result")
PLAIN_INTERVAL = 5.0  # seconds between two lines of a log


class Bars(Protocol):
    """Something that draws progress while it is entered."""

    def __enter__(self) -> Bars: ...
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None: ...

    def show(self, progress: Progress) -> None:
        """Draw one moment."""


@dataclass(frozen=True)
class Console:
    """Where a command's words go. `quiet` leaves progress and chatter out, but no answer, warning or error.

    `as_json` turns the answer on stdout into one JSON object.
    """

    quiet: bool = False
    as_json: bool = False

    def run(self, task: Task[Result]) -> Result:
        """Run a library task to its end, drawing its progress on stderr, and return its result."""
        if self.quiet:
            return finish(task)
        with _bars() as bars:
            return finish(task, bars.show)

    def say(self, text: str) -> None:
        """A line for a person, on stdout; not with --quiet, not with --json."""
        if not self.quiet and not self.as_json:
            print(text)

    def answer(self, data: dict[str, Any], *lines: str) -> None:
        """The command's answer: `data` as JSON with --json, else the lines (which --quiet does not take away)."""
        if self.as_json:
            print(json.dumps(data, default=_plain, ensure_ascii=False, indent=2))
        else:
            for line in lines:
                print(line)


def complain(text: str, *, kind: str = "error") -> None:
    """Write exactly one line to stderr: `vedit: error: …`."""
    print(f"vedit: {kind}: {' '.join(text.split())}", file=sys.stderr)


def table(rows: Sequence[Sequence[object]], head: Sequence[str] = ()) -> str:
    """Rows in columns two spaces apart; a cell is never cut.

    >>> print(table([["a", 1], ["long", 22]], ["name", "n"]))
    name  n
    a     1
    long  22
    """
    cells = [[str(cell) for cell in row] for row in ([head, *rows] if head else rows)]
    if not cells:
        return ""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells)


def _plain(value: Any) -> Any:
    """What JSON knows, for what it does not: paths, fractions, arrays."""
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, Iterable):
        return list(value)
    return str(value)


def _bars() -> Bars:
    return _RichBars() if sys.stderr.isatty() else _PlainBars()


class _RichBars:
    """A bar for every stage, with rate and remaining time, in a terminal."""

    def __init__(self) -> None:
        from rich import progress as rich
        from rich.console import Console as Terminal

        class Rate(rich.ProgressColumn):
            def render(self, task: rich.Task) -> str:
                speed = task.finished_speed or task.speed
                return f"{speed:.1f}/s" if speed else ""

        self._bars = rich.Progress(
            rich.TextColumn("{task.description}"),
            rich.BarColumn(bar_width=30),
            rich.MofNCompleteColumn(),
            Rate(),
            rich.TimeElapsedColumn(),
            rich.TimeRemainingColumn(),
            rich.TextColumn("[dim]{task.fields[note]}", markup=True),
            console=Terminal(stderr=True),
        )
        self._stage = ""
        self._task: rich.TaskID | None = None

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def show(self, progress: Progress) -> None:
        """Move the stage's bar; a new stage gets a new one."""
        note = progress.note.replace("[", "\\[")
        if self._task is None or progress.stage != self._stage:
            self._stage = progress.stage
            self._task = self._bars.add_task(progress.stage, total=progress.total, completed=progress.done, note=note)  # not all done just now
        self._bars.update(self._task, completed=progress.done, total=progress.total, note=note)


class _PlainBars:
    """tqdm's line for every stage, a new one every few seconds, for logs and notebooks."""

    def __init__(self) -> None:
        self._stage = ""
        self._began = self._shown = 0.0
        self._before = 0  # done when the stage was first heard of, by a run that was stopped, perhaps
        self._last: Progress | None = None

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._write()

    def show(self, progress: Progress) -> None:
        """Write a line if the stage is new, has ended, or the last line is a while ago."""
        now = time.monotonic()
        if progress.stage != self._stage:
            self._write()
            self._stage, self._began, self._shown, self._before = progress.stage, now, now, progress.done
        self._last = progress
        if progress.done == progress.total or now - self._shown >= PLAIN_INTERVAL:
            self._write()

    def _write(self) -> None:
        """Write the last moment that was not written yet."""
        if self._last is None:
            return
        from tqdm import tqdm

        seen, self._last, self._shown = self._last, None, time.monotonic()
        line = tqdm.format_meter(
            seen.done, seen.total or 0, self._shown - self._began, ncols=100, prefix=seen.stage, ascii=True, postfix=seen.note or None, initial=self._before
        )
        print(line, file=sys.stderr, flush=True)
