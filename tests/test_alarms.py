"""Collapse alarms: silent on healthy clips, and each raised by clips with exactly its fault."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch
from torch import Tensor

from stylegan_v.alarms import ClipFigures, blind, measure, watch
from vedit.training import PairedWorld
from vedit.worlds import world

N, T, SIZE = 8, 12, 24


def shapes(seed: int, n: int = N, speed: float = 1.5, grain: float = 0.0, hard: bool = False) -> Tensor:
    """Clips [n, T, 3, SIZE, SIZE] of a disc that crosses a shaded ground, all its own in every clip."""
    rng = torch.Generator().manual_seed(seed)
    colour, ground, slope = (torch.rand(n, 1, 3, 1, 1, generator=rng) * 1.4 - 0.7 for _ in range(3))
    start, angle, radius = (torch.rand(n, 1, 1, 1, generator=rng) for _ in range(3))
    other = torch.rand(n, 1, 1, 1, generator=rng)
    t, at = torch.arange(T).reshape(1, T, 1, 1), torch.arange(SIZE).float()
    x = 4 + 16 * start + speed * t * (6.28 * angle).cos()
    y = 4 + 16 * other + speed * t * (6.28 * angle).sin()
    away = ((at - x % SIZE).square() + (at[:, None] - y % SIZE).square()).sqrt() - 3 - 4 * radius
    disc = (away < 0).float() if hard else torch.sigmoid(-away * 1.5)
    frames = ground + slope * (at / SIZE - 0.5) + (colour - ground) * disc.unsqueeze(2)
    return (frames + grain * torch.randn(frames.shape, generator=rng)).clamp(-1, 1)


def names(fake: Tensor, real: Tensor | None = None) -> list[str]:
    return [alarm.name for alarm in watch(fake, shapes(0) if real is None else real)]


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("grain", [0.0, 0.1])
@pytest.mark.parametrize("speed", [0.5, 1.5, 3.0])
def test_healthy_clips_raise_no_alarm(hard: bool, grain: float, speed: float) -> None:
    for seed in range(1, 6):
        real = shapes(100 + seed, speed=speed, grain=grain, hard=hard)
        assert watch(shapes(seed, speed=speed, grain=grain, hard=hard), real) == []
        assert watch(real, real) == []


@pytest.mark.parametrize("name", ["portraits", "skies"])
def test_clips_of_the_worlds_raise_no_alarm(name: str) -> None:
    source, clips = PairedWorld(world(name), 16), []
    for seed in (1, 2):
        rng = torch.Generator().manual_seed(seed)
        z, motion_z = torch.randn(6, 64, generator=rng), torch.randn(6, 24, 32, generator=rng)
        clips.append(source(z, torch.arange(8.0).expand(6, 8), motion_z))
    assert watch(clips[0], clips[1]) == [] == watch(clips[1], clips[0])


def test_frozen_clips_are_named_and_nothing_else_is_read_from_their_noise() -> None:
    still = shapes(1)[:, :1].repeat(1, T, 1, 1, 1)
    assert names(still) == ["frozen motion"]
    assert names(still + 0.003 * torch.randn(still.shape, generator=torch.Generator().manual_seed(0))) == [
        "frozen motion"
    ]
    assert "frozen motion" not in names(shapes(1, speed=0.8))
    real = shapes(2)[:, :1].repeat(1, T, 1, 1, 1)
    assert names(still, real) == [], "stills are what a data set of stills looks like"


@pytest.mark.parametrize("period", [2, 3, 4])
def test_clips_that_repeat_themselves_are_named(period: int) -> None:
    moving = shapes(1, speed=2.0)
    repeating = moving[:, [i % period for i in range(T)]]
    assert "oscillating motion" in names(repeating)
    drifting = 0.8 * repeating + 0.2 * shapes(1, speed=0.5)
    assert "oscillating motion" in names(drifting)
    assert "oscillating motion" not in names(repeating, shapes(2, speed=2.0)[:, [i % period for i in range(T)]])


@pytest.mark.parametrize("period", [5, 6, 8, 12, 16])
def test_clips_that_swing_slowly_are_named(period: int) -> None:
    place, t = world("portraits"), torch.arange(32.0)
    swing = (2 * math.pi * t / period + 0.3).sin()[None, :, None]

    def heads(seed: int, swinging: float) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        motion = place.random_motion(t.expand(8, -1), rng)
        return place.draw_clips(place.random_attributes(8, rng), (1 - swinging) * motion + swinging * swing * motion[:, :1].sign(), 32)

    for seed in range(3):
        assert "oscillating motion" in names(heads(seed, 0.9), heads(100 + seed, 0.0))
        assert "oscillating motion" not in names(heads(seed, 0.0), heads(100 + seed, 0.0))


def test_shaking_clips_are_named_even_where_they_never_repeat() -> None:
    rng = torch.Generator().manual_seed(0)
    flicker = shapes(1) + 0.3 * torch.randn(N, T, 1, 1, 1, generator=rng)
    assert names(flicker) == ["shaking motion"]
    shuffled = shapes(1, speed=2.0)[:, torch.randperm(T, generator=rng)]
    assert "shaking motion" in names(shuffled)


def test_one_mode_and_few_modes_are_told_apart() -> None:
    assert names(shapes(1)[:1].repeat(N, 1, 1, 1, 1)) == ["one mode"]
    assert names(shapes(1)[:1].repeat(N, 1, 1, 1, 1) + 0.1 * shapes(2)) == ["one mode"]
    few = shapes(1)[[0, 0, 0, 1, 1, 2, 2, 2]]
    assert names(few) == ["few modes"]
    grain = 0.05 * torch.randn(few.shape, generator=torch.Generator().manual_seed(0))
    assert "few modes" in names(few + grain, shapes(3, grain=0.05))


def test_flat_and_saturated_frames_are_named() -> None:
    level = torch.linspace(-0.8, 0.8, N).reshape(N, 1, 1, 1, 1)
    fading = torch.linspace(-0.2, 0.2, T).reshape(1, T, 1, 1, 1)
    assert "dead frames" in names((level + fading).expand(N, T, 3, SIZE, SIZE))
    blinking = shapes(1).clone()
    blinking[:, 6:8] = -1.0
    assert "dead frames" in names(blinking)
    assert "saturated frames" in names(shapes(1) * 10)
    assert "saturated frames" not in names(shapes(1) * 10, shapes(2) * 10)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_the_only_alarm(value: float) -> None:
    fake = shapes(1)
    fake[3, 2, 1, 0, 5] = value
    (alarm,) = watch(fake, shapes(0))
    assert alarm.name == "not finite" and alarm.figure == pytest.approx(1 / fake.numel(), rel=0.1) and alarm.bar == 0


def test_an_alarm_is_one_line_with_figure_bar_and_hint() -> None:
    (alarm,) = watch(shapes(1)[:1].repeat(N, 1, 1, 1, 1), shapes(0))
    assert alarm.figure < alarm.bar and str(alarm).startswith("one mode: 0, bar ") and "R1" in str(alarm)
    assert "\n" not in str(alarm)


def test_figures_follow_their_definitions() -> None:
    clip = torch.zeros(2, 8, 3, 4, 4)
    clip[:, 1::2] = 0.5  # alternation
    clip[1] -= 0.2
    found = measure(clip)
    assert (found.motion, found.shakiness, found.returning) == pytest.approx((0.25, 4.0, 0.0))
    assert (found.distance, found.nearest) == pytest.approx((0.04, 0.04))
    assert (found.contrast, found.saturated, found.broken) == (0, 0, 0)
    ramp = torch.linspace(-0.7, 0.7, 8).reshape(1, 8, 1, 1, 1).expand(1, 8, 3, 4, 4)
    even = measure(ramp)
    assert even.shakiness == pytest.approx(0, abs=1e-6) and even.returning == pytest.approx(16 / 9, rel=1e-4)
    assert math.isnan(even.distance)
    rng = torch.Generator().manual_seed(0)
    assert measure(torch.rand(2, 40, 3, 8, 8, generator=rng)).shakiness == pytest.approx(3, rel=0.05)


def test_the_reference_can_be_kept_as_plain_data_and_short_clips_do() -> None:
    kept = ClipFigures.from_dict(json.loads(json.dumps(measure(shapes(0)).to_dict())))
    still = shapes(1)[:, :1].repeat(1, T, 1, 1, 1)
    assert watch(still, kept) == watch(still, shapes(0)) != []
    for frames in (1, 2, 3):
        assert watch(shapes(1)[:, :frames], shapes(0)[:, :frames]) == []
    assert watch(shapes(1)[:1], shapes(0)[:1]) == []


def test_clips_of_other_numbers_and_shapes_are_refused() -> None:
    for fake, word in ((shapes(1)[:4], "clips"), (shapes(1)[:, :5], "frames"), (shapes(1)[..., ::2, ::2], "size")):
        with pytest.raises(ValueError, match=word):
            watch(fake, shapes(0))
    with pytest.raises(ValueError, match="wanted"):
        measure(shapes(0)[0])
    assert dataclasses.is_dataclass(measure(shapes(0)))


def test_judges_that_tell_nothing_apart_are_blind() -> None:
    assert not blind(0.3, -0.1)
    (alarm,) = blind(0.02, 0.01)
    assert alarm.name == "blind judges" and alarm.figure == pytest.approx(0.01) and "head_start" in alarm.hint
