"""`vedit bench`: how fast this machine is."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from vedit.cli.console import Console, table
from vedit.cli.options import AsJson, Quiet


def bench(
    config: Annotated[Literal["built-in", "256", "all"], typer.Option(help="Size of the generator: the built-ins', the paper's 256².")] = "built-in",
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Runs of which the median counts.")] = 5,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Time this machine. Rendering, projection and training, the fast path against the plain reference, in frames per second.

    \b
      vedit bench
      vedit bench --config all --json > bench.json
    """
    from vedit.bench import CONFIGS
    from vedit.bench import bench as run

    console = Console(quiet, as_json)
    names = tuple(CONFIGS) if config == "all" else (config,)
    rows = console.run(run(names, repeats=repeats))
    shown = [
        [row.config, row.task, row.precision, f"{row.reference:.1f}", f"{row.fast:.1f}", f"{row.ratio:.2f}×"] for row in rows
    ]
    data = [{**vars(row), "ratio": row.ratio} for row in rows]
    console.answer({"rows": data}, table(shown, ["generator", "task", "precision", "reference", "fast", "ratio"]))
