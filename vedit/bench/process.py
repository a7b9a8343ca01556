"""A process in which work is timed. How memory is treated cannot be changed within one, and its peak is its own."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import torch

from stylegan_v import GeneratorConfig
from stylegan_v.synthesis import Path as Way
from vedit.bench.memory import hand_back, peak_of, room
from vedit.bench.sizes import Size
from vedit.bench.tasks import TASKS, Place, Work, convolutions
from vedit.errors import VeditError
from vedit.memory import keep_freed_memory

PEAK = "convolutions"  # besides TASKS: the convolutions whose speed is the machine's peak


class BenchError(VeditError, RuntimeError):
    """Work could not be timed, or is not known."""


@dataclass(frozen=True)
class Facts:
    """What is worth knowing of prepared work (see `Work`)."""

    label: str
    frames: int
    flops: int


class Bench:
    """Prepared work, and a clock."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._work: dict[str, Work] = {}

    def clear(self) -> None:
        """Forget all work and hand its memory back."""
        self._work.clear()
        hand_back()

    def prepare(self, task: str, size: Size) -> Facts:
        """Make work ready."""
        make = convolutions if task == PEAK else TASKS[task]
        work = self._work[task] = make(size, self.place)
        return Facts(work.label, work.frames, work.flops)

    def seconds(self, task: str, way: Way, dtype: torch.dtype) -> float:
        """Time one run, to the end of what it started on the device."""
        begin = time.perf_counter()
        self._work[task].run(way, dtype)
        if self.place.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    def peak(self, task: str, way: Way, dtype: torch.dtype) -> int | None:
        """The most memory during one run, bytes (see `peak_of`)."""
        return peak_of(lambda: self._work[task].run(way, dtype), self.place.device)

    def room(self) -> int | None:
        """Free bytes (see `vedit.bench.memory.room`)."""
        return room(self.place.device)


class Process:
    """A `Bench` in a process of its own, either with freed memory kept or with the C library's memory as it comes.

    Two of them are asked in turn, so that whatever else runs on the machine slows both alike; the one that is not asked sleeps. They
    are in a session of their own: Ctrl-C is for the one who asks, at whose end they end.
    """

    def __init__(self, place: Place, *, keep: bool) -> None:
        path = os.pathsep.join(folder for folder in sys.path if folder)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from vedit.bench.process import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        self._send([place.device, str(place.folder), keep, torch.get_num_threads()])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._process.terminate()
        with contextlib.suppress(OSError):
            self._process.communicate()  # closes its input, and waits

    def up(self) -> bool:
        """Wait until it is ready; whether it keeps freed memory. To be asked first, once."""
        return bool(self._answer())

    def clear(self) -> None:
        """See `Bench.clear`."""
        self._ask("clear")

    def prepare(self, task: str, size: Size) -> Facts:
        """See `Bench.prepare`."""
        facts = self._ask("prepare", task, {**vars(size), "generator": size.generator.to_dict()})
        return Facts(**facts)

    def seconds(self, task: str, way: Way, dtype: torch.dtype) -> float:
        """See `Bench.seconds`."""
        return float(self._ask("seconds", task, way, _name(dtype)))

    def peak(self, task: str, way: Way, dtype: torch.dtype) -> int | None:
        """See `Bench.peak`."""
        found: int | None = self._ask("peak", task, way, _name(dtype))
        return found

    def room(self) -> int | None:
        """See `Bench.room`."""
        found: int | None = self._ask("room")
        return found

    def _ask(self, name: str, *arguments: object) -> Any:
        self._send([name, *arguments])
        return self._answer()

    def _send(self, message: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone, as `_answer` will find and say
            _write(self._process.stdin, message)

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            raise BenchError(f"the process that was timed ended (status {status}), perhaps for want of memory; choose a smaller --config")
        good, answer = json.loads(line)
        if not good:
            raise BenchError(f"the work could not be timed: {answer}")
        return answer


def serve() -> None:
    """Answer what `Process` asks, until nobody asks any more; first whether memory is kept."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    logging.getLogger().addHandler(logging.NullHandler())
    warnings.simplefilter("ignore")
    with contextlib.suppress(BrokenPipeError):
        device, folder, keep, threads = json.loads(sys.stdin.buffer.readline())
        torch.set_num_threads(threads)
        answer: list[object] = [True, keep and keep_freed_memory()]
        bench = Bench(Place(device, Path(folder)))
        while True:
            _write(answers, answer)
            line = sys.stdin.buffer.readline()
            if not line:
                return
            try:
                answer = [True, _answered(bench, *json.loads(line))]
            except Exception as error:
                answer = [False, f"{type(error).__name__}: {error}"]


def _answered(bench: Bench, name: str, *arguments: Any) -> object:
    """What a bench says to a message, as plain data."""
    if name == "prepare":
        task, size = arguments
        return asdict(bench.prepare(task, Size(**{**size, "generator": GeneratorConfig.from_dict(size["generator"])})))
    if name in ("seconds", "peak"):
        task, way, dtype = arguments
        return getattr(bench, name)(task, way, getattr(torch, dtype))
    return getattr(bench, name)()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _write(pipe: IO[bytes], message: object) -> None:
    """One message, a line of JSON."""
    pipe.write(json.dumps(message).encode() + b"\n")
    pipe.flush()
