"""Prompts in wordings that no caption template has, written by someone who had not seen any: what they change, and what they should not."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.accept import footage
from tests.accept.groups.prompts import CONTROLS, MOMENTS, Samples, control, draw, spoken
from tests.accept.table import Row, Setting, at_least, at_most, stated
from tests.accept.wording import Delta, exactly
from vedit import directions, editing, guidance, models, pixels
from vedit import judge as judges
from vedit.judge import Target, draw_paired
from vedit.progress import finish
from vedit.reach import Reach
from vedit.worlds import world
from vedit.worlds.portraits_colours import hue_target

ORDER = 72
ON_REQUEST = True
SAMPLES = 32
WORDINGS = Path(__file__).parents[1] / "unseen.json"
NAMES = {"hair_length": "hair.length"}
STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
UNSURE = 0.1  # standard deviations: of a change drawn into one attribute the judge reads 5 % (portraits) and 11 % (skies) into the others
END = 0.8  # of an attribute's range [-1, 1]: what stands there already cannot move by COUNTS and be seen to


Readings = Mapping[float, tuple[Tensor, Tensor]]
"""By strength: attributes [N, A] and motion channels [N, T, P]."""


@dataclass(frozen=True)
class Found:
    """What one prompt did to N clips, in standard deviations: its attribute, all others on average, the motion channels on average."""

    prompt: str
    target: Target
    moved: Tensor  # [N]
    others: float
    motion: float
    ordered: float  # share of neighbouring pairs among STRENGTHS whose judged values ascend
    even: float  # the same, falls of less than UNSURE counted as level
    roomy: Tensor  # [N] bool: the attribute is not yet at its end
    warnings: tuple[str, ...]

    @property
    def counts(self) -> float:
        """The share of clips whose attribute moved enough the right way."""
        return float((self.moved >= judges.COUNTS).float().mean())

    def told(self) -> str:
        """A line of the table."""
        said = f"; warns of {', '.join(self.warnings)}" if self.warnings else ""
        return (
            f"{self.counts:.0%} of {len(self.moved)} clips (median {float(self.moved.median()):.2f} sd, others {self.others:.2f}, "
            f"motion {self.motion:.2f}, {self.ordered:.0%} of steps from -2 to 2 ordered{said})"
        )


def run(setting: Setting) -> Iterator[Row]:
    wordings: Mapping[str, Any] = json.loads(WORDINGS.read_text(encoding="utf-8"))
    everything: list[Found] = []
    for name in setting.chosen(["portraits", "skies"]):
        samples = draw(models.GENERATOR_OF[name], name, setting.count(SAMPLES, 4))
        found, drawn = [], []
        for wording in wordings[name][:4] if setting.quick else wordings[name]:
            made = made_of(samples, wording["prompt"], setting.clip)
            one = measured(samples, made, target_of(wording))
            picture(setting.out, samples, made)
            found.append(one)
            drawn.append(exact(samples, one))
            row = control(samples, one.prompt, one.target, made.direction, setting.count(CONTROLS))
            if row.verdict == "FAIL":
                yield row
        for one in sorted(found, key=lambda one: one.counts):
            yield stated(f"“{one.prompt}” → {spoken(one.target)}", one.told(), responses=one.moved.tolist())
        known = [one for one in found if not one.warnings]
        moved = torch.cat([one.moved for one in found])
        share = f"{float((moved >= judges.COUNTS).float().mean()):.1%} of {len(moved)}"
        yield stated(f"{name}: edits that count, all {len(found)} prompts, {len(found) - len(known)} of them with words that it warns of", share)
        everything += known
        yield from summed(name, known)
        yield stated(f"{name}: the same attributes changed exactly, by the world that draws them", bound(drawn))
    yield from summed("all", everything)
    samples = draw(models.GENERATOR_OF["portraits"], "portraits", 1)
    for wording in wordings["unknown"]:
        made = made_of(samples, wording["prompt"], setting.clip)
        yield stated(f"“{wording['prompt']}”, which it cannot know", f"warns of {', '.join(made.warnings) or 'nothing'}")


def made_of(samples: Samples, prompt: str, clip: str) -> editing.Edit:
    """The edit that `vedit edit --prompt` makes, before it is told what a clip shows already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return finish(editing.make(samples.generator, prompt, clip=clip))


def changes(samples: Samples, made: editing.Edit, strength: float) -> Delta:
    """Changes [N, 1, I] of styles for every clip as `vedit edit` would make them, knowing where each stands along the direction."""
    model = guidance.load(made.guidance)
    stats = finish(directions.statistics(samples.generator, model))
    unit = directions.w_direction(stats, directions.text_difference(model, made.prompt, made.neutral), directions.RIDGE)
    reaches = [Reach(directions.place_along(stats, unit, w), directions.LENGTH) for w in samples.ws.mean(dim=1)]
    weights = torch.tensor([reach(strength) for reach in reaches])
    return {layer: weights[:, None, None] * change for layer, change in made.direction.items()}


def target_of(wording: Mapping[str, str]) -> Target:
    """What a wording wants, over the judge's columns."""
    name, value = NAMES.get(wording["attribute"], wording["attribute"]), wording.get("value", "")
    if "direction" in wording:
        return Target({name: 1.0 if wording["direction"] == "+" else -1.0})
    if value in ("light", "dark"):
        return Target({name if name == "skin" else f"{name}.light": 1.0 if value == "light" else -1.0})
    return Target(dict(zip((f"{name}.a", f"{name}.b", f"{name}.light"), hue_target(name, value).tolist(), strict=True)))


def measured(samples: Samples, made: editing.Edit, target: Target) -> Found:
    """What an edit did, judged at strength 1, and how evenly from -2 to 2."""
    values = {strength: _read(samples, samples.edited(changes(samples, made, strength))) for strength in STRENGTHS}
    return _found(samples, made.prompt, target, values, made.warnings)


def exact(samples: Samples, like: Found) -> Found:
    """The same change made by the world itself (`exactly`): what a perfect editor would be credited with by the judge."""
    place, clips = world(samples.judge.world_name), len(samples.frames)
    z, t, motion_z = draw_paired(place, clips, MOMENTS, footage.HELD_OUT + 950)
    attributes, motion, row = place.attributes_from_z(z), place.motion_from_codes(t, motion_z), like.target.row(samples.judge.columns)
    side = samples.frames.shape[-1]
    values = {strength: _read(samples, place.draw_clips(exactly(attributes, row, strength), motion, side)) for strength in STRENGTHS}
    return _found(samples, like.prompt, like.target, values, ())


def _found(samples: Samples, prompt: str, target: Target, values: Readings, told: tuple[str, ...]) -> Found:
    judge, row = samples.judge, target.row(samples.judge.columns)
    (before, still), (after, moving) = values[0.0], values[1.0]
    moved = judges.response(before, after, target, judge.columns)
    others = ((after - before).abs() / judges.STANDARD_DEVIATION)[:, row == 0].mean()
    along = torch.stack([values[strength][0] @ row for strength in STRENGTHS])
    motion = ((moving - still).abs() / judges.STANDARD_DEVIATION).mean()
    steps = along.diff(dim=0) / judges.STANDARD_DEVIATION
    ordered, even = float((steps > 0).float().mean()), float((steps > -UNSURE).float().mean())
    return Found(prompt, target, moved, float(others), float(motion), ordered, even, before @ row < END, told)


def _read(samples: Samples, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Attributes [N, A] of clips [N, T, 3, H, W] (means over moments) and motion channels [N, T, P]."""
    return samples.judged(frames), samples.judge.motion(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])


def picture(folder: Path, samples: Samples, made: editing.Edit) -> None:
    """Eight clips, before and after."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = torch.cat([samples.frames[:8, 1], samples.edited(changes(samples, made, 1.0))[:8, 1]])
    name = "".join(letter if letter.isalnum() else "-" for letter in made.prompt)
    pixels.save_sheet(folder / f"{name}.png", pixels.to_pixels(pairs), columns=min(8, len(samples.frames)))


def bound(found: list[Found]) -> str:
    """What the bars of `summed` come to for edits that are exact."""
    moved, roomy = torch.cat([one.moved for one in found]), torch.cat([one.moved[one.roomy] for one in found])
    size, count = sum(float(one.moved.mean()) for one in found), len(found)
    return (
        f"{float((moved >= judges.COUNTS).float().mean()):.1%} count ({float((roomy >= judges.COUNTS).float().mean()):.1%} of {len(roomy)} not "
        f"at their end before), median {float(moved.median()):.2f} sd, others {sum(one.others for one in found) / size:.1%} of the change, "
        f"motion {sum(one.motion for one in found) / size:.1%}, {sum(one.ordered for one in found) / count:.1%} of steps in order "
        f"({sum(one.even for one in found) / count:.1%} with small falls as level)"
    )


def summed(name: str, found: list[Found]) -> Iterator[Row]:
    """The figures of the prompts of a world together."""
    if not found:
        return
    moved = torch.cat([one.moved for one in found])
    counted = 100 * float((moved >= judges.COUNTS).float().mean())
    yield at_least(f"{name}: edits that count, {len(found)} unseen prompts of words that were seen", counted, 90, " %")
    roomy = torch.cat([one.moved[one.roomy] for one in found])
    yield stated(f"{name}: the same where the attribute is not at its end before", f"{float((roomy >= judges.COUNTS).float().mean()):.1%} of {len(roomy)}")
    yield at_least(f"{name}: median change of the wanted attribute", float(moved.median()), 0.5, " sd")
    sizes = torch.tensor([max(float(one.moved.mean()), 1e-3) for one in found])
    yield at_most(f"{name}: change of other attributes on average", 100 * sum(one.others for one in found) / float(sizes.sum()), 25, " % of that")
    still = sum(one.motion for one in found)
    yield at_most(f"{name}: change of motion channels on average, {still / len(found):.3f} sd", 100 * still / float(sizes.sum()), 10, " % of that")
    yield at_least(f"{name}: steps of strength from -2 to 2 in order", 100 * sum(one.ordered for one in found) / len(found), 90, " %")
    level = sum(one.even for one in found) / len(found)
    yield stated(f"{name}: the same, falls of less than {UNSURE} sd counted as level", f"{level:.1%}")
