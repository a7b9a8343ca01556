"""The skies world: what it draws, how it moves, what its captions say."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vedit.worlds.skies import Skies
from vedit.worlds.sky_captions import WORD_TARGETS, facts

WORLD = Skies()
FAINT = {
    "cloud_softness": 0.01,
    "aurora_shape": 0.006,
    "aurora_hue": 0.005,
    "ridge_1": 0.003,
    "ridge_2": 0.003,
    "ridge_3": 0.003,
    "land_hue": 0.004,
    "land_light": 0.004,
}
LEAST = 0.015  # mean absolute change of frames in [-1, 1] between a column's ends, unless FAINT says less


def sample(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    attributes = WORLD.random_attributes(n, rng)
    return attributes, WORLD.random_motion(torch.full((n, 1), 7.0), rng)[:, 0]


@pytest.mark.parametrize("size", [17, 32, 64, 100])
def test_frames_of_any_size_are_in_range(size: int) -> None:
    frames = WORLD.draw(*sample(5), size)
    assert frames.shape == (5, 3, size, size)
    assert frames.isfinite().all() and frames.min() >= -1 and frames.max() <= 1


def test_drawing_is_deterministic_and_independent_of_the_batch() -> None:
    attributes, motion = sample(9)
    together = WORLD.draw(attributes, motion, 64)
    assert torch.equal(together, WORLD.draw(attributes, motion, 64))
    torch.testing.assert_close(WORLD.draw(attributes[4:5], motion[4:5], 64)[0], together[4], atol=1e-5, rtol=0)


def test_a_larger_picture_shows_the_same_sky() -> None:
    attributes, motion = sample(4)
    large = torch.nn.functional.avg_pool2d(WORLD.draw(attributes, motion, 256), 4)
    assert (large - WORLD.draw(attributes, motion, 64)).abs().mean() < 0.03


@pytest.mark.parametrize("column", WORLD.columns)
def test_each_attribute_column_shows(column: str) -> None:
    attributes, motion = sample(24)
    low, high = attributes.clone(), attributes.clone()
    index = WORLD.columns.index(column)
    low[:, index], high[:, index] = -1, 1
    change = (WORLD.draw(high, motion, 64) - WORLD.draw(low, motion, 64)).abs().mean()
    assert change > FAINT.get(column, LEAST)


@pytest.mark.parametrize("index", range(len(WORLD.motions)), ids=[motion.name for motion in WORLD.motions])
def test_each_motion_shows(index: int) -> None:
    attributes, _ = sample(24)
    low, high = torch.zeros(24, len(WORLD.motions)), torch.zeros(24, len(WORLD.motions))
    low[:, index], high[:, index] = -0.8, 0.8
    assert (WORLD.draw(attributes, high, 64) - WORLD.draw(attributes, low, 64)).abs().mean() > 0.004


def test_motion_codes_appended_later_change_nothing_earlier() -> None:
    rng = torch.Generator().manual_seed(1)
    codes = torch.randn(2, 40, WORLD.motion_z_dim, generator=rng)
    t = torch.linspace(0, 60, 31).expand(2, -1)
    assert torch.equal(WORLD.motion_from_codes(t, codes[:, :14]), WORLD.motion_from_codes(t, codes))


def test_paired_clips_depend_on_their_inputs_alone() -> None:
    rng = torch.Generator().manual_seed(2)
    z, codes = torch.randn(1, WORLD.z_dim, generator=rng), torch.randn(1, 20, WORLD.motion_z_dim, generator=rng)
    t = torch.tensor([[0.0, 3.5, 20.0]])
    clip = WORLD.clips(z, t, codes, 32)
    torch.testing.assert_close(
        clip, WORLD.clips(z * 3, t, codes, 32), atol=1e-3, rtol=0
    )  # the length of z means nothing
    assert (clip[:, 0] - clip[:, 2]).abs().mean() > 0.001


def test_captions_are_reproducible_and_independent_of_the_batch() -> None:
    attributes, _ = sample(16)
    first = WORLD.captions(attributes, torch.Generator().manual_seed(5))
    assert first == WORLD.captions(attributes, torch.Generator().manual_seed(5))
    assert len(set(first)) > 8
    assert all(caption and caption == caption.strip() for caption in first)


@pytest.mark.parametrize(
    ("topic", "column", "shown", "absent"),
    [
        ("aurora", "aurora", 0.9, 0.0),
        ("haze", "haze", 0.9, 0.0),
        ("mountains", "mountains", 0.9, 0.0),
        ("sea", "sea", 0.9, 0.0),
        ("clouds", "cloud_cover", 0.5, 0.0),
    ],
)
def test_facts_say_what_is_there(topic: str, column: str, shown: float, absent: float) -> None:
    row = dict.fromkeys(WORLD.columns, 0.0)
    assert topic in {fact.topic for fact in facts({**row, column: shown})}
    assert topic not in {fact.topic for fact in facts({**row, column: absent})}


def test_facts_follow_visibility() -> None:
    row = dict.fromkeys(WORLD.columns, 0.0) | {"time": 0.9, "sun_brightness": 0.9}
    words = " ".join(phrase for fact in facts(row) for phrase in fact.phrases)
    assert "night" in words and "blazing sun" not in words
    overcast = " ".join(phrase for fact in facts({**row, "cloud_cover": 0.9}) for phrase in fact.phrases)
    assert "star" not in overcast and "overcast" in overcast


def test_word_targets_name_columns() -> None:
    assert all(
        set(target) <= set(WORLD.columns) and all(abs(sign) == 1 for sign in target.values())
        for target in WORD_TARGETS.values()
    )
