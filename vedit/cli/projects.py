"""The project that a command works on: the one named, or the newest in the working directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vedit.workspace import Workspace


def open_project(path: Path | None) -> Workspace:
    """The project at `path`, or the newest one here; raises WorkspaceError."""
    from vedit.workspace import Workspace

    return Workspace.open(path) if path is not None else Workspace.newest()


def names_project(path: Path) -> bool:
    """Whether `path` is, or is called like, a project folder (a folder of frames is neither)."""
    from vedit.workspace import Workspace

    return path.suffix == ".vedit" or Workspace.is_project(path)
