"""Project a clip and render it again, through the library's front door, and keep the time it took."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tests.accept.footage import read_clip, write_clip
from vedit.progress import finish
from vedit.projection import Fidelity, project
from vedit.rendering import render


@dataclass(frozen=True)
class Projected:
    """A source and what came back: frames [T, 3, H, W], times in seconds, and the CPU-seconds of the projection and its distance."""

    folder: Path
    source: Tensor
    render: Tensor
    times: list[float]
    seconds: float
    perceptual: str


def project_frames(
    folder: Path,
    frames: Tensor,
    generator: str,
    *,
    fps: float = 25,
    factor: int | None = None,
    steps: int | None = None,
    fidelity: Fidelity = "balanced",
) -> Projected:
    """Project frames [T, 3, S, S] at the generator's size without cropping, and render them (`factor` times as many) without loss."""
    shutil.rmtree(folder, ignore_errors=True)
    source = write_clip(folder / "source.mkv", frames, fps)
    begin = time.process_time()
    workspace = finish(
        project(source, generator, out=folder / "clip.vedit", crop="center", fidelity=fidelity, steps=steps, seed=0)
    )
    seconds = time.process_time() - begin
    out = finish(render(workspace, factor=factor, codec="ffv1", out=folder / "render.mkv"))
    rendered, times = read_clip(out)
    return Projected(folder / "clip.vedit", frames, rendered, times, seconds, workspace.info["settings"]["perceptual"])
