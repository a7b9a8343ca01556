"""Runs of a tiny game for tests: a recipe, and what a run leaves in its log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.tiny_game import tiny_config
from vedit.training_game import GameRecipe


def recipe(clips: Path, **changes: Any) -> GameRecipe:
    """A recipe of a tiny game on these clips, with `changes` to its plain form."""
    watch = {"log_every": 1, "sheet_every": 4, "clips": 2, "frames": 8, "keep": 1, "tensorboard": False}
    plain = GameRecipe(
        name="tiny",
        game=tiny_config(),
        data={"path": str(clips), "workers": 0},  # type: ignore[arg-type]
        save_every=2,
        watch=watch,  # type: ignore[arg-type]
    )
    return GameRecipe.from_dict({**plain.to_dict(), **changes})


def lines(out: Path) -> list[dict[str, Any]]:
    """The log of a run."""
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def figures(out: Path) -> list[dict[str, Any]]:
    """The log without what depends on the machine."""
    return [
        {key: value for key, value in line.items() if "_per_s" not in key and key != "memory_gib"}
        for line in lines(out)
    ]
