"""`vedit edit`: words become one direction for the whole clip."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from vedit.cli.console import Console, complain
from vedit.cli.options import AsJson, Device, Project, Quiet
from vedit.cli.parse import HIGHEST_SEED
from vedit.cli.projects import open_project
from vedit.timing import parse_keyframes


def edit(
    project: Project = None,
    prompt: Annotated[str, typer.Option(metavar="TEXT", help="What the clip shall show.", show_default=False)] = ...,  # type: ignore[assignment]  # typer's mark of a required option
    neutral: Annotated[str, typer.Option(metavar="TEXT", help="What it shows now: the direction leads from here.", show_default=False)] = "",
    strength: Annotated[str, typer.Option(metavar="X | 0s=0,2s=1", help="1 is a clear, natural change; negative reverses; keyframes fade.")] = "1",
    disentangle: Annotated[float | None, typer.Option(metavar="X", help="Keep channels that respond this clearly.", show_default=False)] = None,
    method: Annotated[
        Literal["global", "optimize"], typer.Option(help="global: from channel statistics, at once; optimize: on the clip's own frames.")
    ] = "global",
    region: Annotated[
        str, typer.Option(metavar="R", help="Where: face, background, x,y,w,h of the source, or a mask: image, video, folder.", show_default=False)
    ] = "",
    name: Annotated[str, typer.Option(metavar="NAME", help="What the edit is called; made from the prompt if left out.", show_default=False)] = "",
    clip: Annotated[str, typer.Option(metavar="MODEL", help="A text–image model: open_clip's name, a local file, or builtin.")] = "builtin",
    steps: Annotated[int | None, typer.Option(metavar="N", min=1, help="optimize: at most so many steps.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=HIGHEST_SEED, help="optimize: the same seed makes the same edit.")] = 0,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Change a projected clip by words.

    \b
      vedit edit --prompt "an old person"
      vedit edit head.vedit --prompt "a person with a beard" --strength 0.6
      vedit edit --prompt "bright sun" --strength 0s=0,2s=1      fades in
      vedit edit --prompt "a person with makeup" --region face
      vedit edit --prompt "bright sun" --region mask.mp4         white where
      vedit edit --prompt "an old person" --method optimize

    Edits add up and are kept by name: see `vedit edits`. Nothing is rendered before `vedit render`.
    """
    keyframes = parse_keyframes(strength)  # before the long imports

    from vedit.cli.info import where
    from vedit.edit_scores import spoken
    from vedit.editing import check_prompt
    from vedit.editing import edit as run
    from vedit.optimising import traded

    console = Console(quiet, as_json)
    check_prompt(prompt, "prompt")  # before a missing project is complained of
    workspace = open_project(project)
    made = console.run(
        run(
            workspace,
            prompt,
            neutral=neutral or None,
            strength=keyframes,
            disentangle=disentangle,
            method=method,
            region=region or None,
            name=name or None,
            clip=clip or None,
            steps=steps,
            seed=seed,
            device=device,
        )
    )
    for warning in made.warnings:
        complain(warning, kind="warning")
    console.answer(
        {"project": workspace.path, "name": made.name, "prompt": made.prompt, "neutral": made.neutral, "strength": made.strength,
         "method": made.method, "region": None if made.region is None else made.region.to_info(), "warnings": made.warnings, **made.figures},
        f"edit {made.name} of {workspace.path}: {made.prompt!r} from {made.neutral!r}, strength {strength}{where(made)}",
        *([f"  optimized: {traded(made.figures['optimization'])}"] if "optimization" in made.figures else []),
        f"  {spoken(made.figures['scores'])}",
    )
    console.say(f"next: vedit render {workspace.path} --compare")
