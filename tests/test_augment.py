"""Augmentation: each transform against a plain oracle, no aliasing, one draw a clip, gradients twice, and a controller that resumes."""

from __future__ import annotations

import colorsys
import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegan_v import ConfigError
from stylegan_v.augment import GROUPS, AdaController, Augment, AugmentConfig, Drawn
from stylegan_v.losses import r1_penalty
from stylegan_v.ops.warp import half_band, warp

EVERYTHING = Augment(AugmentConfig())
NAMES = [name for names in GROUPS.values() for name in names]


def noise(n: int = 2, frames: int = 3, size: int = 12, seed: int = 0) -> Tensor:
    return torch.randn(n, frames, 3, size, size, generator=torch.Generator().manual_seed(seed))


def alone(**change: Any) -> Drawn:
    """Parameters of one clip, neutral but for `change`."""
    values = {name: torch.tensor(np.array([value])) for name, value in change.items()}
    return dataclasses.replace(Drawn.neutral(1), **values)


def only(name: str, **more: Any) -> Augment:
    return Augment(AugmentConfig(**({key: 0.0 for key in NAMES} | {name: 1.0} | more)))


def applied(frames: Tensor, **change: Any) -> Tensor:
    return EVERYTHING.apply(frames, alone(**change))


def waves(size: int, kx: int, ky: int) -> Tensor:
    """A clip of two frames of cosines with these numbers of half waves a side: smooth, also where they are mirrored."""
    at = torch.arange(size, dtype=torch.float64) / (size - 1) * math.pi
    frame = (kx * at).cos()[None, :] * (ky * at).cos()[:, None]
    return torch.stack([frame, -frame]).unsqueeze(1).repeat(1, 3, 1, 1).unsqueeze(0)


# Pixel blitting, to the bit


def test_the_flip_mirrors_left_and_right() -> None:
    x = noise(1)
    assert np.array_equal(applied(x, flip=True).numpy(), x.numpy()[..., ::-1])


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_turns_are_those_of_numpy(turn: int) -> None:
    x = noise(1)
    assert np.array_equal(applied(x, turn=turn).numpy(), np.rot90(x.numpy(), turn, axes=(3, 4)))


@pytest.mark.parametrize(("right", "down"), [(2, 0), (0, -3), (-3, 2)])
@pytest.mark.parametrize("turn", [0, 1])
def test_shifts_are_rolls_of_the_mirrored_image_after_the_turn(right: int, down: int, turn: int) -> None:
    x = noise(1)
    wide = np.pad(np.rot90(x.numpy(), turn, axes=(3, 4)), [(0, 0)] * 3 + [(4, 4)] * 2, mode="reflect")
    wanted = np.roll(wide, (down, right), axis=(3, 4))[..., 4:-4, 4:-4]
    assert np.array_equal(applied(x, turn=turn, shift=[right / 12, down / 12]).numpy(), wanted)


# General geometry


def test_the_filter_is_symmetric_orthogonal_to_its_even_shifts_and_leaves_a_still_image_alone() -> None:
    taps = np.array(half_band())
    assert taps.sum() == pytest.approx(1) and np.allclose(taps, taps[::-1], atol=1e-15)
    shifts = 2 * np.correlate(taps, taps, "full")[len(taps) - 1 :: 2]
    assert np.allclose(shifts, np.eye(len(shifts))[0], atol=1e-5)
    still = torch.eye(2, 3, dtype=torch.float64).expand(2, 2, 3)
    for size in (8, 9, 16):
        x = noise(2, frames=1, size=size).flatten(1, 2).double()
        torch.testing.assert_close(warp(x, still), x, atol=1e-4, rtol=0)


@pytest.mark.parametrize("quarters", [-1, 1, 2])
def test_a_rotation_by_quarters_is_a_turn(quarters: int) -> None:
    x = noise(1).double()
    for name in ("before", "after"):
        found = applied(x, **{name: quarters * math.pi / 2})
        torch.testing.assert_close(found, x.rot90(quarters, (3, 4)), atol=1e-4, rtol=0)


def test_a_movement_by_whole_pixels_is_a_shift() -> None:
    x = noise(1).double()
    torch.testing.assert_close(
        applied(x, move=[3 / 12, -2 / 12]), applied(x, shift=[3 / 12, -2 / 12]), atol=1e-4, rtol=0
    )


def test_scale_and_stretch_show_a_wave_at_its_new_length() -> None:
    size, at = 33, torch.arange(33, dtype=torch.float64) - 16
    unit = math.pi / (size - 1)
    x = waves(size, 4, 2)
    wide, tall = (4 * unit * (at / 2 + 16)).cos(), (2 * unit * (at / 2 + 16)).cos()
    torch.testing.assert_close(applied(x, scale=2.0)[0, 0, 0], tall[:, None] * wide, atol=0.02, rtol=0)
    small = applied(x, scale=0.5)[0, 0, 0]  # beyond its edge the wave goes on, mirrored
    torch.testing.assert_close(
        small, (2 * unit * (at * 2 + 16)).cos()[:, None] * (4 * unit * (at * 2 + 16)).cos(), atol=0.04, rtol=0
    )
    stretched = applied(x, stretch=2.0)[0, 0, 0]
    torch.testing.assert_close(stretched, (2 * unit * (at * 2 + 16)).cos()[:, None] * wide, atol=0.03, rtol=0)


def test_rotations_and_fractions_of_pixels_move_a_smooth_image_where_it_belongs() -> None:
    size, angle, right = 33, 0.4, 1.3
    unit, at = math.pi / 32, torch.arange(33, dtype=torch.float64) - 16
    found = applied(waves(size, 4, 2), before=angle, move=[right / size, 0.0])[0, 0, 0]
    x, y = (at - right)[None, :].expand(33, 33), at[:, None].expand(33, 33)
    from_x, from_y = math.cos(angle) * x - math.sin(angle) * y, math.sin(angle) * x + math.cos(angle) * y
    wanted = (4 * unit * (from_x + 16)).cos() * (2 * unit * (from_y + 16)).cos()
    torch.testing.assert_close(found, wanted, atol=0.03, rtol=0)


def test_the_stretch_lies_between_the_two_rotations() -> None:
    x = noise(1, size=16).double()
    swapped = applied(x, before=math.pi / 2, stretch=1.5, after=-math.pi / 2)
    torch.testing.assert_close(swapped, applied(x, stretch=1 / 1.5), atol=1e-10, rtol=0)


def test_what_is_too_fine_for_the_result_vanishes_instead_of_coming_back_coarse() -> None:
    """A grating of 0.8 of the limit, halved in size, would alias to 0.4 of it at full strength."""
    size = 31
    fine = waves(size, 24, 0)
    naive = fine[..., 1::2]
    assert naive.std() > 0.6
    assert applied(fine, scale=0.5)[..., 8:-8, 8:-8].std() < 0.05 * naive.std()
    assert applied(fine, stretch=0.5)[..., 8:-8, 8:-8].std() < 0.05 * naive.std()
    # a checkerboard's waves, turned by 45°, lie at 1.41 times the limit of the rows
    board = waves(size, 30, 30)
    assert applied(board, before=math.pi / 4)[..., 10:-10, 10:-10].std() < 0.1 * board.std()


# Colours


def pixel_colours(x: Tensor) -> np.ndarray[Any, Any]:
    return x.permute(0, 1, 3, 4, 2).reshape(-1, 3).double().numpy()


def test_brightness_contrast_luma_and_saturation_follow_their_formulas() -> None:
    x = noise(1)
    grey = x.mean(dim=2, keepdim=True)
    for change, wanted in (
        ({"brightness": 0.3}, x + 0.3),
        ({"contrast": 1.7}, x * 1.7),
        ({"brightness": 0.3, "contrast": 1.7}, (x + 0.3) * 1.7),
        ({"luma_flip": True}, x - 2 * grey),
        ({"saturation": 2.5}, grey + (x - grey) * 2.5),
        ({"luma_flip": True, "saturation": 0.0}, (-grey).expand_as(x)),
    ):
        torch.testing.assert_close(applied(x, **change), wanted, atol=1e-5, rtol=1e-5)


def test_hue_rotates_about_grey() -> None:
    x = noise(1)
    torch.testing.assert_close(applied(x, hue=2 * math.pi / 3), x.roll(1, dims=2), atol=1e-5, rtol=1e-5)
    angle, axis = 0.7, np.ones(3) / math.sqrt(3)
    found, source = pixel_colours(applied(x, hue=angle)), pixel_colours(x)
    for new, old in zip(found[:20], source[:20], strict=True):
        rodrigues = (
            old * math.cos(angle) + np.cross(axis, old) * math.sin(angle) + axis * (axis @ old) * (1 - math.cos(angle))
        )
        assert np.allclose(new, rodrigues, atol=1e-5)
    red = applied(torch.tensor([0.9, 0.1, 0.1])[:, None, None].expand(1, 1, 3, 8, 8), hue=2 * math.pi / 3)[
        0, 0, :, 0, 0
    ]
    assert colorsys.rgb_to_hsv(*red.tolist())[0] == pytest.approx(1 / 3, abs=1e-4)


# Clips, batches, draws


def test_all_frames_of_a_clip_are_treated_alike_and_clips_differently() -> None:
    still = noise(4, frames=1).repeat(1, 5, 1, 1, 1)
    found = EVERYTHING(still, 1.0, torch.Generator().manual_seed(2))
    assert all(torch.equal(found[:, 0], found[:, i]) for i in range(1, 5))
    same = EVERYTHING(still[:1].repeat(4, 1, 1, 1, 1), 1.0, torch.Generator().manual_seed(2))
    assert all(not torch.allclose(same[0], same[i], atol=0.1) for i in range(1, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_changes_at_p_zero(dtype: torch.dtype) -> None:
    x = noise(5).to(dtype)
    assert torch.equal(EVERYTHING(x, 0.0, torch.Generator().manual_seed(1)), x)
    assert torch.equal(Augment(AugmentConfig("none"))(x, 1.0, torch.Generator().manual_seed(1)), x)


def test_a_clip_does_not_depend_on_its_batch() -> None:
    x, seeds = noise(6), [11, 12, 13, 14, 15, 16]
    drawn = EVERYTHING.draw_for(seeds, 0.3)
    assert len({int(kind) for kind in drawn.kinds(12)}) > 1, "clips of several kinds are wanted here"
    whole = EVERYTHING.apply(x, drawn)
    for i, seed in enumerate(seeds):
        part = EVERYTHING.apply(x[i : i + 1], EVERYTHING.draw_for([seed], 0.3))
        torch.testing.assert_close(part[0], whole[i], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(EVERYTHING.apply(x[2:5], drawn[2:5]), whole[2:5], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_each_transform_happens_with_its_own_probability_and_by_itself(name: str) -> None:
    seeds, p, factor = range(600), 0.4, 0.5
    drawn = only(name, **{name: factor}).draw_for(seeds, p)
    neutral = Drawn.neutral(600)
    changed = {}
    for field in dataclasses.fields(Drawn):
        value = getattr(drawn, field.name) != getattr(neutral, field.name)
        changed[field.name] = value.flatten(1).any(dim=1) if value.ndim == 2 else value
    mine = ("before", "after") if name == "rotate" else (name,)
    assert not any(value.any() for key, value in changed.items() if key not in mine)
    share = torch.stack([changed[key] for key in mine]).any(dim=0).double().mean()
    visible = {"flip": 0.5, "luma_flip": 0.5, "turn": 0.75}.get(name, 1.0)
    assert float(share) == pytest.approx(p * factor * visible, abs=0.05)  # three standard deviations


def test_more_probability_adds_transforms_and_keeps_the_others() -> None:
    little, much = (EVERYTHING.draw_for(range(50), p) for p in (0.2, 0.7))
    kept = little.contrast != 1
    assert kept.any() and torch.equal(much.contrast[kept], little.contrast[kept])
    assert (much.contrast != 1).sum() > kept.sum()


def test_letters_choose_groups_and_bad_settings_are_refused() -> None:
    drawn = Augment(AugmentConfig("gc")).draw_for(range(40), 1.0)
    assert not drawn.flip.any() and not drawn.turn.any() and (drawn.scale != 1).all() and (drawn.hue != 0).all()
    for values in ({"pipeline": "bgx"}, {"pipeline": ""}, {"pipeline": "bb"}, {"flip": -1}, {"hue": math.nan}):
        with pytest.raises(ConfigError, match=next(iter(values))):
            AugmentConfig.from_dict(values)
    with pytest.raises(ValueError, match="probability"):
        EVERYTHING.draw_for([1], 1.5)
    with pytest.raises(ValueError, match=r"wanted \[3, T, 3, S, S\]"):
        EVERYTHING.apply(noise(2), Drawn.neutral(3))
    assert len(EVERYTHING.draw_for([], 0.5)) == 0


# Gradients


def test_gradients_of_first_and_second_order_agree_with_finite_differences() -> None:
    drawn = EVERYTHING.draw_for([1, 3, 7], 0.3)
    assert set(drawn.kinds(8).tolist()) >= {1, 2} and drawn.recoloured().any()
    x = noise(3, frames=1, size=8).double().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda y: EVERYTHING.apply(y, drawn), x, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda y: EVERYTHING.apply(y, drawn).sin(), x, fast_mode=True)


@pytest.mark.parametrize("by", ["the clip", "the augmented clip"])
def test_r1_can_be_taken_by_the_clip_before_and_after_augmentation(by: str) -> None:
    """logits = <weight, augmented²>: the penalty's gradient by the weight is known from finite differences."""
    drawn = EVERYTHING.draw_for([5, 6], 0.9)
    weight = noise(1, frames=2, size=8, seed=4).double().requires_grad_(True)

    def penalty() -> Tensor:
        x = noise(2, frames=2, size=8).double().requires_grad_(True)
        seen = EVERYTHING.apply(x, drawn)
        return r1_penalty((weight * seen.square()).sum(dim=(1, 2, 3, 4)), x if by == "the clip" else seen)

    (slope,) = torch.autograd.grad(penalty(), weight)
    step = noise(1, frames=2, size=8, seed=5).double() * 1e-4
    with torch.no_grad():
        weight.add_(step)
    high = penalty().item()
    with torch.no_grad():
        weight.sub_(2 * step)
    assert (high - penalty().item()) / 2 == pytest.approx(float((slope * step).sum()), rel=1e-5)


# The controller


def run(ada: AdaController, sign: float, steps: int, batch: int = 10) -> float:
    for _ in range(steps):
        ada.update(torch.full((batch,), sign))
    return ada.p


def test_p_rises_while_reals_are_told_too_surely_and_falls_otherwise() -> None:
    ada = AdaController(target=0.6, interval=4, kimg=1.0)
    assert run(ada, 1.0, 3) == 0.0
    assert run(ada, 1.0, 1) == pytest.approx(0.04) and ada.sign == 1.0
    assert run(ada, 1.0, 96) == pytest.approx(1.0), "from 0 to 1 within kimg thousand clips"
    assert run(ada, 1.0, 8) == 1.0
    assert run(ada, -1.0, 8) == pytest.approx(0.92)
    assert run(ada, -1.0, 200) == 0.0
    mixed = AdaController(kimg=1.0, p=0.5)
    for _ in range(4):
        mixed.update(torch.tensor([1.0, 1, 1, 1, -1]))  # exactly the target
    assert mixed.sign == pytest.approx(0.6) and abs(mixed.p - 0.5) <= 0.02
    for _ in range(4):
        mixed.update(torch.full((5,), math.nan))
    assert 0.48 <= mixed.p <= 0.52


def test_a_resumed_controller_goes_on_exactly() -> None:
    rng = torch.Generator().manual_seed(0)
    logits = [torch.randn(7, generator=rng) + 1.0 for _ in range(30)]
    unbroken, first = AdaController(kimg=1.0), AdaController(kimg=1.0)
    expected = [unbroken.update(value) for value in logits]
    found = [first.update(value) for value in logits[:14]]
    second = AdaController(kimg=1.0)
    second.load_state_dict(first.state_dict())
    found += [second.update(value) for value in logits[14:]]
    assert found == expected and len(set(expected)) > 3
    assert second.state_dict() == unbroken.state_dict()


def test_processes_that_share_a_batch_share_p() -> None:
    one, alone_ = AdaController(kimg=1.0, interval=1), AdaController(kimg=1.0, interval=1)
    other = torch.tensor([1.0, 1.0])  # what the second process has counted: sign sum 1 of 1
    one.update(torch.tensor([2.0, 3.0]), total=lambda tally: tally + other)
    alone_.update(torch.tensor([2.0, 3.0, 4.0]))
    assert one.state_dict() == alone_.state_dict()
    with pytest.raises(ValueError, match="interval"):
        AdaController(interval=0)
