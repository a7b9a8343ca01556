"""Prompts on sampled portraits and skies, counted by the judge, beside random directions of equal image change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stylegan_v import Generator
from tests.accept import footage
from tests.accept.table import Row, Setting, at_least, at_most, holds, stated
from tests.accept.wording import Delta, prompt_delta, random_deltas
from vedit import judge as judges
from vedit import models, pixels, scores
from vedit.judge import Judge, Target
from vedit.worlds.portraits_colours import hue_target

ORDER = 70
SAMPLES, MOMENTS, CONTROLS = 16, 4, 4


def hue(attribute: str, word: str) -> Target:
    """The target of a colour: the named hue's direction in the chroma plane and lightness."""
    return Target(
        dict(
            zip(
                (f"{attribute}.a", f"{attribute}.b", f"{attribute}.light"),
                hue_target(attribute, word).tolist(),
                strict=True,
            )
        )
    )


PROMPTS: Mapping[str, Mapping[str, Target]] = {
    "portraits": {
        "an old person": Target({"age": 1}),
        "a person with a beard": Target({"beard": 1}),
        "a person with makeup": Target({"makeup": 1}),
        "a person with blue eyes": hue("eyes", "blue"),
        "a person with a purple t-shirt": hue("shirt", "purple"),
        "a person with blond hair": hue("hair", "blond"),
    },
    "skies": {
        "bright sun": Target({"sun_brightness": 1}),
        "very cloudy day": Target({"cloud_cover": 1}),
        "aurora": Target({"aurora": 1}),
        "night": Target({"time": 1}),
    },
}

# Where the wanted attribute can be seen at all: grey hair hides its colour, daylight the aurora, night the sun.
SEEN: Mapping[str, tuple[str, float, float]] = {
    "a person with blond hair": ("age", -1.0, -0.1),
    "aurora": ("time", 0.4, 1.0),
    "bright sun": ("time", -1.0, -0.1),
}


@dataclass(frozen=True)
class Samples:
    """Sampled clips of one generator and what the judge reads in them, a row per clip (the mean over its moments)."""

    generator: Generator
    judge: Judge
    ws: Tensor  # [N, L, D]
    motion_v: Tensor  # [N, T, V]
    frames: Tensor  # [N, T, 3, H, W]
    read: Tensor  # [N, A]

    def edited(self, delta: Delta) -> Tensor:
        """Frames [N, T, 3, H, W] of the same clips with changed styles."""
        with torch.no_grad():
            return self.generator.synthesis(self.ws, motion_v=self.motion_v, styles_delta=delta).clamp(-1, 1)

    def judged(self, frames: Tensor) -> Tensor:
        """Attributes [N, A] of frames [N, T, 3, H, W]."""
        return self.judge(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]).mean(dim=1)


def run(setting: Setting) -> Iterator[Row]:
    for name, prompts in PROMPTS.items():
        samples = draw(models.GENERATOR_OF[name], name, setting.count(SAMPLES, 4))
        yield from valid(samples, prompts)
        counted: list[bool] = []
        for prompt, target in prompts.items():
            delta = prompt_delta(samples.generator, prompt, setting.clip)
            row, moved = measure(setting.out, samples, prompt, target, delta)
            counted += moved
            yield row
            yield control(samples, prompt, target, delta, setting.count(CONTROLS))
        yield at_least(f"{name}: edits that count, all prompts", 100 * sum(counted) / len(counted), 80, " %")


def draw(generator_name: str, world_name: str, clips: int) -> Samples:
    """Clips from held-out seeds, four moments of each."""
    generator, judge = models.load_generator(generator_name), judges.load(world_name)
    rng = torch.Generator().manual_seed(footage.HELD_OUT + 900)
    z = torch.randn(clips, generator.cfg.z_dim, generator=rng)
    t = torch.arange(float(MOMENTS)).expand(clips, -1) * 11
    assert generator.cfg.motion is not None
    motion_z = torch.randn(clips, generator.num_motion_codes(float(t.max())), generator.cfg.motion.z_dim, generator=rng)
    with torch.no_grad():
        ws, motion_v = generator.mapping(z), generator.motion(t, motion_z)
        frames = generator.synthesis(ws, motion_v=motion_v).clamp(-1, 1)
    blank = Samples(generator, judge, ws, motion_v, frames, torch.empty(0))
    return Samples(generator, judge, ws, motion_v, frames, blank.judged(frames))


def valid(samples: Samples, prompts: Mapping[str, Target]) -> Iterator[Row]:
    """The judge's R² on generator frames, whose truth is known by pairing; then on the world's own."""
    columns = samples.judge.columns + samples.judge.motions
    for frames_of, generator in (("generator", samples.generator), ("world", None)):
        truth, read = (
            values.unflatten(0, (-1, MOMENTS)).mean(dim=1)
            for values in judges.readings(samples.judge, generator, frames=MOMENTS)
        )
        along, seen, correlation = {}, {}, {}
        for prompt, target in prompts.items():
            wanted, found = truth @ target.row(columns), read @ target.row(columns)
            column, low, high = SEEN.get(prompt, (columns[0], -1.0, 1.0))
            inside = (truth[:, columns.index(column)] >= low) & (truth[:, columns.index(column)] <= high)
            along[prompt] = float(judges.r_squared(wanted, found))
            seen[prompt] = float(judges.r_squared(wanted[inside], found[inside]))
            correlation[prompt] = scores.pearson(wanted[inside], found[inside])
        check = f"judge of {samples.judge.world_name} on {frames_of} frames, "
        if generator is not None:
            worst = min(seen, key=lambda prompt: seen[prompt])
            yield at_least(
                f"{check}R² along the prompts’ targets where visible (worst: {worst})",
                list(seen.values()),
                0.9,
                seen=seen,
            )
        yield stated(
            f"{check}R² along the targets where visible (everywhere)", listed(seen, along), seen=seen, everywhere=along
        )
        yield stated(
            f"{check}correlation along the targets where visible", listed(correlation), correlation=correlation
        )
        each = dict(zip(columns, judges.r_squared(truth, read).tolist(), strict=True))
        low6 = dict(sorted(each.items(), key=lambda item: item[1])[:6])
        good = sum(value >= 0.9 for value in each.values())
        yield stated(
            f"{check}R² of every column", f"≥ 0.9 on {good} of {len(each)}; lowest {listed(low6)}", columns=each
        )


def listed(figures: Mapping[str, float], beside: Mapping[str, float] | None = None) -> str:
    """Figures by name, a second one of each in brackets."""
    return ", ".join(
        f"{name} {value:.2f}" + (f" ({beside[name]:.2f})" if beside else "") for name, value in figures.items()
    )


def measure(folder: Path, samples: Samples, prompt: str, target: Target, delta: Delta) -> tuple[Row, list[bool]]:
    """Which clips' attribute moved enough the right way; pictures before and after as `PROMPT.png`."""
    after = samples.edited(delta)
    read = samples.judged(after)
    moved = judges.response(samples.read, read, target, samples.judge.columns)
    row = target.row(samples.judge.columns)
    others = ((read - samples.read).abs() / judges.STANDARD_DEVIATION)[:, row == 0].mean()
    counts = [bool(value >= judges.COUNTS) for value in moved]
    folder.mkdir(parents=True, exist_ok=True)
    pairs = pixels.to_pixels(torch.cat([samples.frames[:, 1], after[:, 1]]))
    pixels.save_sheet(folder / f"{prompt.replace(' ', '-')}.png", pairs, columns=len(after))
    figure = f"{sum(counts)} of {len(counts)} (median {moved.median():.2f} sd, others {others:.2f} sd)"
    name = f"“{prompt}”: moves {spoken(target)} ≥ {judges.COUNTS} sd"
    values = {"responses": moved.tolist(), "others": float(others)}
    return holds(name, "≥ 80 %", figure, sum(counts) >= 0.8 * len(counts), **values), counts


def control(samples: Samples, prompt: str, target: Target, delta: Delta, pairs: int) -> Row:
    """The mean response to random directions, and their opposites, of the same mean squared image change."""
    wanted, moved = change(samples, delta), []
    rng = torch.Generator().manual_seed(footage.HELD_OUT)
    for wild in random_deltas(samples.generator, samples.motion_v, delta, pairs, rng):
        scale = matching_scale(samples, wild, wanted)
        read = samples.judged(samples.edited({name: scale * value for name, value in wild.items()}))
        moved.append(judges.response(samples.read, read, target, samples.judge.columns))
    each = torch.stack(moved)  # [2 · pairs, N]
    spread = float(each.mean(dim=1).square().mean().sqrt())
    counts = float((each >= judges.COUNTS).float().mean())
    check = f"“{prompt}”: {len(each)} random directions of equal image change, mean response (rms of one {spread:.2f}; {counts:.0%} count)"
    return at_most(check, abs(float(each.mean())), judges.CONTROL, " sd", responses=each.tolist(), image_change=wanted)


def change(samples: Samples, delta: Delta) -> float:
    """Mean squared change of the frames, in [-1, 1] units squared."""
    return float((samples.edited(delta) - samples.frames).square().mean())


def matching_scale(samples: Samples, delta: Delta, wanted: float) -> float:
    """The factor at which a direction changes the frames by `wanted`, to a few per cent: the change grows about as its square."""
    scale = 1.0
    for _ in range(4):
        found = change(samples, {name: scale * value for name, value in delta.items()})
        scale *= min(4.0, max(0.25, (wanted / max(found, 1e-12)) ** 0.5))
    return scale


def spoken(target: Target) -> str:
    """A target in words: "age", or "hair (a -0.18, b 0.60, light 0.78)" for a hue."""
    if len(target.direction) == 1:
        return next(iter(target.direction))
    name = next(iter(target.direction)).rsplit(".", 1)[0]
    return (
        f"{name} ("
        + ", ".join(f"{column.rsplit('.', 1)[1]} {value:.2f}" for column, value in target.direction.items())
        + ")"
    )
