"""`vedit demo`: everything once, with a clip that ships."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedit.cli.console import Console
from vedit.cli.options import AsJson, Quiet


def demo(
    source: Annotated[Path | None, typer.Argument(metavar="SOURCE", help="Another clip than the one that ships.", show_default=False)] = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help='What the clip shall show; by default "an old person", or "a very cloudy day".', show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Where the project and the videos go.")] = Path("demo-output"),
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Do it all once, with a clip that ships. Projects it, edits it by words, renders it, and again with five times the frames.

    \b
      vedit demo
      vedit demo my-clip.mp4 --prompt "a person with a beard" -o mine
    """
    from vedit.demo import demo as run
    from vedit.suggestions import prompts

    console = Console(quiet, as_json)
    made = console.run(run(out, source=source, prompt=prompt))
    width = max(len(name) for name in made.videos)
    lines = [f"{name.ljust(width)}  {path}" for name, path in made.videos.items()]
    path = made.project.path
    console.answer({"project": path, "prompt": made.prompt, **made.videos}, f"project {path}", *lines)
    console.say(f'go on: vedit edit {path} --prompt "{prompts(made.project)[1]}"; vedit render {path} --compare')
