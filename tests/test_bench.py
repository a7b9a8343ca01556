"""The benchmark runs every task on both paths and says how they compare."""

from __future__ import annotations

import pytest

from tests.tiny_generator import tiny_generator
from vedit import bench
from vedit.progress import finish


def test_every_task_is_timed_on_both_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bench.CONFIGS, "tiny", tiny_generator().cfg)
    rows = finish(bench.bench(("tiny",), repeats=1))
    assert [(row.task, row.precision) for row in rows] == [(task, kind) for task in bench.TASKS for kind in ("float32", "bfloat16")]
    assert all(row.reference > 0 and row.fast > 0 and row.ratio == row.fast / row.reference for row in rows)
