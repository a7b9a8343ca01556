"""The figures of a project: how near its latents come to the clip, as the projection found or measured again."""

from __future__ import annotations

from typing import Any

from vedit import perceptual, scores
from vedit.devices import pick_device
from vedit.progress import Progress, Task
from vedit.rendering import scene
from vedit.scene import beside_source
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
    curves = scores.Curves({name: perceptual.load(name) for name in DISTANCES if perceptual.available(name)})
    total = len(workspace.info["times"])
    yield Progress("render", 0, total)
    with workspace.frames() as frames:
        for pair in beside_source(frames, scene(workspace, [], pick_device(device))):
            curves.add(*pair)
            yield Progress("render", len(curves.psnr), total)
    return {"measured": curves.report().to_dict()}
