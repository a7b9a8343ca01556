"""`vedit edits`: the stack of edits of a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vedit.cli.console import Console, complain, table
from vedit.cli.info import strength_text, where
from vedit.cli.options import AsJson, Device, Project, Quiet
from vedit.cli.parse import BadArgument
from vedit.cli.projects import open_project
from vedit.timing import parse_keyframes

if TYPE_CHECKING:
    from vedit.workspace import Workspace

HELP = """List, remove, rename and reorder edits, and mix in another clip. They are applied in this order.

\b
  vedit edits list
  vedit edits rm old-person
  vedit edits rename head.vedit an-old-person old
  vedit edits move beard 1
  vedit edits mix head.vedit --from other.vedit --layers 0-3"""

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_(project: Project = None, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Show the edits of a project in the order in which they are applied.

    \b
      vedit edits list
      vedit edits list head.vedit --json
    """
    _list(open_project(project), Console(quiet, as_json))


@app.command()
def rm(
    names: Annotated[list[str], typer.Argument(metavar="[PROJECT] NAME", help="The edit to remove.", show_default=False)],
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Remove an edit.

    \b
      vedit edits rm old-person
      vedit edits rm head.vedit old-person
    """
    workspace, (name,) = _split(names, "NAME")
    workspace.remove_edit(name)
    _list(workspace, Console(quiet, as_json))


@app.command()
def rename(
    names: Annotated[list[str], typer.Argument(metavar="[PROJECT] OLD NEW", help="Its name, and the new one.", show_default=False)],
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Give an edit another name.

    \b
      vedit edits rename an-old-person old
      vedit edits rename head.vedit an-old-person old
    """
    workspace, (old, new) = _split(names, "OLD", "NEW")
    workspace.rename_edit(old, new)
    _list(workspace, Console(quiet, as_json))


@app.command()
def move(
    names: Annotated[
        list[str], typer.Argument(metavar="[PROJECT] NAME POSITION", help="The edit, and its new place, 1 first.", show_default=False)
    ],
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Change the order in which edits are applied.

    \b
      vedit edits move beard 1
      vedit edits move head.vedit beard 2
    """
    workspace, (name, position) = _split(names, "NAME", "POSITION")
    count = len(workspace.list_edits())
    if not position.isdecimal() or not 1 <= int(position) <= count:
        raise BadArgument(f"found position {position!r}; give the edit's new place, 1 (first) to {count}")
    workspace.move_edit(name, int(position) - 1)
    _list(workspace, Console(quiet, as_json))


@app.command()
def mix(
    project: Project = None,
    other: Annotated[Path, typer.Option("--from", metavar="PROJECT", help="The project whose content is mixed in.", show_default=False)] = ...,  # type: ignore[assignment]  # typer's mark of a required option
    layers: Annotated[str, typer.Option(metavar="0-3|all", help="Rows of ws: the first are shape and pose, the last colours.")] = "all",
    strength: Annotated[str, typer.Option(metavar="X | 0s=0,2s=1", help="0 is this clip, 1 the other's content; keyframes fade.")] = "1",
    name: Annotated[str, typer.Option(metavar="NAME", help="What the edit is called; made from the other's name if left out.", show_default=False)] = "",
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Move a clip's content towards another's: all of it, or some layers (style mixing). The motion stays this clip's.

    \b
      vedit edits mix head.vedit --from other.vedit --layers 0-3
      vedit edits mix head.vedit --from other.vedit --strength 0s=0,2s=1

    Both projects must be of one generator. `vedit render --edit NAME=0.5` goes half the way.
    """
    keyframes = parse_keyframes(strength)

    from vedit.mixing import mix as run

    workspace = open_project(project)
    made = run(workspace, open_project(other), layers=layers, strength=keyframes, name=name or None, device=device)
    for warning in made.warnings:
        complain(warning, kind="warning")
    _list(workspace, Console(quiet, as_json))


def _split(values: list[str], *wanted: str) -> tuple[Workspace, list[str]]:
    """The project, named or the newest here, and the other arguments."""
    if len(values) not in (len(wanted), len(wanted) + 1):
        raise BadArgument(f"found {len(values)} arguments ({' '.join(values)}); give [PROJECT] {' '.join(wanted)}")
    named = len(values) > len(wanted)
    return open_project(Path(values[0]) if named else None), values[named:]


def _list(workspace: Workspace, console: Console) -> None:
    from vedit.editing import load_edits

    edits = load_edits(workspace)
    data = [edit.to_files()[0] for edit in edits]
    rows = [[i, edit.name, edit.kind, strength_text(edit.strength), edit.prompt + where(edit)] for i, edit in enumerate(edits, 1)]
    text = table(rows, ["", "name", "kind", "strength", "what"]) if rows else f"{workspace.path} has no edits"
    console.answer({"project": workspace.path, "edits": data}, text)
