"""Several processes for one training on this machine, by torch's elastic launcher; what goes wrong in one ends all, with its one line."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from vedit.errors import VeditError
from vedit.parent import end_with

COMPLAINT = "VEDIT_COMPLAINT"  # names the folder that a failing process leaves its line in
LAUNCHER = "VEDIT_LAUNCHER"  # is the number of the process that launched this one

HANDLED = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]


class TrainingStopped(VeditError, RuntimeError):
    """A process of a training failed, and with it the training."""


def launch(module: str, arguments: Sequence[str], count: int) -> None:
    """Run `python -m module arguments…` in `count` processes that form a group (see stylegan_v.ranks.joined) until all are done.

    Raises TrainingStopped with the first failing process's own line. None of them outlives this process.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):  # its words about a failure come on top of the line that is raised
            logging.getLogger(name).setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="vedit-train-") as folder:
        handlers = {number: signal.getsignal(number) for number in HANDLED}
        cfg = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=count, run_id=f"vedit-{os.getpid()}", rdzv_backend="c10d", rdzv_endpoint="localhost:0",
            max_restarts=0, monitor_interval=0.2,
        )  # fmt: skip
        try:
            with _environment({**_threads(count), COMPLAINT: folder, LAUNCHER: str(os.getpid())}):
                elastic_launch(cfg, sys.executable)("-m", module, *arguments)
        except ChildFailedError as error:
            raise TrainingStopped(_first_complaint(Path(folder)) or _last_words(error, count)) from None
        except SignalException as error:
            raise KeyboardInterrupt from error
        finally:
            for number, handler in handlers.items():  # the launcher leaves its own
                signal.signal(number, handler)


def _threads(count: int) -> dict[str, str]:
    """Settings of OpenMP for `count` processes that share the cores, unless the user has made them: a share each, and no spinning while others work."""
    wanted = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count)), "OMP_WAIT_POLICY": "passive"}
    return {key: value for key, value in wanted.items() if key not in os.environ}


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """What is launched meanwhile finds these values in its environment."""
    before = os.environ.copy()
    os.environ.update(values)
    try:
        yield
    finally:
        for key in values:
            if key in before:
                os.environ[key] = before[key]
            else:
                del os.environ[key]


def leave_complaint(text: str, *, echo: bool = False) -> None:
    """Leave a process's one line for the one that launched it; without one it goes to stderr.

    An `echo` says that another process ended, which the launcher knows better.
    """
    folder = os.environ.get(COMPLAINT)
    line = " ".join(text.split())
    if folder is None or not Path(folder).is_dir():
        print(f"vedit: error: {line}", file=sys.stderr)  # noqa: T201 - started by hand under torchrun
        return
    if echo:
        return
    (Path(folder) / f"{time.time_ns():020d}-{os.getpid()}").write_text(line, encoding="utf-8")


def end_with_launcher() -> None:
    """End this process when the one that launched it is gone, even if that was killed."""
    if LAUNCHER in os.environ:
        end_with(int(os.environ[LAUNCHER]))


def _first_complaint(folder: Path) -> str:
    found = sorted(folder.iterdir())
    return found[0].read_text(encoding="utf-8") if found else ""


def _last_words(error: object, count: int) -> str:
    """What became of the first process that ended without a word: it was killed."""
    failures = getattr(error, "failures", {})
    first = min(failures.values(), key=lambda failure: (failure.exitcode >= 0, failure.timestamp), default=None)  # the others lost it
    if first is None:
        return "the training's processes failed; go on with --resume"
    code = first.exitcode
    how = f"was ended by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"failed with status {code}"
    return f"process {first.local_rank} of {count} {how}, and with it the training; go on with --resume, with a smaller micro_batch if memory ran out"
