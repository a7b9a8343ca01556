"""A projection killed at its worst moments, and run again: nothing lost, nothing left over, the same bytes."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from stylegan_v import save_generator
from tests.commands import python
from tests.killed import STAGES
from tests.tiny_generator import tiny_generator

DEMO = Path(__file__).parents[1] / "examples" / "demo.mp4"
KILLED = -signal.SIGKILL if sys.platform != "win32" else 0


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[int]]]:
    """The folder of all projects, and of each the statuses of its runs."""
    if not hasattr(os, "fork"):
        pytest.skip(f"{sys.platform} has no fork")
    folder = tmp_path_factory.mktemp("killed")
    save_generator(tiny_generator(resolution=16), folder / "tiny.safetensors")
    script = "from tests.killed import main; main()"
    done = python(script, "chain", str(DEMO), str(folder / "tiny.safetensors"), str(folder))
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def files(project: Path) -> dict[str, bytes]:
    """Every file of a project by its name, with its bytes."""
    return {str(path.relative_to(project)): path.read_bytes() for path in project.rglob("*") if path.is_file()}


def test_kills_before_files_are_in_place_cost_nothing(ran: tuple[Path, dict[str, list[int]]]) -> None:
    folder, statuses = ran
    *killed, last = statuses["renames"]
    assert last == 0 and len(killed) >= 5 and set(killed) == {KILLED}
    assert files(folder / "renames") == files(folder / "whole")


def test_kills_within_every_stage_cost_nothing(ran: tuple[Path, dict[str, list[int]]]) -> None:
    folder, statuses = ran
    assert statuses["stages"] == [KILLED] * len(STAGES) + [0]
    assert files(folder / "stages") == files(folder / "whole")
