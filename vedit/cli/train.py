"""`vedit train`: a recipe becomes a generator."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vedit.cli.console import Console
from vedit.cli.options import AsJson, Device, Quiet

if TYPE_CHECKING:
    from vedit.training import Recipe


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe file.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder of the run; runs/NAME if left out.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder, exactly as if it had not stopped.")] = False,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key of the recipe; can be repeated.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the recipe as it would run, sizes, time and memory; train nothing.")] = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a generator from a recipe. The run keeps its state, a log, sample sheets and the generator so far.

    \b
      vedit train recipes/portraits-1.toml --out runs/portraits-1
      vedit train recipes/portraits-1.toml --out runs/portraits-1 --resume
      vedit train recipes/skies-1.toml --set train.seed=4 --set train.stages.0.steps=100 --dry-run
      vedit generate -g runs/portraits-1/portraits-1.safetensors
    """
    from vedit.devices import pick_device
    from vedit.training import Recipe
    from vedit.training import train as run

    console = Console(quiet, as_json)
    resolved = Recipe.read(recipe, changes or [])
    place = pick_device(device)
    if dry_run:
        _show(console, resolved, place)
        return
    folder = out if out is not None else Path("runs") / resolved.name
    path = console.run(run(resolved, folder, resume=resume, device=place))
    console.answer({"run": folder, "generator": path}, str(path))


def _show(console: Console, recipe: Recipe, device: str) -> None:
    """The recipe as it would run, and what that would cost."""
    from vedit.training_plan import plan

    found = console.run(plan(recipe, device))
    lines = [json.dumps(recipe.to_dict(), indent=2)]
    lines.append(f"parameters: generator {found.generator_parameters:,}, discriminator {found.discriminator_parameters:,}")
    for index, stage in enumerate(found.stages):
        kind = "adversarial" if stage.adversarial else "paired"
        lines.append(f"stage {index} ({kind}): {stage.steps:,} steps, {stage.frames:,} frames, about {stage.seconds / 60:.1f} min on {device}")
    memory = "" if found.memory is None else f" and {found.memory / 2**30:.1f} GiB"
    lines.append(f"in all about {found.seconds / 60:.0f} min{memory}, measured on a few steps of each stage")
    console.answer({"recipe": recipe.to_dict(), "plan": {**asdict(found), "seconds": found.seconds}}, *lines)
