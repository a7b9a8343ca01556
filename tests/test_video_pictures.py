"""Reading: size, way up and colours of odd files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.numbered import (
    BLUE,
    GREEN,
    MS,
    RED,
    YELLOW,
    corners,
    frames,
    make_clip,
    number,
    numbers,
    picture,
)
from vedit.video import VideoWarning, probe, read


@pytest.mark.parametrize(
    ("degrees", "mirrored", "expected"),
    [
        (0, False, [RED, GREEN, BLUE, YELLOW]),
        (90, False, [GREEN, YELLOW, RED, BLUE]),
        (180, False, [YELLOW, BLUE, GREEN, RED]),
        (-90, False, [BLUE, RED, YELLOW, GREEN]),
        (0, True, [GREEN, RED, YELLOW, BLUE]),
        (180, True, [BLUE, YELLOW, RED, GREEN]),
    ],
)
def test_rotation_and_mirroring_are_applied(tmp_path: Path, degrees: int, mirrored: bool, expected: list) -> None:
    path = make_clip(tmp_path / "a.mp4", 3, rotation=(degrees, mirrored))
    image = frames(path)[0].image
    assert corners(image) == expected
    size = (64, 96) if degrees % 180 == 0 else (96, 64)
    assert image.shape[:2] == size
    info = probe(path)
    assert (info.height, info.width) == size


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(16, 11), (140, 64)), (Fraction(10, 11), (96, 70))])
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    path = make_clip(tmp_path / "a.mp4", 3, aspect=aspect)
    info = probe(path)
    assert (info.width, info.height) == size
    image = frames(path)[1].image
    assert image.shape == (size[1], size[0], 3)
    assert number(image) == 1


@pytest.mark.parametrize("size", [(97, 65), (98, 65), (97, 66), (33, 17)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = make_clip(tmp_path / "a.mkv", 3, size=size, pixel_format="yuv444p")
    assert frames(path)[2].image.shape == (size[1], size[0], 3)


def flat_colour(path: Path, height: int, matrix: int, tagged: bool, pixel_format: str = "yuv420p") -> np.ndarray:
    """The middle pixel of a clip of one colour, encoded with a matrix (1: bt709, 5: bt601)."""
    colour = np.full((height, 128, 3), (200, 40, 90), np.uint8)
    output = av.open(str(path), "w")
    stream = output.add_stream("libx264", rate=25, options={"crf": "1"})
    stream.width, stream.height, stream.pix_fmt = 128, height, pixel_format
    if tagged:
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 1
    frame = av.VideoFrame.from_ndarray(colour, format="rgb24").reformat(
        format=pixel_format, dst_colorspace=matrix, src_color_range=2, dst_color_range=1
    )
    if not tagged:
        frame.colorspace = 2
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
    output.close()
    return frames(path)[0].image[height // 2, 64].astype(int)


@pytest.mark.parametrize(
    ("height", "matrix", "tagged"),
    [(64, 5, True), (64, 1, True), (720, 1, True), (720, 5, True), (64, 5, False), (720, 1, False)],
)
def test_colours_follow_the_tag_or_the_size(tmp_path: Path, height: int, matrix: int, tagged: bool) -> None:
    found = flat_colour(tmp_path / "a.mp4", height, matrix, tagged)
    assert np.abs(found - (200, 40, 90)).max() <= 2


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv422p"])
@pytest.mark.parametrize("matrix", [1, 5])
def test_colours_of_deeper_and_denser_formats(tmp_path: Path, pixel_format: str, matrix: int) -> None:
    found = flat_colour(tmp_path / "a.mp4", 64, matrix, True, pixel_format)
    assert np.abs(found - (200, 40, 90)).max() <= 2


def test_full_range_is_told_from_limited(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 3, pixel_format="yuvj420p", options={"crf": "1"})
    image = frames(path)[0].image.astype(int)
    assert np.abs(image - picture(0))[4:10, 4:10].max() <= 4


def test_interlaced_frames_are_made_whole_at_their_times(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", 20, codec="libx264", options={"crf": "10", "x264-params": "tff=1"})
    found = frames(path)
    assert numbers(found) == list(range(20))
    assert [frame.time for frame in found] == pytest.approx([i / 25 for i in range(20)], abs=MS)


def test_a_moving_edge_is_not_combed(tmp_path: Path) -> None:
    """The odd lines of an interlaced frame were taken later than the even ones: a moving edge stands elsewhere in them."""
    output = av.open(str(tmp_path / "a.mkv"), "w")
    stream = output.add_stream("libx264", rate=25, options={"crf": "4", "x264-params": "tff=1"})
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    for i in range(12):
        lines = np.full((64, 96, 3), 40, np.uint8)
        lines[::2, 8 * i : 8 * i + 16] = lines[1::2, 8 * i + 4 : 8 * i + 20] = 220
        frame = av.VideoFrame.from_ndarray(lines, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = i, Fraction(1, 25)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
    output.close()
    for frame in frames(tmp_path / "a.mkv")[2:9]:
        apart = np.abs(np.diff(frame.image[16:48].astype(int), axis=0))
        assert (apart > 90).mean() < 0.01  # woven together it is 8 of 96 columns


@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format"), [("webm", "libvpx-vp9", "yuva420p"), ("mov", "prores_ks", "yuva444p10le")]
)
def test_transparent_video_lies_over_white(tmp_path: Path, suffix: str, codec: str, pixel_format: str) -> None:
    output = av.open(str(tmp_path / f"a.{suffix}"), "w")
    stream = output.add_stream(codec, rate=25)
    stream.width, stream.height, stream.pix_fmt = 96, 64, pixel_format
    for i in range(4):
        alpha = np.full((64, 96), 255 * (i % 2), np.uint8)
        frame = av.VideoFrame.from_ndarray(np.dstack([picture(i), alpha]), format="rgba").reformat(format=pixel_format)
        frame.pts, frame.time_base = i, Fraction(1, 25)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
    output.close()
    found = frames(tmp_path / f"a.{suffix}")
    assert [frame.time for frame in found] == pytest.approx([0, 0.04, 0.08, 0.12], abs=MS)
    assert (found[0].image == 255).all()
    assert number(found[3].image) == 3


def test_high_dynamic_range_is_read_and_told(tmp_path: Path) -> None:
    output = av.open(str(tmp_path / "a.mp4"), "w")
    stream = output.add_stream("libx265", rate=25, options={"x265-params": "log-level=error"})
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p10le"
    context = stream.codec_context
    context.color_trc, context.color_primaries, context.colorspace, context.color_range = 16, 9, 9, 1
    for i in range(3):
        frame = av.VideoFrame.from_ndarray(picture(i), format="rgb24").reformat(format="yuv420p10le", dst_colorspace=9)
        frame.pts, frame.time_base = i, Fraction(1, 25)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
    output.close()
    with pytest.warns(VideoWarning, match="PQ"):
        found = list(read(tmp_path / "a.mp4"))
    assert numbers(found) == [0, 1, 2]
    assert corners(found[0].image) == [RED, GREEN, BLUE, YELLOW]
