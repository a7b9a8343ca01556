"""The acceptance table: verdicts, what is saved, and that every group can be found."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from tests.accept import table
from tests.accept.__main__ import run
from tests.accept.table import Row, Setting


def test_the_worst_value_decides() -> None:
    assert table.at_least("psnr", [33.0, 31.9, 40.0], 32).verdict == "FAIL"
    assert table.at_least("psnr", [33.0, 32.0], 32).verdict == "pass"
    assert table.at_most("lpips", [0.001, 0.004], 0.003).verdict == "FAIL"


def test_a_figure_that_does_not_exist_passes_no_bar() -> None:
    assert table.at_least("correlation", [0.95, math.nan], 0.9).verdict == "FAIL"
    assert table.at_most("distance", math.nan, 0.9).verdict == "FAIL"


def test_the_table_is_saved_as_strict_json_and_markdown(tmp_path: Path) -> None:
    rows = [table.at_least("psnr", math.inf, 32, " dB"), table.skip("sound", "clip is absent")]
    (tmp_path / "sound").mkdir()
    table.save_group(rows, tmp_path / "sound", "abc123+")
    table.collect(tmp_path, ["golden", "sound"])
    saved = json.loads(
        (tmp_path / "table.json").read_text(), parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name))
    )
    assert [row["verdict"] for row in saved] == ["pass", "skip"]
    assert "clip is absent" in (tmp_path / "table.md").read_text()


def test_a_group_that_breaks_is_a_failed_row_and_keeps_what_it_had(tmp_path: Path) -> None:
    def broken(setting: Setting) -> Iterator[Row]:
        yield table.stated("first", "1")
        raise RuntimeError("the second check broke")

    rows = list(run("group", SimpleNamespace(run=broken), Setting(tmp_path / "group", tmp_path)))  # type: ignore[arg-type]
    assert [row.verdict for row in rows] == ["stated", "FAIL"]
    assert "the second check broke" in rows[1].figure and (tmp_path / "group" / "traceback.txt").is_file()
