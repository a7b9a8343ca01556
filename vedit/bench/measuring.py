"""The benchmark itself: the cases of every task take turns, and their medians become rows."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from stylegan_v.synthesis import Path as Way
from vedit.bench.machine import Machine
from vedit.bench.memory import needed
from vedit.bench.process import PEAK, BenchError, Facts, Process
from vedit.bench.rows import Report, Row
from vedit.bench.sizes import CONFIGS, Size
from vedit.bench.tasks import COMPARED, PICTURES, TASKS, Place
from vedit.devices import pick_device
from vedit.progress import Progress, Task


@dataclass(frozen=True)
class Case:
    """One way to do a task: by which path, in which precision, in the process that keeps freed memory or in the other."""

    task: str
    way: Way
    dtype: torch.dtype
    kept: bool = True


@dataclass
class Measured:
    """What was found out about a task: what it is, and of every case the seconds of its runs and its peak memory in bytes."""

    facts: dict[str, Facts] = field(default_factory=dict)
    seconds: dict[Case, list[float]] = field(default_factory=dict)
    memory: dict[Case, int | None] = field(default_factory=dict)

    def rate(self, case: Case) -> float | None:
        """Frames per second, the median."""
        taken = self.seconds.get(case)
        return self.facts[case.task].frames / statistics.median(taken) if taken else None

    def gflops(self, case: Case) -> float | None:
        """GFLOP/s, the median, where it is known what a frame takes."""
        rate, facts = self.rate(case), self.facts.get(case.task)
        return rate * facts.flops / 1e9 if rate and facts and facts.flops else None


class Pair:
    """Two processes that are asked in turn: in `plain` memory is the C library's business, `kept` keeps what is freed."""

    def __init__(self, plain: Process, kept: Process, device: str) -> None:
        self.plain, self.kept = plain, kept
        plain.up()
        self.keeps = kept.up() and device == "cpu"  # on a card it would make no difference

    def of(self, case: Case) -> Process:
        """The process of a case."""
        return self.kept if case.kept else self.plain

    def clear(self) -> None:
        """Let both forget what they did."""
        self.plain.clear()
        self.kept.clear()


def bench(
    configs: Sequence[str] = ("built-in",), tasks: Iterable[str] | None = None, *, repeats: int = 5, device: str = "auto"
) -> Task[Report]:
    """Time tasks (all by default) with generators of CONFIGS: medians of `repeats` runs, after one that fills caches.

    All cases of a task take turns, in two processes: one treats memory as the C library does, in the other freed memory is kept. What
    would not fit into free memory is left out (see `fitting`), and so is bfloat16 where the hardware does not compute in it. `device`
    is auto (CUDA where there is a card), cpu or cuda. Raises BenchError, DeviceError.
    """
    named = set(TASKS if tasks is None else tasks)
    _check("configuration", configs, CONFIGS)
    _check("task", named, TASKS)
    where = "cuda" if pick_device(device) == "cuda" else "cpu"
    machine = Machine.here(where)
    names, chosen = tuple(dict.fromkeys(configs)), [task for task in TASKS if task in named]
    done, total = 0, len(names) * len(chosen) * (repeats + 1)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="vedit-bench-") as folder:
        place = Place(where, Path(folder))
        for name in names:
            with Process(place, keep=False) as plain, Process(place, keep=True) as kept:
                pair = Pair(plain, kept, where)
                for task in chosen:
                    moment = Progress("bench", done, total, f"{name}, {task}")
                    measured = yield from _measure(pair, task, CONFIGS[name], machine.bf16, repeats, moment)
                    rows += _rows(name, task, measured)
                    done += repeats + 1
    yield Progress("bench", total, total)
    return Report(machine, tuple(rows))


def _check(kind: str, found: Iterable[str], known: Collection[str]) -> None:
    for name in found:
        if name not in known:
            raise BenchError(f"there is no {kind} {name!r} to time; choose from {', '.join(known)}")


def _measure(pair: Pair, task: str, size: Size, bf16: bool, repeats: int, begin: Progress) -> Task[Measured]:
    """Measure one task, with progress from `begin` on, a unit a turn."""
    pair.clear()
    taken = fitting(cases(task, keeps=pair.keeps, bf16=bf16), size, pair.plain.room())
    measured = Measured(seconds={case: [] for case in taken})
    for turn in range(repeats + 1):
        yield replace(begin, done=begin.done + turn)
        for case in taken:
            if turn == 0:
                _first(pair, case, size, measured)
            else:
                measured.seconds[case].append(pair.of(case).seconds(case.task, case.way, case.dtype))
    return measured


def _first(pair: Pair, case: Case, size: Size, measured: Measured) -> None:
    """Prepare a case and run it once, to fill caches and to see how much memory it takes."""
    process = pair.of(case)
    if (case.task, case.kept) not in {(other.task, other.kept) for other in measured.memory}:
        measured.facts[case.task] = process.prepare(case.task, size)
    if case.task == PEAK or (case.kept and case.way == "reference"):  # whose memory nobody asks for
        process.seconds(case.task, case.way, case.dtype)
        measured.memory[case] = None
    else:
        measured.memory[case] = process.peak(case.task, case.way, case.dtype)


def cases(task: str, *, keeps: bool, bf16: bool) -> list[Case]:
    """The cases of a task, those first that are worth most.

    The first turn goes in this order too: where freed memory is kept, what takes little before what takes much.
    """
    dtypes = [torch.bfloat16, torch.float32] if bf16 and task in COMPARED else [torch.float32]
    found = [Case(task, "fast", dtype) for dtype in dtypes]
    if task in COMPARED:
        found += [Case(task, "reference", torch.float32, kept) for kept in (False, True) if keeps or not kept]
    if task == "render":
        found += [Case(PEAK, "fast", dtype) for dtype in dtypes]
    return found


def fitting(wanted: Sequence[Case], size: Size, room: int | None) -> list[Case]:
    """Those cases that together are estimated to fit into `room` bytes, taken in order; all where the room is not known (None).

    A process takes what the largest of its cases needs: both hold on to it, one because it keeps freed memory, the other because its
    turn can come at any time.
    """
    taken: list[Case] = []
    for case in wanted:
        tried = [*taken, case]
        largest = [
            max((needed(other.task, size, fast=other.way == "fast", kept=kept) for other in tried if other.kept == kept), default=0)
            for kept in (False, True)
        ]
        if room is None or sum(largest) <= room:
            taken = tried
    return taken


def _rows(config: str, task: str, measured: Measured) -> list[Row]:
    """A row for every precision of the fast path."""
    plain, kept = (Case(task, "reference", torch.float32, kept=kept) for kept in (False, True))
    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        fast, peak = Case(task, "fast", dtype), Case(PEAK, "fast", dtype)
        if dtype == torch.bfloat16 and fast not in measured.seconds:
            continue
        facts = measured.facts.get(task, Facts(task, 0, 0))
        row = Row(
            config,
            facts.label,
            "uint8" if task in PICTURES else str(dtype).removeprefix("torch."),
            facts.frames,
            fast=measured.rate(fast),
            reference=measured.rate(plain),
            reference_kept=measured.rate(kept),
            gflops=measured.gflops(fast),
            peak_gflops=measured.gflops(peak),
            memory=measured.memory.get(fast),
            reference_memory=measured.memory.get(plain),
        )
        rows.append(row)
    return rows
