"""`vedit generate`: random videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedit.cli.console import Console
from vedit.cli.options import AsJson, Device, GeneratorName, Label, Quiet
from vedit.cli.parse import parse_seeds
from vedit.models.registry import GENERATOR_OF
from vedit.timing import parse_rate


def generate(
    generator: GeneratorName = GENERATOR_OF["portraits"],
    seeds: Annotated[str, typer.Option(metavar="0-8", help="One video for each: 3, 0-8 or 0-2,7.")] = "0-8",
    frames: Annotated[int, typer.Option(metavar="N", min=1, help="Length in frames.")] = 100,
    fps: Annotated[str, typer.Option(metavar="N", help="Frame rate; the generator's own if left out.", show_default=False)] = "",
    psi: Annotated[float, typer.Option(metavar="X", help="Truncation: less is more average, 1 is the full variety.")] = 1.0,
    label: Label = None,
    grid: Annotated[bool, typer.Option("--grid", help="All in one video.")] = False,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="PATH", help="A folder, or a file with --grid.")] = Path("generated"),
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw random videos from a generator.

    \b
      vedit generate                               nine portraits, a file each
      vedit generate -g skies-2 --seeds 0-24 --grid -o skies.mp4
      vedit generate --seeds 7 --frames 500 --fps 125      in slow steps
    """
    wanted, rate = parse_seeds(seeds), parse_rate(fps) if fps else None

    from vedit.sampling import generate as run

    console = Console(quiet, as_json)
    paths = console.run(run(generator, seeds=wanted, frames=frames, fps=rate, psi=psi, label=label, grid=grid, out=out, device=device))
    console.answer({"videos": paths}, *(str(path) for path in paths))
