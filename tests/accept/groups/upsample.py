"""More frames than there were: equality at the original times, and the frames left out of held-out clips."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from tests.accept import footage
from tests.accept.projecting import half_rate, project_frames
from tests.accept.rendered import float_frames
from tests.accept.table import Row, Setting, at_most, holds, skip
from vedit import pixels, scores
from vedit.progress import finish
from vedit.rendering import render
from vedit.workspace import Workspace

ORDER = 50
FRAMES = 48


def run(setting: Setting) -> Iterator[Row]:
    distances = footage.distances("lpips-alex", "lpips-squeeze")
    ours: dict[str, list[float]] = {name: [] for name in distances}
    averages: dict[str, list[float]] = {name: [] for name in distances}
    rows: list[Tensor] = []
    for seed in range(setting.count(8)):
        name = "portraits" if seed % 4 else "skies"  # six portraits, two skies
        clip = footage.world_clip(name, 100 + seed, setting.count(FRAMES, 12))
        kept, fps = half_rate(clip)
        found = project_frames(setting.out / f"clip-{seed}", kept, f"{name}-1", fps=fps, factor=2, steps=setting.steps)
        if seed == 0:
            yield equality(setting, found.folder)
        missing, average = clip[1:-1:2], (clip[0:-2:2] + clip[2::2]) / 2
        predicted = found.render[1 : 2 * len(missing) : 2]
        for key, distance in distances.items():
            ours[key].append(scores.perceptual(missing, predicted, distance))
            averages[key].append(scores.perceptual(missing, average, distance))
        rows += [missing, predicted, average]
    footage.strip(setting.out / "left-out.png", rows)
    if not distances:
        yield skip("every second frame left out", "LPIPS weights are absent; set VEDIT_MODEL_PATH")
    for key in distances:
        yield compare(key, ours[key], averages[key])


def equality(setting: Setting, project: Path) -> Row:
    """The largest difference, in [-1, 1] floats, between a factor-5 render at the original times and the factor-1 render."""
    workspace = Workspace.open(project)
    plain, dense = float_frames(workspace, 1), float_frames(workspace, 5)
    count_right = len(dense) == 5 * len(plain)
    files = {k: finish(render(workspace, factor=k, codec="ffv1", out=setting.out / f"factor-{k}.mkv")) for k in (1, 5)}
    first, fifth = (pixels.to_pixels(footage.read_clip(files[k])[0]) for k in (1, 5))
    same_pixels = len(fifth) == 5 * len(first) and torch.equal(first, fifth[::5])
    return at_most(
        f"factor 5 at the original times (frames {'×5' if count_right else 'WRONG'}, files {'equal' if same_pixels else 'DIFFER'})",
        float((dense[::5] - plain).abs().max()) if count_right and same_pixels else float("nan"),
        1e-5,
        digits=2,
    )


def compare(key: str, ours: list[float], averages: list[float]) -> Row:
    wins = sum(a < b for a, b in zip(ours, averages, strict=True))
    mean, mean_average = sum(ours) / len(ours), sum(averages) / len(averages)
    figure = f"{mean:.4f} against {mean_average:.4f}; better on {wins} of {len(ours)}"
    check = f"every second frame left out, {key} of ×2 against the neighbours' average"
    return holds(check, "lower (mean)", figure, mean < mean_average, ours=ours, averages=averages)
