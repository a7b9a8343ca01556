"""`vedit info`: what a project, a video or a model file is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vedit.cli.console import Console
from vedit.cli.options import AsJson, Quiet
from vedit.cli.projects import names_project, open_project

if TYPE_CHECKING:
    from vedit.editing import Edit
    from vedit.workspace import Workspace


def info(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="PROJECT|FILE", help="A project (the newest one here if left out), a video, an image or a model.", show_default=False),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Say what a project, a video or a model file is.

    \b
      vedit info head.vedit
      vedit info clip.mp4 --json
    """
    console = Console(quiet, as_json)
    if path is None or names_project(path):
        workspace = open_project(path)
        console.answer({"project": workspace.path, **workspace.info}, *project_lines(workspace))
    elif path.suffix in (".safetensors", ".pkl"):
        from vedit.models import describe

        _answer(console, describe(path))
    else:
        from vedit.video import probe

        found = probe(path)
        _answer(console, {"path": str(path)} | {name: getattr(found, name) for name in found.__dataclass_fields__})


def project_lines(workspace: Workspace) -> list[str]:
    """A project in a few lines: source, generator, scores, edits."""
    from vedit.editing import load_edits

    about = workspace.info
    lines = [f"project {workspace.path}"]
    lines += [f"  {key}: {_flat(value)}" for key, value in about.items() if key not in BULKY]
    for edit in load_edits(workspace):
        lines.append(f"  edit {edit.name}: {meaning(edit)}, strength {strength_text(edit.strength)}{where(edit)}")
    return lines


def meaning(edit: Edit) -> str:
    """What an edit does: its words, or what it mixes in."""
    return f"{edit.prompt!r} from {edit.neutral!r}" if edit.kind == "words" else f"mix of {edit.prompt}"


def where(edit: Edit) -> str:
    """The region of an edit as a person reads it; nothing for the whole frame."""
    if edit.region is None:
        return ""
    return ", in the box " + ",".join(f"{value:g}" for value in edit.region.box) if edit.region.box else f", in the {edit.region.kind}"


# One entry for every frame, or of no use to a person; --json has them.
BULKY = ("times", "crops", "held", "schema", "edits", "source_hash", "source_stat", "latents", "tuned", "levels")


def strength_text(keyframes: Sequence[Sequence[float]]) -> str:
    """Keyframes as a person writes them.

    >>> strength_text([[0.0, 0.5]]), strength_text([[0.0, 0.0], [2.0, 1.0]])
    ('0.5', '0s=0,2s=1')
    """
    if len(keyframes) == 1:
        return f"{keyframes[0][1]:g}"
    return ",".join(f"{time:g}s={value:g}" for time, value in keyframes)


def _flat(value: Any) -> str:
    """A value in one short line: tables without what is not set, hashes by their beginning."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_flat(part)}" for key, part in value.items() if part is not None)
    if isinstance(value, str) and len(value) == 64 and not value.strip("0123456789abcdef"):
        return value[:12]
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _answer(console: Console, about: dict[str, Any]) -> None:
    console.answer(about, *(f"{key}: {_flat(value)}" for key, value in about.items()))
