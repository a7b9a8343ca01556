"""What several test files share."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import Ran, Vedit
from vedit.cli import main

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def nothing_outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test fetches anything or touches the user's caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEDIT_OFFLINE", "1")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of golden files, clips and real weights; without it the test is skipped, saying why."""
    path = Path(os.environ.get("VEDIT_TEST_DATA") or ROOT / "../shared")
    path = path if path.is_absolute() else ROOT / path
    if not path.is_dir():
        pytest.skip(f"no test data at {path}; set VEDIT_TEST_DATA")
    return path.resolve()


@pytest.fixture
def vedit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Vedit:
    """Run the command within this process (torch is imported once), as a user would see it."""

    def run(*args: str, cwd: Path | None = None, **environment: str) -> Ran:
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() sets it; this puts it back
        monkeypatch.setattr(sys, "argv", ["vedit", *args])
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        if cwd is not None:
            monkeypatch.chdir(cwd)
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return Ran(int(left.value.code or 0), said.out, said.err)

    return run
