"""The `vedit` command, run as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ran:
    """What a command left: status, both streams, wall-clock seconds."""

    status: int
    out: str
    err: str
    seconds: float


def vedit(*arguments: str | Path, cwd: Path, timeout: float = 3600, check: bool = False) -> Ran:
    """Run the `vedit` of this Python; with `check` a failure raises RuntimeError with what it said."""
    command = [str(Path(sys.executable).parent / "vedit"), *map(str, arguments)]
    begin = time.monotonic()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, env=environment())
    if check and done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
        raise RuntimeError(f"vedit {arguments[0]} ended with {done.returncode}: {said}")
    return Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)


def environment(**more: str) -> dict[str, str]:
    """This process's environment with paths made absolute: commands run elsewhere."""
    values = dict(os.environ) | {"OMP_WAIT_POLICY": "passive"} | more
    for name in ("VEDIT_MODEL_PATH", "VEDIT_TEST_DATA"):
        if values.get(name):
            values[name] = os.pathsep.join(str(Path(part).resolve()) for part in values[name].split(os.pathsep))
    return values
