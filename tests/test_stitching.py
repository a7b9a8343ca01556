"""Putting differences back: exact outside the crop, nothing for no difference, in the right place."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.tiny_project import finished
from vedit import stitching
from vedit.blending import add_difference
from vedit.stitching import Blend, PasteBack, PasteWarning, warn_if_soft
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


def pasted(tmp_path: Path, scene: Moving, moments: Sequence[float], blend: Blend = "difference") -> tuple[list[np.ndarray], np.ndarray]:
    """Pictures of a clip of two frames that hold that light and a detail no generator knows; and the detail."""
    detail = np.random.default_rng(1).integers(0, 60, (64, 64, 3))
    pictures = [(detail + 64 + 127.5 * 4 * time).round().astype(np.uint8) for time in (0.0, 0.04)]
    write(tmp_path / "clip.mkv", pictures, fps=25, codec="ffv1")
    workspace = finished(tmp_path / "clip.vedit")
    workspace.source = lambda: tmp_path / "clip.mkv"  # type: ignore[method-assign]
    back: Any = PasteBack(workspace, scene, blend=blend)  # type: ignore[arg-type]
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
    pictures = list(back.pictures([0.0, 0.01, 0.02, 0.04]))
    assert len(pictures) == 4 and all((picture == 100).all() for picture in pictures)


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


@pytest.mark.parametrize("blend", ["replace", "poisson"])
def test_a_render_takes_the_crops_place_at_and_between_the_sources_frames(tmp_path: Path, blend: Blend) -> None:
    found, source = pasted(tmp_path, Moving(("redder",)), [0.0, 0.01, 0.02, 0.04], blend)
    for picture, time in zip(found, (0.0, 0.01, 0.02, 0.04), strict=True):
        average = ((1 - time / 0.04) * source[0].astype(np.float32) + time / 0.04 * source[1].astype(np.float32)).round()
        assert max(np.abs(picture[0] - average[0]).max(), np.abs(picture[:, -1] - average[:, -1]).max()) <= 1  # the crop's edge is the picture's
        middle = picture[20:44, 20:44].astype(float)
        if blend == "replace":
            render = (Moving(("redder",)).frames([time])[0, :, 0, 0].numpy() + 1) * 127.5
            assert np.abs(middle - render).max() <= 1.0
        else:  # a render of one colour takes that of its surroundings
            assert np.abs(middle.mean(axis=(0, 1)) - average.mean(axis=(0, 1))).max() < 6 and middle.std(axis=(0, 1)).max() < 4


@dataclass(frozen=True)
class Counted(Moving):
    """The same, noting every moment that is rendered."""

    seen: tuple[list[float], ...] = ([],)

    def chunks(self, times: Sequence[float], store: object = None) -> Iterator[Tensor]:
        self.seen[0].extend(times)
        yield from super().chunks(times, store)


def test_no_more_is_rendered_and_held_than_is_shown(tmp_path: Path) -> None:
    """Of a long clip's few frames: no reconstruction of the others, no more than three pictures at a time."""
    write(tmp_path / "clip.mkv", [np.full((32, 32, 3), 60 + i, np.uint8) for i in range(40)], fps=25, codec="ffv1")
    workspace = finished(tmp_path / "clip.vedit")
    workspace.info |= {"times": [i / 25 for i in range(40)], "end": 1.6, "crops": [[[20.0, 0, 4.0], [0, 20.0, 4.0]]] * 40}
    workspace.source = lambda: tmp_path / "clip.mkv"  # type: ignore[method-assign]
    plain, moments = Counted(), [0.4, 0.8, 1.2]
    back: Any = PasteBack(workspace, Moving(("redder",)), plain=plain)  # type: ignore[arg-type]
    assert [int(picture[0, 0, 0]) for picture in back.pictures(moments)] == [70, 80, 90]
    assert plain.seen[0] == moments
    held = stitching._Held(iter(enumerate(range(1000))))
    assert held.at(700) == 700 and held.at(701) == 701 and held.at(5000) == 999 and len(held.kept) <= 3


@pytest.mark.parametrize(("blend", "soft", "sharp"), [("difference", 130.0, 128.0), ("replace", 65.0, 64.0), ("poisson", 65.0, 64.0)])
def test_an_enlargement_that_will_look_soft_is_warned_of_once(tmp_path: Path, blend: Blend, soft: float, sharp: float) -> None:
    workspace = finished(tmp_path / "clip.vedit")
    workspace.info["crops"] = [[[sharp, 0, 0.0], [0, sharp, 0]], [[0.0, soft, 0], [-soft, 0, 0]]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_soft(workspace, [0.0, 0.02], 16, blend)
    with pytest.warns(PasteWarning, match=rf"{soft / 16:.1f} times.*-g.*--crop") as seen:
        warn_if_soft(workspace, [0.0, 0.02, 0.04, 0.05], 16, blend)
    assert len(seen) == 1 and ("--blend" in str(seen[0].message)) == (blend != "difference")
