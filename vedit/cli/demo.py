"""`vedit demo`: everything once, with a clip that ships."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedit.cli.console import Console
from vedit.cli.options import AsJson, Quiet


def demo(
    source: Annotated[Path | None, typer.Argument(metavar="SOURCE", help="Another clip than the one that ships.", show_default=False)] = None,
    prompt: Annotated[str, typer.Option(metavar="TEXT", help="What the clip shall show.")] = "an old person",
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

    console = Console(quiet, as_json)
    made = console.run(run(out, source=source, prompt=prompt))
    width = max(len(name) for name in made.videos)
    lines = [f"{name.ljust(width)}  {path}" for name, path in made.videos.items()]
    console.answer({"project": made.project, "prompt": prompt, **made.videos}, f"project {made.project}", *lines)
    console.say(f'go on: vedit edit {made.project} --prompt "a person with a beard"; vedit render {made.project} --compare')
