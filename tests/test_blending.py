"""What is laid into a crop: exact outside it, the render itself in its middle, and with poisson in its surroundings' colours."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from vedit.alignment import extract
from vedit.blending import add_difference, membrane, replace_crop
from vedit.pixels import from_pixels

IMAGE = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
CROPS = {
    "upright": np.array([[40.0, 0.0, 30.0], [0.0, 40.0, 25.0]]),
    "turned": np.array([[40.0, 14.0, 30.0], [-14.0, 40.0, 25.0]]),
    "over the border": np.array([[60.0, 9.0, 85.0], [-9.0, 60.0, -20.0]]),
    "around the picture": np.array([[200.0, 0.0, -40.0], [0.0, 200.0, -50.0]]),
    "smaller than the render": np.array([[9.0, 2.0, 50.0], [-2.0, 9.0, 40.0]]),
}
MODES: dict[str, Callable[..., np.ndarray]] = {
    "difference": add_difference,
    "replace": replace_crop,
    "poisson": lambda image, picture, crop: replace_crop(image, picture, crop, poisson=True),
}


def noise(seed: int = 0, size: int = 16) -> Tensor:
    return torch.rand(3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def scene_of(height: int, width: int) -> np.ndarray:
    """A picture without detail."""
    y, x = np.mgrid[:height, :width]
    return np.stack([60 + 0.8 * x, 80 + 0.7 * y, 120 + 0.3 * (x - y)], axis=-1).round().astype(np.uint8)


def fractions(image: np.ndarray, crop: np.ndarray) -> np.ndarray:
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
    points = np.stack([xs + 0.5, ys + 0.5], axis=-1) - crop[:, 2]
    return points @ np.linalg.inv(crop[:, :2]).T


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CROPS)
def test_outside_the_crop_every_pixel_stays_in_every_mode(mode: str, name: str) -> None:
    crop = CROPS[name]
    u = fractions(IMAGE, crop)
    outside = ((u < -1e-6) | (u > 1 + 1e-6)).any(axis=-1)
    result = MODES[mode](IMAGE, noise(), crop)
    assert result.dtype == np.uint8 and (result[outside] == IMAGE[outside]).all() and (result != IMAGE).any()


@pytest.mark.parametrize("mode", MODES)
def test_a_crop_that_misses_the_picture_changes_nothing(mode: str) -> None:
    away = np.array([[10.0, 0.0, 500.0], [0.0, 10.0, 500.0]])
    assert (MODES[mode](IMAGE, noise(), away) == IMAGE).all()


@pytest.mark.parametrize("name", ["upright", "turned", "over the border"])
def test_the_middle_is_the_enlarged_render(name: str) -> None:
    """Against an interpolation of another library, for a render so smooth that the kinds of interpolation agree."""
    y, x = np.mgrid[:16, :16] / 16
    picture = torch.from_numpy(np.stack([0.6 * np.sin(2 * x), 0.5 * np.cos(2 * y), 0.4 * x * y])).float()
    u = fractions(IMAGE, CROPS[name])
    middle = ((u > 0.15) & (u < 0.85)).all(axis=-1)
    at = u[middle] * 16 - 0.5
    wanted = np.stack([map_coordinates(channel, [at[:, 1], at[:, 0]], order=3, mode="nearest") for channel in picture.numpy()], axis=-1)
    found = replace_crop(IMAGE, picture, CROPS[name])[middle]
    assert middle.sum() > 100 and np.abs(found - (wanted + 1) * 127.5).max() < 2


def test_a_render_larger_than_its_crop_is_averaged() -> None:
    board = torch.ones(3, 64, 64)
    board[:, ::2, ::2] = board[:, 1::2, 1::2] = -1  # point sampling would pick black or white
    found = replace_crop(IMAGE, board, CROPS["upright"])
    assert np.abs(found[40:50, 45:55].astype(float) - 127.5).max() < 12


def test_a_membrane_is_harmonic_between_its_edges() -> None:
    edge = noise(size=20).double()
    found = membrane(edge).double()
    ring = torch.ones(20, 20, dtype=torch.bool)
    ring[1:-1, 1:-1] = False
    torch.testing.assert_close(found[:, ring], edge[:, ring], atol=1e-6, rtol=0)
    neighbours = found[:, :-2, 1:-1] + found[:, 2:, 1:-1] + found[:, 1:-1, :-2] + found[:, 1:-1, 2:]
    torch.testing.assert_close(neighbours / 4, found[:, 1:-1, 1:-1], atol=1e-6, rtol=0)


def test_poisson_is_seamless_cloning() -> None:
    """OpenCV clones with a mask that it shrinks by 3 pixels, and rounds."""
    size, inset = 64, 3
    y, x = np.mgrid[:size, :size] / size
    drawn = np.stack([120 + 60 * np.sin(6 * x), 100 + 50 * np.cos(5 * y), 140 + 40 * np.sin(5 * (x + y))], axis=-1).round().astype(np.uint8)
    image = scene_of(128, 128)
    cloned = cv2.seamlessClone(drawn, image, np.full((size, size), 255, np.uint8), (size, size), cv2.NORMAL_CLONE)
    part = slice(size // 2 + inset, size // 2 + size - inset)
    inner = drawn[inset:-inset, inset:-inset].astype(np.float64)
    change = membrane(torch.from_numpy(image[part, part] - inner).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    error = np.abs(inner + change - cloned[part, part])[4:-4, 4:-4].mean()
    assert error < 2.5 < 0.1 * np.abs(inner - cloned[part, part]).mean()


@pytest.mark.parametrize("name", ["upright", "turned", "over the border"])
def test_poisson_of_what_the_picture_shows_changes_little_and_takes_its_light(name: str) -> None:
    image, crop = scene_of(90, 120), CROPS[name]
    shown = from_pixels(extract(image, crop, 16))
    for picture in (shown, shown * 0.7 - 0.2):  # as it is, and darker and flatter: the edge alone says which colours
        found = replace_crop(image, picture, crop, poisson=True).astype(float)
        assert np.abs(found - image).max() <= (3 if picture is shown else 10)
    assert np.abs(replace_crop(image, shown * 0.7 - 0.2, crop).astype(float) - image).max() > 25


def test_noise_of_the_source_does_not_make_poisson_flicker() -> None:
    rng, picture, image = np.random.default_rng(1), noise(), scene_of(90, 120)
    noisy = [(image + rng.normal(0, 3, image.shape)).round().clip(0, 255).astype(np.uint8) for _ in range(12)]
    middle = np.stack([replace_crop(frame, picture, CROPS["turned"], poisson=True)[40:50, 50:60] for frame in noisy]).astype(float)
    assert middle.mean(axis=(1, 2)).std(axis=0).max() < 1.0 < np.stack(noisy).astype(float).std(axis=0).mean()
