"""The doctor's rows: what is there is ok, what is missing says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from vedit import doctor, models
from vedit.models import store


def rows() -> dict[str, doctor.Check]:
    return {check.name: check for check in doctor.examine()}


def test_what_every_command_needs_is_found_here() -> None:
    found = rows()
    for name in ("python", "torch", "torchvision", "av", "codec h264", "opencv", "open_clip", "cache"):
        assert found[name].state == "ok", found[name]


def test_what_is_amiss_says_what_to_do() -> None:
    for check in doctor.examine():
        assert check.state in ("ok", "note", "bad")
        assert "\n" not in check.found + check.remedy
        assert check.state == "ok" or check.remedy, f"{check.name} is {check.state} and says nothing about it"


def test_missing_built_ins_and_a_blocked_cache_are_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setenv("VEDIT_MODEL_PATH", "")
    monkeypatch.setenv("VEDIT_OFFLINE", "1")
    monkeypatch.setattr(store, "ASSETS", tmp_path)
    found = rows()
    assert found["cache"].state == "bad" and "XDG_CACHE_HOME" in found["cache"].remedy
    assert found[f"model {models.BUILTIN_GENERATORS[0]}"].state == "bad"
    assert found["model vgg16"].state == "note" and "vedit models pull vgg16" in found["model vgg16"].remedy
    assert found["network"].state == "note"


def test_both_opencv_variants_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda package: "5.0")
    assert rows()["opencv"].state == "bad" and "uninstall" in rows()["opencv"].remedy
