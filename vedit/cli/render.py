"""`vedit render`: latents become a video again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vedit.cli.console import Console
from vedit.cli.options import AsJson, Blend, Device, Project, Quiet, RenderPrecision
from vedit.cli.parse import HIGHEST_SEED, BadArgument, check_blend, parse_edit, parse_length
from vedit.cli.projects import open_project
from vedit.timing import parse_rate, parse_sweep


def render(
    project: Project = None,
    edits: Annotated[
        list[str] | None,
        typer.Option("--edit", metavar="NAME[=STRENGTH]", help="Only these edits, in this order; repeatable. All, if left out.", show_default=False),
    ] = None,
    no_edits: Annotated[bool, typer.Option("--no-edits", help="The reconstruction alone.")] = False,
    fps: Annotated[str, typer.Option(metavar="N|N/M", help="Render at this constant rate.", show_default=False)] = "",
    factor: Annotated[int | None, typer.Option(metavar="K", min=1, help="K frames for every frame of the source.", show_default=False)] = None,
    speed: Annotated[float, typer.Option(metavar="X", help="2 is twice as fast, 0.5 half as fast.")] = 1.0,
    start: Annotated[float | None, typer.Option(metavar="S", help="From this second of the clip.", show_default=False)] = None,
    end: Annotated[float | None, typer.Option(metavar="S", help="To this second of the clip.", show_default=False)] = None,
    extend: Annotated[float, typer.Option(metavar="S", help="Go on this many seconds after the clip's end, with silence.")] = 0.0,
    motion_seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=HIGHEST_SEED, help="Another motion, drawn from this seed.", show_default=False)
    ] = None,
    motion_from: Annotated[Path | None, typer.Option(metavar="PROJECT", help="The motion of another project.", show_default=False)] = None,
    paste_back: Annotated[bool, typer.Option("--paste-back", help="Put the change back into the source's picture.")] = False,
    blend: Blend = None,
    compare: Annotated[bool, typer.Option("--compare", help="Source and result side by side.")] = False,
    sweep: Annotated[str, typer.Option(metavar="-2:2:5", help="Side by side at several strengths: first:last:count.", show_default=False)] = "",
    preview: Annotated[
        bool, typer.Option("--preview", help="A quick look at the whole at its own pace: every k-th frame, 48 at most, in --precision auto, small, silent.")
    ] = False,
    no_audio: Annotated[bool, typer.Option("--no-audio", help="Leave the sound out.")] = False,
    codec: Annotated[
        Literal["h264", "hevc", "av1", "vp9", "prores", "ffv1", "gif", "png"], typer.Option(help="ffv1 and png lose nothing.")
    ] = "h264",
    crf: Annotated[int | None, typer.Option(metavar="N", min=0, max=63, help="Quality of h264, hevc, av1, vp9: less is better.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE|DIR", help="Where to; PROJECT/renders if left out.", show_default=False)] = None,
    precision: RenderPrecision = None,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Render a project, with its edits and its sound. Frames stand at the source's times, unless told otherwise.

    A photograph moves for 4 s (or to --end, or for --extend) with --motion-seed, and as long as the other clip with --motion-from.

    \b
      vedit render                                 all edits
      vedit render --preview                       a quick look first
      vedit render --compare -o side-by-side.mp4
      vedit render --edit old=0.5 --edit beard --fps 60
      vedit render --edit old --sweep -2:2:5       five strengths side by side
      vedit render --speed 0.25 --factor 4         slow motion
      vedit render --paste-back --blend poisson    the face itself, in its picture's light
      vedit render photo.vedit --motion-seed 3     a photograph moves
    """
    if no_edits and edits:
        raise BadArgument("found --edit and --no-edits together; give one of them")
    if fps and factor is not None:
        raise BadArgument("found --fps and --factor together; give one of them")
    if motion_seed is not None and motion_from is not None:
        raise BadArgument("found --motion-seed and --motion-from together; give one of them")
    check_blend(blend, paste_back)
    rate, chosen = parse_rate(fps) if fps else None, [parse_edit(text) for text in edits or []]
    strengths = parse_sweep(sweep) if sweep else None
    first, last, beyond = parse_length("--start", start), parse_length("--end", end), parse_length("--extend", extend)

    from vedit.rendering import render as run

    console = Console(quiet, as_json)
    workspace = open_project(project)
    path = console.run(
        run(
            workspace,
            edits=chosen if chosen or no_edits else None,
            fps=rate,
            factor=factor,
            speed=speed,
            start=first,
            end=last,
            extend=beyond or 0.0,
            motion_seed=motion_seed,
            motion_from=open_project(motion_from) if motion_from else None,
            paste_back=paste_back,
            blend=blend,
            compare=compare,
            sweep=strengths,
            preview=preview,
            audio=not no_audio,
            codec=codec,
            crf=crf,
            out=out,
            device=device,
            precision=precision,
        )
    )
    console.answer({"project": workspace.path, "video": path}, str(path))
