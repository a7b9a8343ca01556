"""`vedit train`: a recipe becomes a generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedit.cli.console import Console
from vedit.cli.options import AsJson, Device, Quiet


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe file.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder of the run; runs/NAME if left out.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder, exactly as if it had not stopped.")] = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a generator from a recipe. The run keeps its state, a log, sample sheets and the generator so far.

    \b
      vedit train recipes/portraits-1.toml --out runs/portraits-1
      vedit train recipes/portraits-1.toml --out runs/portraits-1 --resume
      vedit generate -g runs/portraits-1/portraits-1.safetensors
    """
    from vedit.devices import pick_device
    from vedit.training import Recipe
    from vedit.training import train as run

    console = Console(quiet, as_json)
    plan = Recipe.read(recipe)
    folder = out if out is not None else Path("runs") / plan.name
    path = console.run(run(plan, folder, resume=resume, device=pick_device(device)))
    console.answer({"run": folder, "generator": path}, str(path))
