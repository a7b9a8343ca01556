"""The figures of a project: how near its latents come to the clip, as the projection found or measured again."""

from __future__ import annotations

from typing import Any

import torch

from vedit import perceptual, scores
from vedit.devices import pick_device
from vedit.pixels import from_pixels
from vedit.progress import Progress, Task
from vedit.rendering import scene
from vedit.workspace import Workspace

DISTANCES = ("lpips-alex", "lpips-squeeze", "builtin")


def reconstruction(workspace: Workspace, *, again: bool = False, device: str = "auto") -> Task[dict[str, dict[str, Any]]]:
    """Figures (see `vedit.scores.Report`) by level: "latent", "balanced", "max" as far as the projection went.

    They are those that project.json holds; with `again`, and where it holds none, the project is rendered without edits and
    measured: one entry, called "measured". Raises WorkspaceError where the project is damaged or not of this generator.
    """
    kept: dict[str, dict[str, Any]] = workspace.info.get("levels") or {}
    if kept and not again:
        return kept
    source = from_pixels(workspace.frames())
    parts, total = [], len(source)
    yield Progress("render", 0, total)
    for part in scene(workspace, [], pick_device(device)).chunks(workspace.info["times"]):
        parts.append(part)
        yield Progress("render", sum(map(len, parts)), total)
    distances = {name: perceptual.load(name) for name in DISTANCES if perceptual.available(name)}
    return {"measured": scores.report(source, torch.cat(parts), distances).to_dict()}
