"""Not memorised: edits of clips that a generator was tuned to against the same edits before tuning, and what tuning did elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import torch
from torch import Tensor

from stylegan_v import Generator
from tests.accept import footage
from tests.accept.groups.prompts import PROMPTS, SEEN
from tests.accept.projecting import project_frames
from tests.accept.table import Row, Setting, at_least, holds, skip, stated
from tests.accept.wording import exactly
from vedit import editing, models, scores
from vedit import judge as judges
from vedit.directions import random_frames
from vedit.judge import Judge, Target
from vedit.progress import finish
from vedit.projection import project
from vedit.rendering import scene
from vedit.workspace import Workspace
from vedit.worlds import NAMES, world

ORDER = 57
FRAMES, CLIPS, LATENTS = 48, 4, 64
BAR = 80.0  # per cent of the response
SHOWN = 0.3  # of a judged target in [-1, 1]: a clip that shows more of it already has little way to go

Responses = dict[str, tuple[float, float]]
"""By prompt: how far the attribute moves in the clip before tuning and after, in standard deviations."""

Steadiness = list[tuple[float, float]]
"""Of every edited clip against the same clip unedited: the ratio of flicker, and the correlation of motion."""


def run(setting: Setting) -> Iterator[Row]:
    for name in NAMES:
        clips = [f"{name}-{seed}" for seed in range(CLIPS)]
        found: list[Responses] = []
        steady: Steadiness = []
        exact: Steadiness = []
        for clip in setting.chosen(clips)[: setting.count(CLIPS)]:
            balanced, tuned = projected(setting, name, clip)
            found.append(edited(setting, name, clip, balanced, tuned, steady, exact))
            yield of_clip(clip, found[-1])
            yield elsewhere(clip, tuned, setting.count(LATENTS, 8))
        if any(found):
            yield together(name, found)
            yield from steadily(name, steady)
            ratio, correlation = torch.tensor(exact).quantile(0.5, dim=0).tolist()
            yield stated(f"{name}: the same of the edits drawn by the world itself, median", f"flicker {ratio:.3f}, motion {correlation:.3f}", exact=exact)


def projected(setting: Setting, name: str, clip: str) -> tuple[Workspace, Workspace]:
    """A held-out world clip at the generator's size, projected with --fidelity max, and from the same stages with balanced."""
    folder = setting.out / clip
    frames = footage.world_clip(name, seed_of(clip), setting.count(FRAMES, 12))
    tuned = project_frames(folder, frames, models.GENERATOR_OF[name], steps=setting.steps, fidelity="max").folder
    balanced = folder / "balanced.vedit"
    shutil.copytree(tuned / "stages", balanced / "stages")
    source = folder / "source.mkv"
    return (
        finish(project(source, models.GENERATOR_OF[name], out=balanced, crop="center", steps=setting.steps, seed=0)),
        Workspace.open(tuned),
    )


def edited(setting: Setting, name: str, clip: str, balanced: Workspace, tuned: Workspace, steady: Steadiness, exact: Steadiness) -> Responses:
    """Every prompt that suits the clip, on both projects, also noted in `steady`, and in `exact` as the world itself draws it; sources,
    renders and edits in `strip.png`."""
    judge, plain = judges.load(name), [frames_of(workspace, None) for workspace in (balanced, tuned)]
    found: Responses = {}
    rows = [*plain]
    for prompt, target in PROMPTS[name].items():
        if not suits(judge, plain[0], prompt, target):
            continue
        moved = []
        for workspace, before in zip((balanced, tuned), plain, strict=True):
            made = finish(editing.edit(workspace, prompt, clip=setting.clip))
            after = frames_of(workspace, made.name)
            moved.append(float(judges.response(read(judge, before), read(judge, after), target, judge.columns)))
            steady.append((scores.flicker_ratio(before, after), scores.motion_correlation(before, after)))
            rows.append(after)
        found[prompt] = moved[0], moved[1]
        exact.append(drawn_exactly(name, clip, len(plain[0]), target.row(judge.columns)))
    footage.strip(setting.out / clip / "strip.png", rows)
    return found


@torch.no_grad()
def drawn_exactly(name: str, clip: str, count: int, row: Tensor) -> tuple[float, float]:
    """Ratio of flicker and correlation of motion of the same edit made by the world that drew the clip."""
    attributes, motion = footage.world_scene(name, seed_of(clip), count)
    before, after = (world(name).draw_clips(exactly(attributes, row, strength), motion, judges.SIZE)[0] for strength in (0.0, 1.0))
    return scores.flicker_ratio(before, after), scores.motion_correlation(before, after)


def seed_of(clip: str) -> int:
    """The seed of a clip that is named by its world and number."""
    return 200 + int(clip.rsplit("-", 1)[1])


def suits(judge: Judge, frames: Tensor, prompt: str, target: Target) -> bool:
    """Whether a clip has room for the prompt, and whether the judge could see it."""
    attributes = read(judge, frames)
    column, low, high = SEEN.get(prompt, (judge.columns[0], -float("inf"), float("inf")))
    return float(attributes @ target.row(judge.columns)) < SHOWN and low <= float(attributes[judge.columns.index(column)]) <= high


@torch.no_grad()
def read(judge: Judge, frames: Tensor) -> Tensor:
    """Attributes [A] of a clip [T, 3, H, W], the mean over its frames."""
    return judge(frames).mean(dim=0)


def frames_of(workspace: Workspace, edit: str | None) -> Tensor:
    """Every frame [T, 3, H, W] of a project, plain or under one of its edits."""
    found = scene(workspace, [] if edit is None else [(edit, None)])
    return torch.cat(list(found.chunks(workspace.info["times"])))


def of_clip(clip: str, found: Responses) -> Row:
    """One clip's responses, before and after."""
    if not found:
        return skip(f"{clip}: edits after tuning", "no prompt suits this clip")
    each = ", ".join(f"“{prompt}” {before:.2f} and {after:.2f} sd" for prompt, (before, after) in found.items())
    return stated(f"{clip}: the judge's response before and after tuning ({kept([found]):.0f} % kept)", each, responses=found)


def kept(found: list[Responses]) -> float:
    """The part of the responses, in per cent and in all, that is left after tuning; what one gains makes up for no other's loss."""
    pairs = [pair for clip in found for pair in clip.values()]
    return 100 * sum(min(before, after) for before, after in pairs) / sum(before for before, _ in pairs)


def together(name: str, found: list[Responses]) -> Row:
    """All clips of a world: the bar is for what they keep in all, the worst prompt that counted before stands beside it."""
    count = sum(len(clip) for clip in found)
    parts = [100 * after / before for clip in found for before, after in clip.values() if before >= judges.COUNTS]
    worst = f", worst of the {len(parts)} that counted before {min(parts):.0f} %" if parts else ""
    figure = f"{kept(found):.0f} % of {count} edits' responses{worst}"
    check = f"{name}: what edits of tuned clips keep of the judge's response"
    return holds(check, f"≥ {BAR:g} %", figure, kept(found) >= BAR, parts=parts)


def steadily(name: str, steady: Steadiness) -> Iterator[Row]:
    """Whether edited clips tremble no more, and move when the unedited ones do."""
    ratios, correlations = (torch.tensor(values) for values in zip(*steady, strict=True))
    lowest, middle, highest = (float(value) for value in torch.quantile(ratios, torch.tensor([0.1, 0.5, 0.9])))
    check = f"{name}: flicker of {len(steady)} edited clips over the unedited ones’, median (a tenth lies below {lowest:.2f}, a tenth above {highest:.2f})"
    yield holds(check, "0.85 to 1.1", f"{middle:.3f}", 0.85 <= middle <= 1.1, ratios=ratios.tolist())
    low, middle = (float(value) for value in torch.quantile(correlations, torch.tensor([0.1, 0.5])))
    check = f"{name}: motion of the edited clips, correlation with the unedited ones’, median (a tenth lies below {low:.3f})"
    yield at_least(check, middle, 0.9, correlations=correlations.tolist())


@torch.no_grad()
def elsewhere(clip: str, workspace: Workspace, count: int) -> Row:
    """How far the tuned generator's frames are from its base's where it was not tuned."""
    check = f"{clip}: the tuned generator from its base at {count} random latents"
    base = models.load_generator(workspace.info["generator"]["name"])
    ours, theirs = (drawn(generator, count) for generator in (workspace.fitted(base), base))
    figures = {name: distance(ours, theirs) for name, distance in footage.distances("lpips-alex", "lpips-squeeze").items()}
    if not figures:
        return skip(check, "LPIPS's weights are absent; set VEDIT_MODEL_PATH")
    text = ", ".join(f"{name} {float(values.mean()):.4f} (worst {float(values.max()):.4f})" for name, values in figures.items())
    return stated(check, text, **{name: values.tolist() for name, values in figures.items()})


def drawn(generator: Generator, count: int) -> Tensor:
    """Frames [N, 3, H, W] at random contents, motions and moments, the same for generators with one mapping."""
    return random_frames(generator, count, torch.Generator().manual_seed(footage.HELD_OUT + 700))[1].clamp(-1, 1)
