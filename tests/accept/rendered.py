"""What a project holds, as tensors: the cropped source, and renders before they are rounded to 8 bits."""

from __future__ import annotations

import torch
from torch import Tensor

from vedit.pixels import from_pixels
from vedit.rendering import scene, schedule
from vedit.workspace import Workspace


def cropped_source(workspace: Workspace) -> Tensor:
    """The source's frames [T, 3, S, S] in [-1, 1] as the projection saw them: cropped, at the generator's size."""
    with workspace.frames() as frames:
        return from_pixels(frames[:])


def float_frames(workspace: Workspace, factor: int) -> Tensor:
    """Frames [factor · T, 3, S, S] of the project without edits, in floats."""
    plan = schedule(workspace.info["times"], workspace.info["end"], factor=factor)
    return torch.cat(list(scene(workspace, []).chunks(plan.moments)))
