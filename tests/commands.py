"""Running the `vedit` command in tests: within this process (the fixture `vedit`), or a script in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


class Vedit(Protocol):
    def __call__(self, *args: str, cwd: Path | None = None, **environment: str) -> Ran: ...


def python(script: str, *args: str, **environment: str) -> Ran:
    """Run a script in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script, *args],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def one_line_error(done: Ran) -> str:
    """The single line of a failed command; fails the test for anything else."""
    lines = done.stderr.splitlines()
    assert done.returncode != 0 and done.stdout == "", done
    assert len(lines) == 1 and lines[0].startswith("vedit: error: "), done.stderr
    return lines[0]
