"""`vedit train`: a recipe becomes a generator."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vedit.cli.console import Console
from vedit.cli.options import AsJson, Device, Quiet

if TYPE_CHECKING:
    from vedit.training import Recipe
    from vedit.training_game import GameRecipe


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe file.", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DATASET", help="Clips to train on, a folder or .zip; the recipe's if left out.", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder of the run; runs/NAME if left out.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder, exactly as if it had not stopped.")] = False,
    nproc: Annotated[int, typer.Option("--nproc", metavar="N", min=1, help="Processes that share every batch: one a GPU, or several on the CPU.")] = 1,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key of the recipe; can be repeated.", show_default=False)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the recipe as it would run, sizes, time and memory, and what is missing; train nothing.")
    ] = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a generator from a recipe. The run keeps its state, a log, sample sheets and the generator so far.

    \b
      vedit train recipes/custom-256.toml --data talks-256.zip --out runs/talks --nproc 4
      vedit train recipes/custom-256.toml --data talks-256.zip --out runs/talks --nproc 4 --resume
      vedit train recipes/laptop-64.toml --data talks.zip --set game.kimg=50 --dry-run
      vedit train recipes/portraits-2.toml --set begin_with=portraits-2 --set name=portraits-3
      vedit generate -g runs/talks/custom-256.safetensors

    On several machines, each with the recipe and the data at the same paths, and the run's folder one that they share, torchrun starts the processes:

    \b
      torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \\
        --no-python vedit train recipes/paper-256-sky.toml --data sky.zip --out runs/sky
    """
    from stylegan_v.ranks import started_by_torchrun
    from vedit.devices import pick_device
    from vedit.training import Recipe
    from vedit.training_game import GameRecipe, read_recipe

    console = Console(quiet, as_json)
    resolved = read_recipe(recipe, changes or [])
    place = pick_device(device)
    together = started_by_torchrun()
    if together and nproc > 1:
        raise typer.BadParameter("torchrun has started the processes already; leave --nproc out")
    if isinstance(resolved, Recipe) and (data is not None or nproc > 1 or together):
        raise typer.BadParameter(f"{recipe} trains on a drawn world, in one process; --data and --nproc are for recipes with a table [game]")
    if isinstance(resolved, GameRecipe) and data is not None:
        resolved = replace(resolved, data=replace(resolved.data, path=str(data)))
    if dry_run:
        _show(console, resolved, place, nproc)
        return
    folder = out if out is not None else Path("runs") / resolved.name
    if (path := _run(console, resolved, folder, resume, place, nproc)) is not None:
        console.answer({"run": folder, "generator": path}, str(path))


def _run(console: Console, recipe: Recipe | GameRecipe, out: Path, resume: bool, device: str, nproc: int) -> Path | None:
    """Train in this process, or in several others; None in one that torchrun started and that is not the first."""
    from stylegan_v.ranks import joined
    from vedit.cli.train_rank import warn_once_a_machine
    from vedit.progress import finish
    from vedit.training import Recipe
    from vedit.training import train as run
    from vedit.training_game import train_game
    from vedit.training_launch import launch

    if isinstance(recipe, Recipe):
        return console.run(run(recipe, out, resume=resume, device=device))
    if nproc == 1:
        with joined(device) as (ranks, place):
            warn_once_a_machine(ranks)
            work = train_game(recipe, out, resume=resume, device=place, ranks=ranks)
            if ranks.first:
                return console.run(work)
            finish(work)
            return None
    task = {"recipe": recipe.to_dict(), "out": str(out), "resume": resume, "device": device, "quiet": console.quiet}
    launch("vedit.cli.train_rank", [json.dumps(task)], nproc)
    return out / f"{recipe.name}.safetensors"


def _show(console: Console, recipe: Recipe | GameRecipe, device: str, nproc: int) -> None:
    """The recipe as it would run, and what that would cost."""
    from vedit.training import Recipe
    from vedit.training_plan import plan, plan_game

    lines = [json.dumps(recipe.to_dict(), indent=2)]
    if not isinstance(recipe, Recipe):
        cost = console.run(plan_game(recipe, device, nproc))
        lines += [cost.sizes(), cost.summary()]
        console.answer({"recipe": recipe.to_dict(), "plan": asdict(cost)}, *lines)
        return
    found = console.run(plan(recipe, device))
    lines.append(f"parameters: generator {found.generator_parameters:,}, discriminator {found.discriminator_parameters:,}")
    for index, stage in enumerate(found.stages):
        kind = "adversarial" if stage.adversarial else "paired"
        lines.append(f"stage {index} ({kind}): {stage.steps:,} steps, {stage.frames:,} frames, about {stage.seconds / 60:.1f} min on {device}")
    memory = "" if found.memory is None else f" and {found.memory / 2**30:.1f} GiB"
    lines.append(f"in all about {found.seconds / 60:.0f} min{memory}, measured on a few steps of each stage")
    console.answer({"recipe": recipe.to_dict(), "plan": {**asdict(found), "seconds": found.seconds}}, *lines)
