"""More frames than there were: equality at the original times, and the frames left out of held-out clips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from tests.accept import footage
from tests.accept.projecting import project_frames
from tests.accept.rendered import float_frames
from tests.accept.table import Row, Setting, at_most, holds, skip, stated
from vedit import models, pixels, scores
from vedit.progress import finish
from vedit.rendering import render
from vedit.workspace import Workspace

ORDER = 50
FRAMES = 48


@dataclass
class Contest:
    """Distances to the frames left out, by distance's name: of the upsampled clip's frames and of the neighbours' average."""

    ours: dict[str, list[float]] = field(default_factory=dict)
    averages: dict[str, list[float]] = field(default_factory=dict)
    rows: list[Tensor] = field(default_factory=list)

    def add(self, clip: Tensor, upsampled: Tensor, distances: footage.Distances) -> None:
        """Count one clip [T, 3, H, W] in; its upsampled version stands for t = 0, 1, …"""
        missing, average = clip[1:-1:2], (clip[0:-2:2] + clip[2::2]) / 2
        predicted = upsampled[1 : 2 * len(missing) : 2]
        for name, distance in distances.items():
            self.ours.setdefault(name, []).append(scores.perceptual(missing, predicted, distance))
            self.averages.setdefault(name, []).append(scores.perceptual(missing, average, distance))
        self.rows += [missing, predicted, average]

    def figures(self, name: str) -> tuple[bool, str]:
        """Whether the upsampled frames are nearer on average, and both means in words."""
        ours, averages = self.ours[name], self.averages[name]
        wins = sum(a < b for a, b in zip(ours, averages, strict=True))
        mean, mean_average = sum(ours) / len(ours), sum(averages) / len(averages)
        return mean < mean_average, f"{mean:.4f} against {mean_average:.4f}; better on {wins} of {len(ours)}"


def run(setting: Setting) -> Iterator[Row]:
    distances = footage.distances("lpips-alex", "lpips-squeeze")
    (latent, pasted), folder = contests(setting, "25", setting.count(8), 1.0, distances)
    yield equality(setting, folder)
    if not distances:
        yield skip("every second frame left out", "LPIPS weights are absent; set VEDIT_MODEL_PATH")
        return
    task = "every second frame of held-out portraits (25 fps) left out, --fidelity max, ×2 against the neighbours’ average"
    for name in distances:
        for way, contest in (("", latent), (" --paste-back", pasted)):
            ok, figure = contest.figures(name)
            lists = {"ours": contest.ours[name], "averages": contest.averages[name]}
            if name == "lpips-alex":  # what "LPIPS" means here; squeeze stands beside it
                yield holds(f"{task}{way}, {name}", "lower (mean)", figure, ok, **lists)
            else:
                yield stated(f"the same{way}, {name}", figure)
    if "lpips-alex" not in distances:
        yield skip(task, "LPIPS (alex) is absent; set VEDIT_MODEL_PATH")
    faster, _ = contests(setting, "12.5", setting.count(4), 2.0, distances)
    for way, contest in zip(("", " --paste-back"), faster, strict=True):
        for name in distances:
            yield stated(f"the same{way} of clips at 12.5 fps, {name}", contest.figures(name)[1])


def contests(
    setting: Setting, label: str, clips: int, stride: float, distances: footage.Distances
) -> tuple[tuple[Contest, Contest], Path]:
    """Held-out portrait clips whose frames lie `stride` of the world's apart, projected without every second one: rendered from
    latents alone, and in the source's picture; and the first project."""
    latent, pasted = Contest(), Contest()
    for seed in range(clips):
        clip = footage.world_clip("portraits", 100 + seed, setting.count(FRAMES, 12), stride=stride)
        folder = setting.out / f"{label}-fps" / str(seed)
        found = project_frames(
            folder, clip[::2], models.GENERATOR_OF["portraits"], fps=12.5 / stride, factor=2, steps=setting.steps, fidelity="max"
        )
        latent.add(clip, found.render, distances)
        between = render(Workspace.open(found.folder), factor=2, paste_back=True, codec="ffv1", out=folder / "pasted.mkv")
        pasted.add(clip, footage.read_clip(finish(between))[0], distances)
    footage.strip(setting.out / f"left-out-{label}.png", latent.rows)
    footage.strip(setting.out / f"left-out-{label}-pasted.png", pasted.rows)
    return (latent, pasted), setting.out / f"{label}-fps" / "0" / "clip.vedit"


def equality(setting: Setting, project: Path) -> Row:
    """The largest difference, in [-1, 1] floats, between a factor-5 render at the original times and the factor-1 render."""
    workspace = Workspace.open(project)
    plain, dense = float_frames(workspace, 1), float_frames(workspace, 5)
    files = {k: finish(render(workspace, factor=k, codec="ffv1", out=setting.out / f"factor-{k}.mkv")) for k in (1, 5)}
    first, fifth = (pixels.to_pixels(footage.read_clip(files[k])[0]) for k in (1, 5))
    if len(dense) != 5 * len(plain) or len(fifth) != 5 * len(first):
        return holds(
            "factor 5 gives five times the frames",
            str(5 * len(plain)),
            f"{len(dense)}, in the file {len(fifth)}",
            ok=False,
        )
    # Batches of another size round differently in the last bit, which can tip a pixel over the edge between two of 255 steps.
    steps = (first.int() - fifth[::5].int()).abs()
    told = (
        f"in the files {int((steps > 0).sum())} of {steps.numel()} values differ, by at most {int(steps.max())} of 255"
    )
    worst = float((dense[::5] - plain).abs().max())
    return at_most(
        f"factor 5 at the original times; {told}", worst if steps.max() <= 1 else float("nan"), 1e-5, digits=2
    )
