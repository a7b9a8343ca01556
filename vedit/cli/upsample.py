"""`vedit upsample`: the same clip with more frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedit.cli.console import Console
from vedit.cli.options import AsJson, Blend, Device, Quiet, RenderPrecision
from vedit.cli.parse import BadArgument, check_blend
from vedit.cli.projects import names_project, open_project
from vedit.timing import parse_rate


def upsample(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="PROJECT|SOURCE", help="A project, the newest one here if left out, or a video to project first.", show_default=False),
    ] = None,
    factor: Annotated[int | None, typer.Option(metavar="K", min=1, help="K frames for every frame.", show_default=False)] = None,
    fps: Annotated[str, typer.Option(metavar="N", help="Or: this frame rate.", show_default=False)] = "",
    paste_back: Annotated[bool, typer.Option("--paste-back", help="In the source's own picture, between its own frames.")] = False,
    blend: Blend = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Where to; PROJECT/renders if left out.", show_default=False)] = None,
    precision: RenderPrecision = None,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Render the same clip with more frames. Those between are made by the generator, not blended.

    With --paste-back they are averages of the source's pictures, and inside the crop the generator adds what moves between them
    (with --blend replace or poisson, the crop is the generator's).
    Frames that the source itself shows twice stay doubled.

    \b
      vedit upsample --factor 5
      vedit upsample clip.mp4 --fps 120 -o smooth.mp4
      vedit upsample clip.vedit --factor 2 --paste-back
    """
    if (factor is None) == (not fps):
        raise BadArgument("give one of --factor K and --fps N, such as --factor 5")
    check_blend(blend, paste_back)
    rate = parse_rate(fps) if fps else None

    from vedit.rendering import render

    console = Console(quiet, as_json)
    if source is None or names_project(source):
        workspace = open_project(source)
    else:
        from vedit.projection import project

        workspace = console.run(project(source, device=device))
    path = console.run(render(workspace, factor=factor, fps=rate, paste_back=paste_back, blend=blend, out=out, device=device, precision=precision))
    console.answer({"project": workspace.path, "video": path}, str(path))
