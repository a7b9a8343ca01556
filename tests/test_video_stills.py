"""Reading what is no video file: images, animated images, folders of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.numbered import (
    BLUE,
    GREEN,
    MS,
    RED,
    YELLOW,
    corners,
    frames,
    numbers,
    picture,
)
from vedit.video import VideoError, probe, read


def test_a_still_image_is_one_frame(tmp_path: Path) -> None:
    for suffix in ("png", "jpg", "webp", "bmp", "tif", "ppm"):
        Image.fromarray(picture(5)).save(
            tmp_path / f"a.{suffix}", **({"quality": 98} if suffix in ("jpg", "webp") else {})
        )
        found = frames(tmp_path / f"a.{suffix}")
        assert (len(found), found[0].time, numbers(found)) == (1, 0.0, [5])
        assert probe(tmp_path / f"a.{suffix}").fps is None
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(picture(5)).save(tmp_path / "turned.jpg", exif=turned, quality=98)
    assert corners(frames(tmp_path / "turned.jpg")[0].image) == [BLUE, RED, YELLOW, GREEN]
    assert probe(tmp_path / "turned.jpg").width == 64


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "1", "I;16"])
def test_images_of_any_mode(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(picture(9)).convert("L")
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    suffix = "tif" if mode == "CMYK" else "png"
    image.save(tmp_path / f"a.{suffix}")
    assert numbers(frames(tmp_path / f"a.{suffix}")) == [9]


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert (frames(tmp_path / "a.png")[0].image == 255).all()


@pytest.mark.parametrize("suffix", ["webp", "png"])
def test_animated_images_keep_their_times(tmp_path: Path, suffix: str) -> None:
    pictures = [Image.fromarray(picture(i)) for i in range(5)]
    durations = [40, 80, 40, 100, 200]
    pictures[0].save(
        tmp_path / f"a.{suffix}",
        save_all=True,
        append_images=pictures[1:],
        duration=durations,
        **({"lossless": True} if suffix == "webp" else {}),
    )
    found = frames(tmp_path / f"a.{suffix}")
    assert numbers(found) == [0, 1, 2, 3, 4]
    assert [frame.time for frame in found] == pytest.approx([0, 0.04, 0.12, 0.16, 0.26], abs=MS)
    assert probe(tmp_path / f"a.{suffix}").duration == pytest.approx(0.46, abs=MS)


def test_a_gif_keeps_variable_times(tmp_path: Path) -> None:
    pictures = [Image.fromarray(picture(i)) for i in range(4)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=[100, 40, 200, 60])
    found = frames(tmp_path / "a.gif")
    assert numbers(found) == [0, 1, 2, 3]
    assert [frame.time for frame in found] == pytest.approx([0, 0.1, 0.14, 0.34], abs=MS)
    assert found[-1].duration == pytest.approx(0.06, abs=MS)


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    for i in (1, 2, 10, 9):
        Image.fromarray(picture(i)).save(tmp_path / f"f{i}.png")
    (tmp_path / "notes.txt").write_text("not a frame")
    found = frames(tmp_path)
    assert numbers(found) == [1, 2, 9, 10]
    assert [frame.time for frame in found] == pytest.approx([0, 0.04, 0.08, 0.12])
    assert [frame.time for frame in read(tmp_path, fps=10)] == pytest.approx([0, 0.1, 0.2, 0.3])
    Image.new("RGB", (5, 5)).save(tmp_path / "f11.png")
    with pytest.raises(VideoError, match="one size"):
        list(read(tmp_path))


def test_digits_of_other_scripts_in_a_folders_names_are_letters(tmp_path: Path) -> None:
    for i, name in enumerate(["A2.png", "a10.png", "B1.png", "²1.png", "٣1.png"]):
        Image.fromarray(picture(i)).save(tmp_path / name)
    assert numbers(frames(tmp_path)) == [0, 1, 2, 3, 4]
