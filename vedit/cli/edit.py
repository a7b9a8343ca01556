"""`vedit edit`: words become one direction for the whole clip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vedit.cli.console import Console
from vedit.cli.options import AsJson, Project, Quiet
from vedit.timing import parse_keyframes


def edit(
    project: Project = None,
    prompt: Annotated[str, typer.Option(metavar="TEXT", help="What the clip shall show.", show_default=False)] = ...,  # type: ignore[assignment]  # typer's mark of a required option
    neutral: Annotated[str, typer.Option(metavar="TEXT", help="What it shows now: the direction leads from here.", show_default=False)] = "",
    strength: Annotated[str, typer.Option(metavar="X | 0s=0,2s=1", help="1 is a clear, natural change; negative reverses; keyframes fade.")] = "1",
    disentangle: Annotated[float | None, typer.Option(metavar="X", help="Keep channels that respond this clearly.", show_default=False)] = None,
    method: Annotated[Literal["global"], typer.Option(help="global: from channel statistics, at once.")] = "global",
    name: Annotated[str, typer.Option(metavar="NAME", help="What the edit is called; made from the prompt if left out.", show_default=False)] = "",
    clip: Annotated[str, typer.Option(metavar="MODEL", help="A text–image model: open_clip's name, a local file, or builtin.")] = "builtin",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Change a projected clip by words.

    \b
      vedit edit --prompt "an old person"
      vedit edit head.vedit --prompt "a person with a beard" --strength 0.6
      vedit edit --prompt "bright sun" --strength 0s=0,2s=1      fades in

    Edits add up and are kept by name: see `vedit edits`. Nothing is rendered before `vedit render`.
    """
    keyframes = parse_keyframes(strength)

    from vedit.editing import edit as run
    from vedit.workspace import Workspace

    console = Console(quiet, as_json)
    workspace = Workspace.open(project) if project else Workspace.newest(Path.cwd())
    made = console.run(
        run(
            workspace,
            prompt,
            neutral=neutral or None,
            strength=keyframes if "=" in strength else keyframes[0][1],
            disentangle=disentangle,
            method=method,
            name=name or None,
            clip=clip or None,
        )
    )
    console.answer(
        {"project": workspace.path, "name": made.name, "prompt": made.prompt, "neutral": made.neutral, "strength": made.strength},
        f"edit {made.name} of {workspace.path}: {made.prompt!r} from {made.neutral!r}, strength {strength}",
    )
    console.say(f"next: vedit render {workspace.path} --compare")
