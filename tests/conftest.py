"""What several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of golden files, clips and real weights; without it the test is skipped, saying why."""
    path = Path(os.environ.get("VEDIT_TEST_DATA") or ROOT / "../shared")
    path = path if path.is_absolute() else ROOT / path
    if not path.is_dir():
        pytest.skip(f"no test data at {path}; set VEDIT_TEST_DATA")
    return path.resolve()
