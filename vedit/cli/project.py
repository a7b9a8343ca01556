"""`vedit project`: a clip becomes latents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vedit.cli.console import Console
from vedit.cli.options import AsJson, Device, GeneratorName, Label, Quiet
from vedit.cli.parse import HIGHEST_SEED, parse_length
from vedit.timing import parse_rate

UNLIKE = 28.0  # dB: about what the built-in generators reach on clips of their own worlds without tuning


def project(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A video, an image or a folder of frames.", show_default=False)],
    generator: GeneratorName = "",
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="DIR", help="Project folder; NAME.vedit if left out.")] = None,
    start: Annotated[float | None, typer.Option(metavar="S", help="Begin at this second.")] = None,
    duration: Annotated[float | None, typer.Option(metavar="S", help="Take this many seconds.")] = None,
    fps: Annotated[str, typer.Option(metavar="N", help="Sample the source at this rate: 25, 30000/1001.", show_default=False)] = "",
    crop: Annotated[str, typer.Option(metavar="auto|face|face@x,y|center|x,y,w,h", help="What part of the picture; face@x,y is the face there.")] = "auto",
    faces: Annotated[
        Literal["auto", "face-alignment", "yunet", "mtcnn"], typer.Option(help="What finds faces; auto takes the best on this machine.")
    ] = "auto",
    fidelity: Annotated[
        Literal["latent", "balanced", "max"],
        typer.Option(help="latent: one content and its motion; balanced: small smooth residuals as well; max: the generator fitted, too."),
    ] = "balanced",
    no_tune: Annotated[bool, typer.Option("--no-tune", help="At most balanced: the generator stays as it is.")] = False,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Steps of the inversion.", min=1, show_default=False)] = None,
    perceptual: Annotated[
        Literal["auto", "lpips-vgg", "lpips-alex", "lpips-squeeze", "clip", "builtin"],
        typer.Option(help="What similarity is judged by; auto takes the best on this machine."),
    ] = "auto",
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=HIGHEST_SEED, help="Seed of every random draw.")] = 0,
    label: Label = None,
    device: Device = "auto",
    precision: Annotated[Literal["auto", "fp32", "bf16"], typer.Option(help="bf16 is faster where the processor has it.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start over where a project of another clip stands.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Find a clip in a generator's latent space.

    \b
      vedit project clip.mp4                      → clip.vedit/
      vedit project talk.mov --start 10 --duration 4 --crop face
      vedit project sky.mp4 -g skies-2 -o evening.vedit

    Stopped or killed, the same command goes on where it was.
    """
    first, length, rate = parse_length("--start", start), parse_length("--duration", duration), parse_rate(fps) if fps else None

    from vedit.projection import project as run

    console = Console(quiet, as_json)
    workspace = console.run(
        run(
            source,
            generator or None,
            out=out,
            start=first,
            duration=length,
            fps=rate,
            crop=crop,
            faces=faces,
            fidelity="balanced" if no_tune and fidelity == "max" else fidelity,
            steps=steps,
            perceptual=perceptual,
            seed=seed,
            label=label,
            device=device,
            precision=precision,
            overwrite=overwrite,
        )
    )
    from vedit.cli.info import project_lines
    from vedit.suggestions import prompts

    console.answer({"project": workspace.path, **workspace.info}, *project_lines(workspace))
    likeness = workspace.info["scores"]["psnr"]
    if fidelity != "max" and not no_tune and likeness is not None and likeness < UNLIKE:
        console.say(f"the reconstruction is no close likeness yet ({likeness:.1f} dB): the same command with --fidelity max goes on from here")
    console.say(f'next: vedit edit {workspace.path} --prompt "{prompts(workspace)[0]}"')
