"""Snapshots that would run code: refused or loaded inertly, by the tests that hold such files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.accept.shell import environment
from tests.accept.table import Row, Setting, holds

ORDER = 15
ROOT = Path(__file__).parents[3]


def run(setting: Setting) -> Iterator[Row]:
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").glob("test_*snapshot*.py"))
    if not files:
        yield holds("hostile snapshots", "refused or inert", "found no tests/test_*snapshot*.py", ok=False)
        return
    command = [sys.executable, "-m", "pytest", "-v", "--no-header", "-p", "no:cacheprovider", *files]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=environment(VEDIT_TEST_DATA=str(setting.data))
    )
    lines = done.stdout.strip().splitlines() or ["pytest said nothing"]
    yield holds(f"hostile snapshots ({', '.join(files)})", "refused or inert", lines[-1], done.returncode == 0)
