"""Editing by words: a prompt becomes one change of styles for the whole clip, saved with the project under a name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vedit.edits import Edit, Keyframes, check_strength, load_edits
from vedit.progress import Progress, Task
from vedit.regions import NAMED, Region, parse
from vedit.wording import EditError, check_name, check_prompt, new_name, unique_name, unknown_words_warning

if TYPE_CHECKING:
    from stylegan_v import Generator
    from vedit.directions import Direction, Statistics
    from vedit.guidance import Guidance
    from vedit.optimising import Optimised
    from vedit.scene import Scene
    from vedit.workspace import Workspace

__all__ = ["Edit", "EditError", "Request", "check_name", "check_prompt", "check_strength", "edit", "load_edits", "make", "unique_name"]

METHODS = ("global", "optimize")
MAX_STEPS = 100_000

Strength = str | float | Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Request:
    """What is asked for in words, checked: see `of`."""

    prompt: str
    neutral: str | None
    strength: Keyframes
    disentangle: float | None
    method: str
    name: str
    clip: str

    @classmethod
    def of(
        cls, prompt: str, taken: Collection[str] = (), *, neutral: str | None = None, strength: Strength = 1.0, disentangle: float | None = None,
        method: str = "global", name: str | None = None, clip: str | None = None,
    ) -> Request:  # fmt: skip
        """A request, or EditError or TimingError (each a ValueError) before anything long begins.

        neutral: the text the prompt is measured against; None chooses one that fits what the generator shows.
        strength: a number (1 is a clear, natural change; negative reverses), keyframes, or either as text: "0.7", "0s=0,2s=1".
        disentangle: in [0, 1], leaves out the weakest channels; None, like 0, leaves out none.  clip: a model as in `vedit.guidance`.
        method: "global" or "optimize".  name: not one of `taken`; None makes one from the prompt, numbered where it is taken.
        """
        prompt = check_prompt(prompt, "prompt")
        neutral = None if neutral is None else check_prompt(neutral, "neutral text")
        keyframes = check_strength(strength)
        if disentangle is not None and not 0 <= disentangle <= 1:  # nan fails too
            raise EditError(f"--disentangle is {disentangle}; give a number from 0 (all channels) to 1 (the strongest alone)")
        if method not in METHODS:
            raise EditError(f"the method {method!r} is not available; wanted {' or '.join(METHODS)}")
        if disentangle is not None and method != "global":
            raise EditError("--disentangle chooses channels of the global direction; leave it out with --method optimize")
        return cls(prompt, neutral, keyframes, disentangle, method, new_name(name, prompt, taken), clip or "builtin")


def edit(
    workspace: Workspace, prompt: str, *, region: str | None = None, seed: int = 0, steps: int | None = None, device: str = "auto", **asked: Any
) -> Task[Edit]:
    """Make an edit from words, measure it on the clip and save it in the project; `asked` as in `Request.of`.

    region: where, as a person writes it: face, background, x,y,w,h of the source, or a mask (image, video, folder).  seed and steps, at
    most so many, are of the method "optimize". What was measured is in the edit's `figures` (`vedit.edit_scores`). Nothing is written
    before the end. Raises EditError, RegionError, GuidanceError, VideoError, TimingError and DeviceError.
    """
    from vedit import directions, edit_scores
    from vedit.devices import pick_device
    from vedit.scene import Scene

    request = Request.of(prompt, workspace.list_edits(), **asked)
    if steps is not None and not 1 <= steps <= MAX_STEPS:
        raise EditError(f"--steps is {steps}; give a whole number from 1 to {MAX_STEPS}")
    generator, latents = workspace.generator(pick_device(device)), workspace.latents()
    latents.check(generator)
    place, told = (yield from _placed(workspace, region, generator.cfg.resolution)) if region is not None else (None, ())
    scene = Scene(generator, latents.to(generator.device), workspace.clock(generator.fps), (), np.asarray(workspace.info["crops"], dtype=np.float64))
    model, stats = yield from _models(generator, request)
    found = directions.direction(stats, generator, model, request.prompt, request.neutral, request.disentangle, latents.ws.mean(dim=0))
    figures: dict[str, Any] = {}
    if request.method == "optimize":
        assert found.reach is not None
        whole = found.reach(1.0)  # of the direction: the optimisation begins where strength 1 leads, and ends with a change for strength 1
        start = replace(found, delta={layer: whole * change for layer, change in found.delta.items()})
        best = yield from _optimised(scene, model, stats, request, start, place, seed, steps)
        found, figures = replace(found, delta={layer: change / whole for layer, change in best.delta.items()}), {"optimization": best.figures}
    made = replace(_edit(request, model, stats, found, place), figures=figures)
    made = replace(made, warnings=(*made.warnings, *told))
    text = directions.text_difference(model, made.prompt, made.neutral)
    measured = yield from edit_scores.measure(replace(scene, edits=((made, 1.0),)), model, text, edit_scores.judge_of(workspace))
    made = replace(made, figures={**figures, "scores": measured})
    workspace.save_edit(made.name, *made.to_files())
    return made


def make(
    generator: Generator, prompt: str, *, region: Region | None = None, taken: Sequence[str] = (), content: Tensor | None = None, **asked: Any
) -> Task[Edit]:
    """Make a global edit for a generator from words, without a clip; `asked` as in `Request.of`.

    region: where the edit acts; None is the whole frame.  content: the w [D] to be edited, which says how far strengths carry (`Reach`).
    Raises EditError, GuidanceError and TimingError.
    """
    from vedit import directions

    request = Request.of(prompt, taken, **asked)
    if request.method != "global":
        raise EditError(f"the method {request.method} looks at a clip's frames; use `edit` with a project")
    model, stats = yield from _models(generator, request)
    found = directions.direction(stats, generator, model, request.prompt, request.neutral, request.disentangle, content)
    return _edit(request, model, stats, found, region)


def _models(generator: Generator, request: Request) -> Task[tuple[Guidance, Statistics]]:
    """The text–image model that is asked for, and its statistics with this generator."""
    from vedit import directions, guidance

    yield Progress("words", 0, 1, f"loading the text–image model {request.clip}")
    model = guidance.load(request.clip, generator.device)
    stats = yield from directions.statistics(generator, model)
    yield Progress("words", 1, 1)
    return model, stats


def _edit(request: Request, model: Guidance, stats: Statistics, found: Direction, region: Region | None) -> Edit:
    texts = ((request.prompt, "prompt"), (request.neutral or "", "neutral text"))
    warnings = [unknown_words_warning(model.unknown_words(text), what) for text, what in texts]
    return Edit(
        name=request.name, prompt=request.prompt, neutral=found.neutral, strength=request.strength, direction=found.delta, generator=stats.generator,
        guidance=model.name, method=request.method, disentangle=request.disentangle, reach=found.reach, region=region,
        warnings=tuple(line for line in warnings if line),
    )  # fmt: skip


def _placed(workspace: Workspace, region: str, side: int) -> Task[tuple[Region, tuple[str, ...]]]:
    """The region that a person wrote, and what to tell about it."""
    from vedit import mask_videos

    info = workspace.info
    if not {"size", "follows_face"} <= set(info):
        raise EditError("this project was made before there were regions; project the clip again")
    width, height = info["size"]  # of the source
    if region.strip() in NAMED or not mask_videos.is_moving(Path(region)):
        return parse(region, (width, height), bool(info["follows_face"])), ()
    course = mask_videos.Course([float(time) for time in info["times"]], np.asarray(info["crops"], dtype=np.float64), (width, height))
    return (yield from mask_videos.follow(Path(region), course, side))


def _optimised(
    scene: Scene, model: Guidance, stats: Statistics, request: Request, found: Direction, region: Region | None, seed: int, steps: int | None
) -> Task[Optimised]:
    """An optimised change of styles for a clip, from the global direction on."""
    from vedit import directions, optimising, perceptual

    cfg = optimising.OptimiseConfig() if steps is None else optimising.OptimiseConfig(steps=steps)
    generator, times = scene.generator, scene.clock.times
    index = torch.linspace(0, len(times) - 1, min(cfg.keys, len(times))).round().long().tolist()
    with torch.no_grad():
        ws, motion_v = scene.latents.at(generator, scene.clock([times[i] for i in index]))
    masks = None
    if region is not None and scene.crops is not None:
        masks = region.masks(scene.crops[index], generator.cfg.resolution, index)
    keys = optimising.Keys.of(generator, ws, motion_v, masks)
    text = directions.text_difference(model, request.prompt, found.neutral)
    least = optimising.LEAST * float((text @ stats.e_cov @ text).sqrt() / text.norm())
    far = max(least, optimising.distance_along(generator, model, text, keys, found.delta))
    aim = optimising.Aim(model, perceptual.load("auto", generator.device), text, far)
    return (yield from optimising.optimise(generator, aim, keys, directions.style_ways(stats, generator), found.delta, cfg, seed))
