"""Putting differences back: exact outside the crop, nothing for no difference, in the right place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.tiny_project import finished
from vedit.stitching import PasteBack, add_difference
from vedit.video import read, write

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


@dataclass(frozen=True)
class Moving:
    """A scene whose generator knows of a clip how its light rises, and an edit that makes it redder."""

    edits: tuple[str, ...] = ()

    def frames(self, times: Sequence[float]) -> Tensor:
        frames = torch.tensor(times)[:, None, None, None].expand(-1, 3, 16, 16) * 4 - 0.5
        return frames + torch.tensor([0.2 if self.edits else 0.0, 0, 0])[:, None, None]

    def chunks(self, times: Sequence[float], store: object = None) -> Iterator[Tensor]:
        for begin in range(0, len(times), 3):
            yield self.frames(times[begin : begin + 3])


def pasted(tmp_path: Path, scene: Moving, moments: Sequence[float]) -> tuple[list[np.ndarray], np.ndarray]:
    """Pictures of a clip of two frames that hold that light and a detail no generator knows; and the detail."""
    detail = np.random.default_rng(1).integers(0, 60, (64, 64, 3))
    pictures = [(detail + 64 + 127.5 * 4 * time).round().astype(np.uint8) for time in (0.0, 0.04)]
    write(tmp_path / "clip.mkv", pictures, fps=25, codec="ffv1")
    workspace = finished(tmp_path / "clip.vedit")
    workspace.source = lambda: tmp_path / "clip.mkv"  # type: ignore[method-assign]
    back: Any = PasteBack(workspace, scene)  # type: ignore[arg-type]
    return list(back.pictures(moments)), np.stack([frame.image for frame in read(tmp_path / "clip.mkv")])


def test_without_edits_the_sources_frames_come_back_and_between_them_the_generator_moves_the_light(tmp_path: Path) -> None:
    found, source = pasted(tmp_path, Moving(), [0.0, 0.01, 0.04, 0.05])
    assert (found[0] == source[0]).all() and (found[2] == source[1]).all()
    middle = slice(12, -12), slice(12, -12)
    for picture, time in ((found[1], 0.01), (found[3], 0.05)):
        wanted = source[0][middle].astype(float) + 127.5 * 4 * time
        assert np.abs(picture[middle] - wanted).max() <= 1.0


@dataclass(frozen=True)
class Bright:
    """A scene that is white throughout."""

    edits: tuple[str, ...] = ()

    def chunks(self, times: Sequence[float], store: object = None) -> Iterator[Tensor]:
        yield torch.ones(len(times), 3, 16, 16)


def test_where_nothing_moves_a_moving_crop_leaves_no_edge(tmp_path: Path) -> None:
    write(tmp_path / "clip.mkv", [np.full((64, 64, 3), 100, np.uint8)] * 2, fps=25, codec="ffv1")
    workspace = finished(tmp_path / "clip.vedit")
    workspace.info["crops"] = [[[32.0, 0, x], [0, 32.0, 16]] for x in (10.0, 20.0)]
    workspace.source = lambda: tmp_path / "clip.mkv"  # type: ignore[method-assign]
    back: Any = PasteBack(workspace, Bright())  # type: ignore[arg-type]
    assert all((picture == 100).all() for picture in back.pictures([0.0, 0.01, 0.02, 0.04]))


def test_a_source_that_ends_early_holds_its_last_frame(tmp_path: Path) -> None:
    write(tmp_path / "clip.mkv", [np.full((64, 64, 3), 100, np.uint8)], fps=25, codec="ffv1")
    workspace = finished(tmp_path / "clip.vedit")
    workspace.source = lambda: tmp_path / "clip.mkv"  # type: ignore[method-assign]
    back: Any = PasteBack(workspace, Bright())  # type: ignore[arg-type]
    assert len(list(back.pictures([0.0, 0.02, 0.04]))) == 3


def test_an_edit_lies_on_every_picture(tmp_path: Path) -> None:
    plain, _ = pasted(tmp_path, Moving(), [0.0, 0.02])
    edited, _ = pasted(tmp_path, Moving(("redder",)), [0.0, 0.02])
    for before, after in zip(plain, edited, strict=True):
        change = after[32, 32].astype(int) - before[32, 32]
        assert abs(change[0] - 0.2 * 127.5) <= 1 and (change[1:] == 0).all()
