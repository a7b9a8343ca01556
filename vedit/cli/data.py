"""`vedit data`: clips to train on, from videos or from a world, and what training will make of them."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vedit.cli.console import Console, table
from vedit.cli.options import AsJson, Quiet
from vedit.cli.parse import HIGHEST_SEED

if TYPE_CHECKING:
    from stylegan_v.data import ClipDataset
    from vedit.data.check import Checked
    from vedit.data.prepare import Prepared
    from vedit.training_game import GameRecipe

HELP = """Make and check data sets of clips for training.

\b
  vedit data prepare talks/ -o talks.zip --size 256 --crop face
  vedit data check talks.zip
  vedit data synth skies -o skies.zip --clips 200 --size 64

A data set is a folder or a zip of video/000000.jpg …; recipes/DATA.md tells how
to make those of the papers."""

MAX_LINES = 20  # of a kind on the terminal; --json tells all

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)

Out = Annotated[
    Path, typer.Option("-o", "--out", metavar="DATASET", help="A folder or a .zip to write.", show_default=False)
]
Format = Annotated[Literal["jpg", "png"], typer.Option(help="Of the frames; png is lossless.")]
Quality = Annotated[int, typer.Option(metavar="1-100", help="Of jpg frames.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a data set that was made from other input or settings.")
]


@app.command()
def prepare(
    sources: Annotated[
        list[Path], typer.Argument(metavar="VIDEO|DIR...", help="Videos, or folders of them.", show_default=False)
    ],
    out: Out,
    size: Annotated[
        int, typer.Option(metavar="N", help="Side of the frames in pixels; networks want a power of two.")
    ] = 256,
    fps: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Frames per second; each video's own if left out.", show_default=False),
    ] = None,
    crop: Annotated[
        str, typer.Option(metavar="MODE", help="center (the largest square), face (aligned, smooth) or x,y,w,h.")
    ] = "center",
    scenes: Annotated[
        bool, typer.Option("--scenes/--no-scenes", help="Cut where the scene changes (PySceneDetect).")
    ] = True,
    least: Annotated[int, typer.Option(metavar="N", help="Leave out clips with fewer frames.")] = 16,
    most: Annotated[
        int | None,
        typer.Option(metavar="N", help="Cut longer scenes into clips of at most N frames.", show_default=False),
    ] = None,
    start: Annotated[
        float | None, typer.Option(metavar="S", help="Second of every video to begin at.", show_default=False)
    ] = None,
    duration: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds of every video to take.", show_default=False)
    ] = None,
    labels: Annotated[
        Literal["none", "folder"], typer.Option(help="folder: the folder that a video lies in is its class.")
    ] = "none",
    duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Keep clips that show the same as an earlier one.")
    ] = False,
    format: Format = "jpg",
    quality: Quality = 95,
    workers: Annotated[int, typer.Option(metavar="N", help="Processes; the result is the same for any number.")] = 1,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Cut videos into clips of square frames. A killed run goes on where it was; a finished one is not run again.

    \b
      vedit data prepare talks/ -o talks.zip --size 256 --crop face --workers 8
      vedit data prepare film.mp4 -o sea.zip --size 128 --fps 25 --start 150
      vedit data prepare UCF-101/ -o ucf.zip --labels folder --least 25
    """
    from vedit.data.prepare import prepare as run

    console = Console(quiet, as_json)
    task = run(
        sources, out, size=size, fps=fps, crop=crop, scenes=scenes, least=least, most=most, start=start, duration=duration,
        format=format, quality=quality, labels=labels, duplicates=duplicates, workers=workers, overwrite=overwrite,
    )  # fmt: skip
    _show_prepared(console, console.run(task))


@app.command()
def check(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="A folder or a .zip of clips.", show_default=False)
    ],
    frames: Annotated[int, typer.Option(metavar="N", help="Frames of a clip that the recipe trains on at a time.")] = 3,
    resolution: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Of the recipe's generator; the data set's own if left out.", show_default=False
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", metavar="FILE", help="A recipe that the data is for; takes the place of --frames and --resolution.", show_default=False),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key of the recipe; can be repeated.", show_default=False)
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Read a data set as training does and tell what it will use, leave out or refuse. Exits with 1 if it would refuse.

    \b
      vedit data check talks.zip
      vedit data check talks.zip --recipe recipes/laptop-64.toml --set game.pairs=none
      vedit data check ucf/ --frames 2 --resolution 128 --json
    """
    from vedit.data.check import check as run

    console = Console(quiet, as_json)
    if changes and recipe is None:
        raise typer.BadParameter("--set changes a recipe's values; name one with --recipe")
    asked = _recipe_for_clips(recipe, changes or []) if recipe else None
    if asked is None:
        found = console.run(run(dataset, frames=frames, resolution=resolution))
    else:
        from vedit.training_game import remarks

        found = console.run(run(dataset, game=asked.game, fits=partial(_unfit, asked), remarks=partial(remarks, asked)))
    _show_checked(console, found)
    if not found.ok:
        raise typer.Exit(1)


@app.command()
def synth(
    world: Annotated[str, typer.Argument(metavar="WORLD", help="portraits or skies.", show_default=False)],
    out: Out,
    clips: Annotated[int, typer.Option(metavar="N", help="How many.")] = 100,
    frames: Annotated[int, typer.Option(metavar="N", help="Frames of each, at 25 a second.")] = 64,
    size: Annotated[int, typer.Option(metavar="N", help="Side of the frames in pixels.")] = 64,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=HIGHEST_SEED, help="Of the draw.")] = 0,
    format: Format = "jpg",
    quality: Quality = 95,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw clips of a procedural world.

    \b
      vedit data synth skies -o skies.zip --clips 200 --size 64
      vedit data synth portraits -o heads/ --frames 100 --seed 7
    """
    from vedit.data.synth import synth as run

    console = Console(quiet, as_json)
    task = run(
        world,
        out,
        clips=clips,
        frames=frames,
        size=size,
        seed=seed,
        format=format,
        quality=quality,
        overwrite=overwrite,
    )
    _show_prepared(console, console.run(task))


def _recipe_for_clips(path: Path, changes: list[str]) -> GameRecipe:
    """A recipe for one's own clips."""
    from vedit.training_game import GameRecipe, read_recipe

    found = read_recipe(path, changes)
    if not isinstance(found, GameRecipe):
        raise typer.BadParameter(f"{path} trains on a drawn world and takes no data set")
    return found


def _unfit(recipe: GameRecipe, clips: ClipDataset) -> str:
    """Why a recipe's figures could not be taken against these clips, "" where they can, or where their features are not on this machine."""
    from vedit.errors import VeditError
    from vedit.training import RecipeError
    from vedit.training_metrics import evaluator

    try:
        evaluator(recipe.metrics, clips, "cpu")
    except RecipeError as error:
        return str(error)
    except VeditError:
        pass
    return ""


def _show_prepared(console: Console, made: Prepared) -> None:
    lines = [
        f"{made.path}: {made.clips:,} clip{'s' * (made.clips != 1)}, {made.frames:,} frames"
        + (f", {len(made.classes)} classes" if made.classes else "")
    ]
    left = [f"left out: {item['source']}{_span(item)}: {item['reason']}" for item in made.left_out]
    doubles = [f"left out: {item['name']} shows the same as {item['like']}" for item in made.duplicates]
    lines += _first(left) + _first(doubles) + _first([f"note: {note}" for note in made.notes])
    console.answer(asdict(made), *lines)


def _span(item: dict[str, object]) -> str:
    return f" ({item['start']:.2f} s to {item['end']:.2f} s)" if "start" in item else ""


def _show_checked(console: Console, found: Checked) -> None:
    clips = [clip for clip in found.clips if clip.state != "used"]
    rows = [[clip.state, clip.name, clip.frames, "; ".join(clip.reasons)] for clip in clips[:MAX_LINES]]
    lines = [table(rows)] if rows else []
    if len(clips) > MAX_LINES:
        lines.append(f"… and {len(clips) - MAX_LINES} more; --json tells all")
    lines += _first(
        [f"note: {clip.name}: {note}" for clip in found.clips for note in clip.notes]
        + [f"note: {note}" for note in found.notes]
    )
    lines += _first([f"problem: {problem}" for problem in found.problems])
    skipped = sum(clip.state == "skipped" for clip in found.clips)
    about = f"{len(found.used)} clip{'s' * (len(found.used) != 1)} used, {skipped} skipped, {found.frames:,} frames, median length {found.median_length:g}"
    classes = (
        f", {found.c_dim} classes" if found.classes else f", labels of {found.c_dim} numbers" if found.c_dim else ""
    )
    lines.append(f"{found.path}: {about}, {found.resolution}x{found.resolution}{classes}")
    lines.append("training will use it" if found.ok else "training will refuse it")
    summary = {"ok": found.ok, "used": len(found.used), "frames": found.frames, "median_length": found.median_length}
    console.answer(summary | asdict(found), *lines)


def _first(lines: list[str]) -> list[str]:
    """As many lines as a person reads."""
    return (
        lines
        if len(lines) <= MAX_LINES
        else [*lines[:MAX_LINES], f"… and {len(lines) - MAX_LINES} more; --json tells all"]
    )
