"""Regions: where they are, that they follow the crop, what is refused, and that an edit stays inside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylegan_v import Generator
from tests.test_latents import latents
from tests.tiny_generator import tiny_generator
from vedit.clock import Clock
from vedit.editing import Edit
from vedit.regions import Region, RegionError, parse
from vedit.scene import Scene

SIZE = (200, 100)
WHOLE = np.array([[[100.0, 0, 50], [0, 100.0, 0]]])  # the square in the middle
TIMES = [0.0, 0.04, 0.08]


def test_a_box_lies_where_the_crop_shows_it_and_moves_with_it() -> None:
    box = parse("50,0,50,100", SIZE, False)  # the left half of the square in the middle
    mask = box.masks(WHOLE, 64)[0, 0]
    assert mask[:, :28].min() > 0.99 and mask[:, 36:].max() < 0.01
    assert 0.3 < mask[32, 31] < 0.99, "no soft edge"
    moved = WHOLE + np.array([[[0, 0, 25], [0, 0, 0]]])
    assert box.masks(moved, 64)[0, 0, 32].sum() == pytest.approx(16, abs=1)


def test_a_box_outside_the_crop_changes_nothing_and_a_larger_one_everything() -> None:
    assert parse("0,0,20,20", SIZE, False).masks(WHOLE, 32).max() == 0
    assert parse("-10,-10,400,400", SIZE, False).masks(WHOLE, 32).min() > 0.999


def test_a_mask_file_is_white_where_the_edit_acts(tmp_path: Path) -> None:
    picture = np.zeros((100, 200), np.uint8)
    picture[:50] = 255
    Image.fromarray(picture).save(tmp_path / "mask.png")
    mask = parse(str(tmp_path / "mask.png"), SIZE, False).masks(WHOLE, 64)[0, 0]
    assert mask[:28].min() > 0.99 and mask[36:].max() < 0.01


def test_what_is_transparent_in_a_mask_is_outside(tmp_path: Path) -> None:
    picture = np.full((100, 200, 4), 255, np.uint8)
    picture[50:, :, 3] = 0
    Image.fromarray(picture).save(tmp_path / "mask.png")
    mask = parse(str(tmp_path / "mask.png"), SIZE, False).masks(WHOLE, 64)[0, 0]
    assert mask[:28].min() > 0.99 and mask[36:].max() < 0.01


def test_face_and_background_are_the_two_parts_of_a_crop() -> None:
    face, back = (parse(name, SIZE, True).masks(WHOLE, 64) for name in ("face", "background"))
    torch.testing.assert_close(face + back, torch.ones_like(face))
    assert face[0, 0, 36, 32] > 0.99 and face[0, 0, 0].max() < 0.01
    with pytest.raises(RegionError, match="does not"):
        parse("face", SIZE, False)


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "0,0,0,5", "0,0,nan,5", "500,0,5,5", "no/such.png", "", "0,0,inf,1"])
def test_what_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(RegionError):
        parse(text, SIZE, True)


def test_masks_of_another_shape_and_black_ones_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((100, 100), 255, np.uint8)).save(tmp_path / "square.png")
    Image.fromarray(np.zeros((100, 200), np.uint8)).save(tmp_path / "black.png")
    Image.fromarray(np.full((100, 200), 255, np.uint8)).save(tmp_path / "white.png")
    for name, word in (("square.png", "as large"), ("black.png", "black"), ("white.png", "white")):
        with pytest.raises(RegionError, match=word):
            parse(str(tmp_path / name), SIZE, False)


def an_edit(generator: Generator, region: Region | None) -> Edit:
    direction = {"b8.conv0": torch.full((16,), 0.5), "b4.torgb": torch.full((16,), 0.5)}
    return Edit("e", "p", "n", ((0.0, 1.0),), direction, generator.hash, region=region)


def test_an_edit_stays_in_its_region_and_two_add_up() -> None:
    generator = tiny_generator()
    crops = np.repeat(WHOLE, len(TIMES), axis=0)
    plain = Scene(generator, latents(generator), Clock.of(TIMES, generator.fps), (), crops)
    left, right = (parse(text, SIZE, False) for text in ("50,0,50,100", "100,0,50,100"))

    def frames(*edits: Edit) -> torch.Tensor:
        return replace(plain, edits=tuple((edit, 1.0) for edit in edits)).frames(TIMES)

    before, whole = plain.frames(TIMES), frames(an_edit(generator, None))
    half = frames(an_edit(generator, left))
    edge = before.shape[-1] // 8
    assert torch.equal(half[..., -2 * edge :], before[..., -2 * edge :])
    torch.testing.assert_close(half[..., :edge], whole[..., :edge], atol=1e-2, rtol=0)
    assert (half[..., :edge] - before[..., :edge]).abs().mean() > 1e-3
    both = frames(an_edit(generator, left), an_edit(generator, right))
    torch.testing.assert_close(both, whole, atol=2e-2, rtol=0)


def test_a_region_survives_its_files(tmp_path: Path) -> None:
    generator = tiny_generator()
    picture = np.random.default_rng(0).integers(0, 256, (100, 200), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "mask.png")
    for text in ("face", "1,2,30,40", str(tmp_path / "mask.png")):
        edit = an_edit(generator, parse(text, SIZE, True))
        back = Edit.from_files(*edit.to_files())
        assert back.region is not None and edit.region is not None
        assert torch.equal(back.region.masks(WHOLE, 16), edit.region.masks(WHOLE, 16))
        assert set(back.direction) == set(edit.direction)


@pytest.mark.parametrize(
    "damage",
    [{"kind": "nose"}, {"kind": "mask"}, {"kind": "box"}, {"box": [1, 2, 3]}, {"size": "big"}, {"size": [float("inf"), 4]}, {"box": [0, 0, 1, 1]}],
)
def test_a_damaged_region_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(RegionError, match="make it again|give x"):
        Region.from_info({"kind": "face", "size": [4, 4], "box": None, **damage}, None)
