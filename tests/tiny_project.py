"""The least that a finished project has, for tests of what is done with projects."""

from __future__ import annotations

from pathlib import Path

from vedit.workspace import Workspace


def finished(path: Path) -> Workspace:
    """A project with the least that a finished one has."""
    workspace = Workspace.create(path)
    workspace.info |= {
        "times": [0.0, 0.04],
        "end": 0.08,
        "crops": [[[64.0, 0.0, 0.0], [0.0, 64.0, 0.0]]] * 2,
        "generator": {"name": "g", "hash": "h"},
        "source": "clip.mp4",
        "source_hash": "s",
        "settings": {"start": None, "duration": None, "fps": None},
    }
    workspace.save()
    return workspace
