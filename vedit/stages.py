"""Stages of a projection: each is kept with a hash of its inputs and settings, so that a killed run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vedit.errors import VeditError
from vedit.progress import Task
from vedit.workspace import Workspace, read_tensors, write_tensors, write_text

Tensors = dict[str, Tensor]


@dataclass
class Stages:
    """The chain of stages of one workspace. A changed setting changes the key of its stage and of all later ones, no others'."""

    workspace: Workspace
    key: str = ""

    def run(self, name: str, settings: Mapping[str, Any], compute: Task[Tensors], intact: Callable[[], object] | None = None) -> Task[Tensors]:
        """The tensors of a stage: read if it was finished with the same key, else computed and kept.

        A stage with a file of its own beside is read only if `intact`, which looks at that file, raises no VeditError.
        """
        text = json.dumps({"before": self.key, "stage": name, **settings}, sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()
        folder = self.workspace.path / "stages" / name
        try:
            if (folder / "key").read_text(encoding="ascii") == self.key:
                if intact is not None:
                    intact()
                return read_tensors(folder / "result.safetensors")
        except (OSError, VeditError):
            pass  # not finished, or damaged: computed anew
        (folder / "key").unlink(missing_ok=True)
        result = yield from compute
        folder.mkdir(parents=True, exist_ok=True)  # not before there is something to keep: a wrong setting leaves nothing behind
        write_tensors(folder / "result.safetensors", result)
        write_text(folder / "key", self.key)
        return result


def remove_unfinished(workspace: Workspace) -> None:
    """Delete what a killed run may have left beside its files."""
    for leftover in workspace.path.rglob(".*.part"):
        if leftover.is_file():
            os.unlink(leftover)
