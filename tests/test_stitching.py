"""Putting differences back: exact outside the crop, nothing for no difference, in the right place."""

from __future__ import annotations

import numpy as np
import torch

from vedit.stitching import add_difference

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (90, 120, 3), dtype=np.uint8)
CROP = np.array([[40.0, 6.0, 30.0], [-6.0, 40.0, 25.0]])  # a turned square of about 40 pixels


def inside(image: np.ndarray, crop: np.ndarray) -> np.ndarray:
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
    points = np.stack([xs + 0.5, ys + 0.5], axis=-1) - crop[:, 2]
    fractions = points @ np.linalg.inv(crop[:, :2]).T
    return ((fractions > 0) & (fractions < 1)).all(axis=-1)


def test_outside_the_crop_every_pixel_stays() -> None:
    result = add_difference(IMAGE, torch.ones(3, 16, 16), CROP)
    outside = ~inside(IMAGE, CROP)
    assert (result[outside] == IMAGE[outside]).all()
    assert (result != IMAGE).any()


def test_no_difference_changes_nothing() -> None:
    assert (add_difference(IMAGE, torch.zeros(3, 16, 16), CROP) == IMAGE).all()


def test_the_middle_takes_the_whole_difference() -> None:
    grey = np.full((90, 120, 3), 100, dtype=np.uint8)
    result = add_difference(grey, torch.full((3, 16, 16), 0.2), CROP)
    middle = (CROP[:, :2] @ [0.5, 0.5] + CROP[:, 2]).round().astype(int)
    assert abs(int(result[middle[1], middle[0], 0]) - (100 + 0.2 * 127.5)) <= 1


def test_a_feature_lands_where_the_crop_says() -> None:
    difference = torch.zeros(3, 16, 16)
    difference[:, 4, 11] = 1.0  # centre of that pixel: fractions (11.5, 4.5) / 16
    grey = np.full((90, 120, 3), 100, dtype=np.uint8)
    change = add_difference(grey, difference, CROP)[..., 0].astype(float) - 100
    change = np.clip(change, 0, None)
    ys, xs = np.mgrid[:90, :120] + 0.5
    found = np.array([(change * xs).sum(), (change * ys).sum()]) / change.sum()
    np.testing.assert_allclose(found, CROP[:, :2] @ [11.5 / 16, 4.5 / 16] + CROP[:, 2], atol=0.35)


def test_a_crop_beyond_the_picture_is_cut_off() -> None:
    beyond = np.array([[60.0, 0.0, 90.0], [0.0, 60.0, -20.0]])
    assert add_difference(IMAGE, torch.ones(3, 16, 16), beyond).shape == IMAGE.shape
    away = np.array([[10.0, 0.0, 500.0], [0.0, 10.0, 500.0]])
    assert (add_difference(IMAGE, torch.ones(3, 16, 16), away) == IMAGE).all()
