"""What an edit did, in figures, on a few moments of its clip: did it follow the words, what stayed, and does it hold over time.

`tl-alex` and `tg-alex` are the temporal consistencies that the field measures with an identity network, here with AlexNet features
(of LPIPS) and named so: how alike neighbouring frames (tl, local) or all pairs of frames (tg, global) of the edited clip are, by the
cosine of their features, over the same of the unedited clip. 1 is as consistent as that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vedit import judge as judges
from vedit import perceptual as distances
from vedit import scores
from vedit.guidance import Guidance
from vedit.judge import Judge
from vedit.perceptual import Perceptual
from vedit.progress import Progress, Task
from vedit.scene import Scene
from vedit.workspace import Workspace
from vedit.worlds import NAMES

WINDOWS, WINDOW = 6, 3  # a few runs of neighbours, spread over the clip
NOTED = 4  # columns of the judge that are told
OUTSIDE = 0.5  # where a region's mask lies below this is outside


def windows(frames: int) -> list[range]:
    """Runs of neighbouring frames, spread over a clip; a short clip is one run.

    >>> windows(5), windows(100)[1:3]
    ([range(0, 5)], [range(19, 22), range(39, 42)])
    """
    if frames <= WINDOWS * WINDOW:
        return [range(frames)]
    starts = [round(i * (frames - WINDOW) / (WINDOWS - 1)) for i in range(WINDOWS)]
    return [range(start, start + WINDOW) for start in starts]


def measure(scene: Scene, guidance: Guidance, text: Tensor, judge: Judge | None = None) -> Task[dict[str, Any]]:
    """Figures of a scene's edits against the same scene without them, at the edits' own strengths; None for what there is not.

    `text` [E] is the difference of the texts. agreement: cosine of the image vector's mean change and `text`.  distance: mean perceptual
    distance to the unedited frames.  outside_psnr: dB, outside the region of a lone edit.  flicker: over the unedited clip's.
    tl-alex, tg-alex: where AlexNet's weights are on this machine.  judge: the attributes that moved most, in standard deviations.
    """
    runs = windows(len(scene.clock.times))
    plain_runs, edited_runs = [], []
    for done, run in enumerate(runs):
        yield Progress("scores", done, len(runs))
        times = [scene.clock.times[i] for i in run]
        edited_runs.append(scene.frames(times).cpu())
        plain_runs.append(replace(scene, edits=()).frames(times).cpu())
    plain, edited = torch.cat(plain_runs), torch.cat(edited_runs)
    distance = distances.load("auto")
    found: dict[str, Any] = {
        "frames": len(plain),
        "agreement": agreement(guidance, plain, edited, text),
        "distance": {distance.name: scores.perceptual(plain, edited, distance)},
        "outside_psnr": outside_psnr(scene, [i for run in runs for i in run], plain, edited),
        "flicker": _flicker_ratio(plain_runs, edited_runs),
    }
    if distances.available("lpips-alex"):
        alex = distance if distance.name == "lpips-alex" else distances.load("lpips-alex")
        found["tl-alex"], found["tg-alex"] = temporal(alex, plain_runs, edited_runs)
    if judge is not None:
        found["judge"] = judged(judge, plain, edited)
    yield Progress("scores", len(runs), len(runs))
    return {name: _finite(value) for name, value in found.items()}


@torch.no_grad()
def agreement(guidance: Guidance, plain: Tensor, edited: Tensor, text: Tensor) -> float:
    """Cosine of the mean change of the image vector and the difference of texts `text` [E]; nan where nothing changes."""
    change = (guidance.encode_images(edited) - guidance.encode_images(plain)).mean(dim=0).cpu()
    return float(F.cosine_similarity(change, text, dim=0)) if bool(change.any()) else math.nan


def outside_psnr(scene: Scene, index: Sequence[int], plain: Tensor, edited: Tensor) -> float:
    """PSNR over all pixels outside the region of a lone edit, in dB, frames at `index`; nan without a region, inf where nothing changed."""
    regions = [edit.region for edit, _ in scene.edits]
    if len(regions) != 1 or regions[0] is None or scene.crops is None:
        return math.nan
    outside = regions[0].masks(scene.crops[list(index)], plain.shape[-1], index) < OUTSIDE
    change = (edited - plain).square().mean(dim=1, keepdim=True)[outside]
    return float(10 * torch.log10(4 / change.mean())) if len(change) else math.nan


def temporal(alex: Perceptual, plain: Sequence[Tensor], edited: Sequence[Tensor]) -> tuple[float, float]:
    """tl-alex and tg-alex of runs of frames [F, 3, H, W]; nan where there is one frame."""
    local: list[Tensor] = []
    every: list[Tensor] = []
    for runs in (plain, edited):
        with torch.no_grad():
            vectors = [F.normalize(torch.cat(alex.features(run), dim=1), dim=1) for run in runs]
        local.append(torch.cat([(run[1:] * run[:-1]).sum(dim=1) for run in vectors]))
        together = torch.cat(vectors)
        alike = together @ together.T
        every.append(alike[tuple(torch.triu_indices(len(alike), len(alike), 1))])
    return float((local[1] / local[0]).mean()), float((every[1] / every[0]).mean())


def _flicker_ratio(plain: Sequence[Tensor], edited: Sequence[Tensor]) -> float:
    own, reference = (sum(scores.flicker(run) for run in runs) for runs in (edited, plain))
    return own / reference if reference > 0 else math.nan


@torch.no_grad()
def judged(judge: Judge, plain: Tensor, edited: Tensor) -> dict[str, float]:
    """The attributes whose mean moved most, in standard deviations, the largest first."""
    moved = (judge(edited).mean(dim=0) - judge(plain).mean(dim=0)) / judges.STANDARD_DEVIATION
    return {judge.columns[int(i)]: float(moved[i]) for i in moved.abs().argsort(descending=True)[:NOTED]}


def judge_of(workspace: Workspace) -> Judge | None:
    """The judge of a project's generator, where it is a built-in of a world that has one."""
    from vedit.models import is_known

    name = str(workspace.info["generator"]["name"])
    world = name.rpartition("-")[0]
    return judges.load(world) if world in NAMES and is_known(name) else None


def spoken(found: Mapping[str, Any]) -> str:
    """The figures in one line for a person.

    >>> spoken({"agreement": 0.61, "distance": {"builtin": 0.0312}, "flicker": None, "judge": {"age": 1.24}})
    'agreement 0.61, builtin distance 0.031; judge: age +1.2 sd'
    """
    parts = {"agreement": ("agreement {:.2f}", found.get("agreement"))}
    parts |= {name: (name + " distance {:.3f}", value) for name, value in found.get("distance", {}).items()}
    parts["outside"] = ("outside the region {:.1f} dB", found.get("outside_psnr"))
    parts["flicker"] = ("flicker ×{:.2f}", found.get("flicker"))
    parts |= {name: (name + " {:.3f}", found.get(name)) for name in ("tl-alex", "tg-alex")}
    moved = ", ".join(f"{column} {value:+.1f}" for column, value in (found.get("judge") or {}).items())
    return ", ".join(shown.format(value) for shown, value in parts.values() if value is not None) + (f"; judge: {moved} sd" if moved else "")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
