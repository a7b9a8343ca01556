"""The portraits world: what it draws, how it moves, what its captions say."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from vedit.worlds import requests
from vedit.worlds.portraits import REFERENCE_LANDMARKS, Portraits
from vedit.worlds.portraits_captions import facts
from vedit.worlds.portraits_colours import COLOUR_TARGETS, UnknownColour, colour_name, hue_target

WORLD = Portraits()

# Where each column must show (left, top, right, bottom in fractions of the frame) and by how much at least (mean absolute
# change over that region between its two ends, frames in [-1, 1]).
REGIONS = {
    "age": ((0.25, 0.1, 0.75, 0.85), 0.10),
    "beard": ((0.3, 0.6, 0.7, 0.85), 0.20),
    "makeup": ((0.25, 0.35, 0.75, 0.75), 0.03),
    "glasses": ((0.25, 0.35, 0.75, 0.55), 0.15),
    "eyes": ((0.3, 0.4, 0.7, 0.5), 0.02),
    "hair": ((0.2, 0.1, 0.8, 0.35), 0.04),
    "hair.length": ((0.15, 0.4, 0.85, 1.0), 0.05),
    "hair.loss": ((0.25, 0.1, 0.75, 0.35), 0.10),
    "shirt": ((0.0, 0.9, 1.0, 1.0), 0.25),
    "background": ((0.0, 0.0, 0.2, 0.6), 0.20),
    "skin": ((0.35, 0.5, 0.65, 0.8), 0.40),
    "skin.warmth": ((0.35, 0.5, 0.65, 0.8), 0.03),
    "face.width": ((0.2, 0.3, 0.8, 0.8), 0.015),
    "face.jaw": ((0.2, 0.6, 0.8, 0.85), 0.015),
    "brows": ((0.25, 0.3, 0.75, 0.42), 0.03),
}


def plain() -> Tensor:
    """Attributes [1, A] of a face with nothing over it."""
    row = torch.zeros(1, len(WORLD.columns))
    for name, value in {
        "age": -0.4,
        "beard": -1.0,
        "makeup": -1.0,
        "glasses": -1.0,
        "hair.loss": -1.0,
        "skin": 0.4,
    }.items():
        row[0, WORLD.columns.index(name)] = value
    return row


def at_rest(frames: int = 1) -> Tensor:
    return torch.zeros(frames, len(WORLD.motions))


def sample(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    attributes = WORLD.random_attributes(n, rng)
    return attributes, WORLD.random_motion(torch.full((n, 1), 7.0), rng)[:, 0]


def region_of(column: str) -> tuple[tuple[float, float, float, float], float]:
    return REGIONS[column] if column in REGIONS else REGIONS[column.rsplit(".", 1)[0]]


@pytest.mark.parametrize("size", [17, 32, 64, 100])
def test_frames_of_any_size_are_in_range(size: int) -> None:
    frames = WORLD.draw(*sample(5), size)
    assert frames.shape == (5, 3, size, size)
    assert frames.isfinite().all() and frames.min() >= -1 and frames.max() <= 1


def test_extreme_attributes_and_motions_are_in_range() -> None:
    corners = torch.tensor([[-1.0], [1.0]])
    frames = WORLD.draw(corners.expand(2, len(WORLD.columns)), corners.expand(2, len(WORLD.motions)), 32)
    assert frames.isfinite().all() and frames.abs().max() <= 1


def test_drawing_is_deterministic_and_independent_of_the_batch() -> None:
    attributes, motion = sample(21)
    together = WORLD.draw(attributes, motion, 64)
    assert torch.equal(together, WORLD.draw(attributes, motion, 64))
    for i in (0, 17):
        torch.testing.assert_close(
            WORLD.draw(attributes[i : i + 1], motion[i : i + 1], 64)[0], together[i], atol=1e-5, rtol=0
        )


def test_no_frames_draw_nothing() -> None:
    assert WORLD.draw(torch.zeros(0, len(WORLD.columns)), at_rest(0), 16).shape == (0, 3, 16, 16)


def test_a_larger_picture_shows_the_same_portrait() -> None:
    attributes, motion = sample(4)
    large = torch.nn.functional.avg_pool2d(WORLD.draw(attributes, motion, 256), 4)
    assert (large - WORLD.draw(attributes, motion, 64)).abs().mean() < 0.03


@pytest.mark.parametrize("column", WORLD.columns)
def test_each_attribute_column_shows(column: str) -> None:
    (left, top, right, bottom), least = region_of(column)
    rows = plain().repeat(2, 1)
    rows[:, WORLD.columns.index(column)] = torch.tensor([-1.0, 1.0])
    low, high = WORLD.draw(rows, at_rest(2), 64)[
        :, :, int(top * 64) : int(bottom * 64), int(left * 64) : int(right * 64)
    ]
    assert (high - low).abs().mean() > least


@pytest.mark.parametrize("column", WORLD.columns)
def test_attributes_act_smoothly(column: str) -> None:
    rows = plain().repeat(41, 1)
    rows[:, WORLD.columns.index(column)] = torch.linspace(-1, 1, 41)
    frames = WORLD.draw(rows, at_rest(41), 32)
    steps = (frames[1:] - frames[:-1]).abs().mean(dim=(1, 2, 3))
    assert steps.max() < 0.2 * (frames[-1] - frames[0]).abs().mean() + 1e-3


@pytest.mark.parametrize("index", range(len(WORLD.motions)), ids=[motion.name for motion in WORLD.motions])
def test_each_motion_shows(index: int) -> None:
    motion = at_rest(2)
    motion[1, index] = 1.0
    still, moved = WORLD.draw(plain().repeat(2, 1), motion, 64)
    assert ((moved - still).abs().amax(dim=0) > 0.1).sum() >= 12


def test_motion_codes_appended_later_change_nothing_earlier() -> None:
    rng = torch.Generator().manual_seed(3)
    z, codes = torch.randn(2, WORLD.z_dim, generator=rng), torch.randn(2, 14, WORLD.motion_z_dim, generator=rng)
    t = torch.tensor([[0.0, 15.9, 40.5]]).expand(2, -1)
    longer = torch.cat([codes, torch.randn(2, 5, WORLD.motion_z_dim, generator=rng)], dim=1)
    assert torch.equal(WORLD.clips(z, t, codes, 32), WORLD.clips(z, t, longer, 32))


def test_seeds_reproduce_attributes_motion_and_captions() -> None:
    for first, second in zip(sample(6, seed=5), sample(6, seed=5), strict=True):
        assert torch.equal(first, second)
    rows = sample(6)[0]
    said = WORLD.captions(rows, torch.Generator().manual_seed(1))
    assert said == WORLD.captions(rows, torch.Generator().manual_seed(1))
    assert said[:2] == WORLD.captions(rows[:2], torch.Generator().manual_seed(1)), (
        "a caption does not depend on its batch"
    )


def test_the_reference_landmarks_are_where_the_features_are_drawn() -> None:
    """Eye colour changes at the eyes, the lips' colour at the mouth."""
    size = 256

    def centre(column: str, half: slice) -> tuple[float, float]:
        rows = plain().repeat(2, 1)
        rows[:, WORLD.columns.index(column)] = torch.tensor([-1.0, 1.0])
        change = WORLD.draw(rows, at_rest(2), size).diff(dim=0).abs().sum(dim=(0, 1))[:, half]
        rows_of, columns_of = torch.arange(size) + 0.5, torch.arange(size)[half] + 0.5
        x, y = (change * columns_of).sum() / change.sum(), (change * rows_of[:, None]).sum() / change.sum()
        return float(x) / size, float(y) / size

    for half, wanted in ((slice(0, 128), REFERENCE_LANDMARKS[0]), (slice(128, 256), REFERENCE_LANDMARKS[1])):
        assert centre("eyes.b", half) == pytest.approx(wanted, abs=0.02)


TRUE_WORDS = {  # a word's pattern, and what its row must satisfy
    r"(?<!middle-)\b(old|elderly|senior|aged)\b": lambda row: row["age"] > 0.4,
    r"\b(wrinkles|wrinkled)\b": lambda row: row["age"] > 0.4 or row["age"] < -0.4,
    r"\b(young|youthful)\b": lambda row: row["age"] < -0.4,
    r"\bbearded\b|\ba (full |thick |heavy )?beard\b(?<!without a beard)": lambda row: row["beard"] > 0.4,
    r"clean-shaven|no beard|without a beard|beardless": lambda row: row["beard"] < -0.5,
    r"(?<!no )(?<!without )\b(makeup|lipstick|rouge|cosmetics)\b": lambda row: row["makeup"] > 0.3,
    r"(no|without) (makeup)": lambda row: row["makeup"] < -0.5,
    r"(?<!no )(?<!without )(?<!not )(wearing |with |in |, |and |has )(glasses|spectacles|eyeglasses)": lambda row: (
        row["glasses"] > 0.3
    ),
    r"(no|without|not wearing) glasses": lambda row: row["glasses"] < -0.4,
    r"\bblue([- ]eye)": lambda row: row["eyes.b"] < -0.2,
    r"\bbrown([- ]eye)": lambda row: row["eyes.b"] > 0 and row["eyes.a"] > 0,
    r"\b(blonde?|golden|fair)([- ]hair)": lambda row: (
        row["hair.light"] > 0.2 and row["hair.b"] > -0.2 and row["age"] < 0.2
    ),
    r"\blong([- ]hair)": lambda row: row["hair.length"] > 0.3,
    r"\bshort([- ]hair)": lambda row: row["hair.length"] < -0.3,
    r"\b(purple|violet) (t-shirt|shirt|top|sweater|jumper|pullover)": lambda row: (
        row["shirt.a"] > 0.2 and row["shirt.b"] < -0.3
    ),
    r"\b(pale|light|fair)[- ]skin": lambda row: row["skin"] > 0.4,
    r"\bdark[- ]skin": lambda row: row["skin"] < -0.5,
    r"\bbald": lambda row: row["hair.loss"] > 0.6,
}


def test_captions_say_only_what_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "SHARE", 0.0)  # what they ask for is looked at in test_requests
    rng = torch.Generator().manual_seed(11)
    rows = WORLD.random_attributes(4000, rng)
    said = WORLD.captions(rows, rng)
    met = dict.fromkeys(TRUE_WORDS, 0)
    for values, caption in zip(rows.tolist(), said, strict=True):
        row = dict(zip(WORLD.columns, values, strict=True))
        for pattern, holds in TRUE_WORDS.items():
            if re.search(pattern, caption):
                met[pattern] += 1
                assert holds(row), (pattern, caption, row)
    assert min(met.values()) >= 5, met
    assert len(set(said)) > 2500, "captions vary"


def test_every_row_has_facts_and_each_can_be_said() -> None:
    for values in sample(200)[0].tolist():
        known = facts(dict(zip(WORLD.columns, values, strict=True)))
        assert known and all(fact.before or fact.has or fact.after for fact in known)
        assert len({fact.topic for fact in known}) == len(known)


@pytest.mark.parametrize(("attribute", "word"), [(a, w) for a, words in COLOUR_TARGETS.items() for w in words])
def test_a_prototype_is_called_by_its_own_name(attribute: str, word: str) -> None:
    assert colour_name(attribute, *COLOUR_TARGETS[attribute][word]) == word


def test_hue_targets_point_and_unknown_colours_are_refused() -> None:
    assert hue_target("shirt", "violet").allclose(hue_target("shirt", "purple"))
    assert hue_target("hair", "blonde").norm() == pytest.approx(1)
    for attribute, word in (("shirt", "grey"), ("shirt", "plaid"), ("age", "red")):
        with pytest.raises(UnknownColour, match=word):
            hue_target(attribute, word)
