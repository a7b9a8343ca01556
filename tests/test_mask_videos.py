"""Mask videos: the mask at a moment is the picture that stands there, it follows the crop, and the project keeps it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.test_latents import latents
from tests.test_regions import an_edit
from tests.tiny_generator import tiny_generator
from vedit import video
from vedit.clock import Clock
from vedit.edits import Edit
from vedit.mask_videos import Course, follow, is_moving
from vedit.progress import finish
from vedit.regions import Region, RegionError
from vedit.scene import Scene
from vedit.wording import EditError

SIZE = (64, 32)
TIMES = [0.0, 0.1, 0.2, 0.3]
MIDDLE = np.repeat([[[32.0, 0, 16], [0, 32.0, 0]]], len(TIMES), axis=0)  # the square in the middle
COURSE = Course(TIMES, MIDDLE, SIZE)
SIDE = 16


def picture(column: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A mask whose eighth of that number, from the left, is white."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    eighth = size[0] // 8
    image[:, column * eighth : (column + 1) * eighth] = 255
    return image


def film(path: Path, columns: list[int], fps: float = 10, size: tuple[int, int] = SIZE) -> Path:
    finish_write = video.write(path, iter([picture(column, size) for column in columns]), fps=fps, codec="ffv1")
    return finish_write.path


def white(region: Region, frame: int, crops: np.ndarray = MIDDLE) -> float:
    """Where the middle of the white lies in a frame, in fractions of the crop."""
    mask = region.masks(crops[frame : frame + 1], SIDE, [frame])[0, 0]
    across = (torch.arange(SIDE) + 0.5) / SIDE
    return float((mask.mean(dim=0) * across).sum() / mask.mean(dim=0).sum())


def followed(path: Path, course: Course = COURSE) -> tuple[Region, tuple[str, ...]]:
    return finish(follow(path, course, SIDE))


def test_the_mask_of_a_frame_is_the_one_that_stands_at_its_time(tmp_path: Path) -> None:
    region, told = followed(film(tmp_path / "mask.mkv", [2, 3, 4, 5]))
    assert [white(region, i) for i in range(4)] == pytest.approx([0.125, 0.375, 0.625, 0.875], abs=0.02)
    assert told == ()
    slower, _ = followed(film(tmp_path / "slow.mkv", [2, 5], fps=5))
    assert [white(slower, i) for i in range(4)] == pytest.approx([0.125, 0.125, 0.875, 0.875], abs=0.02)


def test_between_frames_a_mask_is_held(tmp_path: Path) -> None:
    generator = tiny_generator()
    region, _ = followed(film(tmp_path / "mask.mkv", [2, 3, 4, 5]))
    assert region.moving is not None
    plain = Scene(generator, latents(generator), Clock.of(TIMES, generator.fps), (), MIDDLE)

    def frames(moment: float, place: Region) -> torch.Tensor:
        return replace(plain, edits=((an_edit(generator, place), 1.0),)).frames([moment])

    for moment, frame in ((0.1, 1), (0.17, 1), (0.2, 2), (9.0, 3)):
        still = replace(region, moving=np.repeat(region.moving[frame : frame + 1], len(TIMES), axis=0))
        assert torch.equal(frames(moment, region), frames(moment, still))
        assert not torch.equal(frames(moment, region), plain.frames([moment]))
    assert not torch.equal(frames(0.17, region), frames(0.17, replace(region, moving=region.moving[2:])))


def test_a_mask_follows_the_crop(tmp_path: Path) -> None:
    crops = MIDDLE.copy()
    crops[:, 0, 2] += [0, 8, 16, 16]  # to the right, and the mask with it in the first three frames
    region, _ = followed(film(tmp_path / "mask.mkv", [3, 4, 5, 5]), Course(TIMES, crops, SIZE))
    assert [white(region, i, crops) for i in range(4)] == pytest.approx([0.375] * 4, abs=0.02)


def test_a_short_mask_is_held_with_a_warning(tmp_path: Path) -> None:
    region, (told,) = followed(film(tmp_path / "mask.mkv", [2, 5]))
    assert white(region, 3) == pytest.approx(0.875, abs=0.02) and "ends at 0.20 s" in told


def test_a_mask_of_another_size_is_shrunk_and_one_of_other_proportions_refused(tmp_path: Path) -> None:
    region, _ = followed(film(tmp_path / "big.mkv", [2, 3, 4, 5], size=(256, 128)))
    assert region.moving is not None and region.moving.shape == (4, SIDE, SIDE)
    assert white(region, 1) == pytest.approx(0.375, abs=0.02)
    with pytest.raises(RegionError, match="as large"):
        followed(film(tmp_path / "square.mkv", [2, 3], size=(64, 64)))


def test_a_folder_holds_one_mask_for_each_frame(tmp_path: Path) -> None:
    for i, column in enumerate([2, 3, 4, 5]):
        Image.fromarray(picture(column)).save(tmp_path / f"{i}.png")
    region, told = followed(tmp_path, Course([2.0, 2.1, 2.15, 2.3], MIDDLE, SIZE))
    assert [white(region, i) for i in range(4)] == pytest.approx([0.125, 0.375, 0.625, 0.875], abs=0.02)
    assert told == ()


def test_an_animated_image_is_a_mask_and_what_is_transparent_is_outside(tmp_path: Path) -> None:
    clear = [Image.fromarray(np.dstack([np.full_like(picture(c), 255), picture(c)[..., :1]])) for c in (2, 5)]
    path = tmp_path / "mask.webp"
    clear[0].save(path, save_all=True, append_images=clear[1:], duration=200, lossless=True)
    assert is_moving(path) and is_moving(tmp_path) and not is_moving(tmp_path / "none.mp4")
    region, _ = followed(path)
    assert [white(region, i) for i in range(4)] == pytest.approx([0.125, 0.125, 0.875, 0.875], abs=0.02)


def test_what_is_transparent_in_a_gif_is_outside(tmp_path: Path) -> None:
    indices = [picture(column)[..., 0] // 255 for column in (2, 5)]  # 1 is the white eighth, 0 is transparent
    shown = [Image.fromarray(index, "P") for index in indices]
    for image in shown:
        image.putpalette([0, 0, 255, 255, 255, 255])  # over white, a transparent blue would be white as well
    path = tmp_path / "mask.gif"
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=200, transparency=0, disposal=2, optimize=False)
    region, _ = followed(path)
    assert [white(region, i) for i in range(4)] == pytest.approx([0.125, 0.125, 0.875, 0.875], abs=0.02)


@pytest.mark.parametrize("grey, word", [(0, "black"), (255, "white")])
def test_a_mask_of_one_colour_is_refused(tmp_path: Path, grey: int, word: str) -> None:
    images = iter([np.full((32, 64, 3), grey, np.uint8)] * 2)
    with pytest.raises(RegionError, match=word):
        followed(video.write(tmp_path / "mask.mkv", images, fps=10, codec="ffv1").path)


def test_the_stored_mask_needs_no_file(tmp_path: Path) -> None:
    path = film(tmp_path / "mask.mkv", [2, 3, 4, 5])
    edit = an_edit(tiny_generator(), followed(path)[0])
    info, tensors = edit.to_files()
    os.remove(path)
    back = Edit.from_files(info, tensors)
    assert back.region is not None and [white(back.region, i) for i in range(4)] == [white(edit.region, i) for i in range(4)]  # type: ignore[arg-type]
    with pytest.raises(EditError, match="make it again"):
        Edit.from_files(info, {name: value for name, value in tensors.items() if name != "region.mask"})
    with pytest.raises(EditError, match="make it again"):
        Edit.from_files(info, tensors | {"region.mask": tensors["region.mask"].float()})
