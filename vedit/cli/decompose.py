"""`vedit decompose`: contents against motions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedit.cli.console import Console
from vedit.cli.options import AsJson, Device, GeneratorName, Label, Quiet
from vedit.models.registry import GENERATOR_OF


def decompose(
    generator: GeneratorName = GENERATOR_OF["portraits"],
    contents: Annotated[int, typer.Option(metavar="N", min=1, max=32, help="Rows: one content each.")] = 4,
    motions: Annotated[int, typer.Option(metavar="N", min=1, max=32, help="Columns: one motion each.")] = 4,
    label: Label = None,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The video.")] = Path("decomposition.mp4"),
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Show contents against motions. Every row of the grid shares one content, every column one motion.

    \b
      vedit decompose -g portraits-2 --contents 5 --motions 5 -o grid.mp4
    """
    from vedit.sampling import decompose as run

    console = Console(quiet, as_json)
    path = console.run(run(generator, contents=contents, motions=motions, label=label, out=out, device=device))
    console.answer({"video": path}, str(path))
