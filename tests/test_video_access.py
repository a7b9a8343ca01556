"""Reading in the middle of files: the same frames, times and pixels as reading them from the beginning."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame
from PIL import Image

from tests.numbered import frames, make_clip, numbers, picture
from vedit.video import Frame, VideoError, VideoWarning, read, read_at, sample, table
from vedit.video.decoding import Decoding

OPEN_GOP = {"g": "24", "x264-params": "open-gop=1:scenecut=0:b-adapt=0:bframes=3"}
REFRESH = {"g": "24", "x264-params": "intra-refresh=1:scenecut=0"}
HEVC = {"x265-params": "log-level=error:open-gop=1:keyint=24:min-keyint=24:scenecut=0:bframes=3"}
HIDDEN = {"g": "24", "auto-alt-ref": "1", "lag-in-frames": "16", "b": "200k"}
UNEVEN = [i * 33 + (i % 5) * 7 + (i // 40) * 900 for i in range(120)]
CASES: dict[str, dict[str, Any]] = {
    "one key frame.mp4": {"options": {"g": "1000"}},
    "open groups.mp4": {"options": OPEN_GOP},
    "open groups.mkv": {"options": OPEN_GOP},
    "open groups.ts": {"options": OPEN_GOP},
    "open groups of HEVC.mp4": {"codec": "libx265", "options": HEVC, "size": (96, 64)},  # x265 may crash on less
    "no key frames but the first.mp4": {"options": REFRESH},
    "no key frames but the first.ts": {"options": REFRESH},
    "interlaced.mkv": {"options": {"g": "24", "x264-params": "tff=1:open-gop=1"}},
    "MPEG-2.ts": {"codec": "mpeg2video", "options": {"g": "12", "bf": "2"}},
    "hidden frames.webm": {"codec": "libvpx-vp9", "options": HIDDEN},
    "hidden frames of VP8.webm": {"codec": "libvpx", "options": HIDDEN},
    "fragments.mp4": {"options": {"g": "24"}, "muxer": {"movflags": "frag_keyframe+empty_moov"}},
    "variable.mp4": {"options": {"g": "24"}, "ticks": UNEVEN, "base": Fraction(1, 1000)},
    "variable.mkv": {"options": {"g": "24"}, "ticks": UNEVEN, "base": Fraction(1, 1000)},
    "picture late.mp4": {"options": {"g": "24"}, "ticks": [i + 30 for i in range(120)], "sound": 0.0},
    "out of order.avi": {"codec": "mpeg4", "options": {"g": "24", "bf": "2"}},
    "order unknown.avi": {"options": {"g": "24", "bf": "2"}},
    "leaning.gif": {"codec": "gif", "pixel_format": "rgb8", "options": {}},
    "flash.flv": {"options": {"g": "24"}},
    "turned.mov": {"options": {"g": "24"}, "rotation": (90, False)},
}


def same(found: list[Frame], expected: list[Frame]) -> None:
    """Frames agree in time, duration and every pixel."""
    assert [frame.time for frame in found] == [frame.time for frame in expected]
    assert [frame.duration for frame in found] == pytest.approx([frame.duration for frame in expected], abs=1e-6)
    assert all((a.image == b.image).all() for a, b in zip(found, expected))


def standing(whole: list[Frame], moment: float) -> Frame:
    return [frame for frame in whole if frame.time <= moment + 1e-4 or frame is whole[0]][-1]


@pytest.mark.parametrize("large", [False, True], ids=["walked", "by its index"])
@pytest.mark.parametrize("name", CASES)
def test_the_middle_of_a_file_equals_the_whole(
    tmp_path: Path, name: str, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(table, "SCAN_BYTES", 0)
    path = make_clip(tmp_path / name, 120, **{"size": (48, 32), **CASES[name]})
    whole = frames(path)
    assert len(whole) == 120
    draw = random.Random(0)
    end = whole[-1].time + whole[-1].duration
    at_a_key_frame = whole[48].time
    for start in (at_a_key_frame, whole[50].time, draw.uniform(1.01, end - 0.1), draw.choice(whole[45:]).time):
        expected = [frame for frame in whole if start - 1e-4 <= frame.time < start + 0.5 - 1e-4]
        if expected:
            same(frames(path, start=start, duration=0.5), expected)
    moments = sorted([-0.2, at_a_key_frame, end + 1, *(draw.uniform(0, end) for _ in range(6))])
    same(list(read_at(path, moments)), [standing(whole, moment) for moment in moments])
    for moment in moments[-3:]:
        same(list(read_at(path, [moment])), [standing(whole, moment)])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_a_window_equals_the_same_part_of_the_whole(tmp_path: Path, suffix: str) -> None:
    options = {"crf": "10", "g": "25"} if suffix != ".avi" else {}
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    path = make_clip(
        tmp_path / f"a{suffix}",
        200,
        codec=codec,
        options=options,
        sound=0.0,
        sound_codec="mp2" if suffix == ".ts" else "libmp3lame",
    )
    whole = frames(path)
    for start, duration in ((0.0, 1.0), (2.0, 0.5), (3.33, 1.0), (7.9, 5.0), (1.01, 0.02)):
        expected = [frame for frame in whole if start - 1e-4 <= frame.time < start + duration - 1e-4]
        window = frames(path, start=start, duration=duration) if expected else []
        assert [frame.time for frame in window] == [frame.time for frame in expected]
        assert all((a.image == b.image).all() for a, b in zip(window, expected))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[VideoFrame]:
    """Every frame that is decoded from here on."""
    seen: list[VideoFrame] = []
    original = Decoding.frames

    def counted(self: Decoding) -> Iterator[tuple[float, VideoFrame]]:
        for time, frame in original(self):
            seen.append(frame)
            yield time, frame

    monkeypatch.setattr(Decoding, "frames", counted)
    return seen


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_far_moments_are_jumped_to_and_near_ones_decoded_on_to(
    tmp_path: Path, suffix: str, decoded: list[VideoFrame]
) -> None:
    path = make_clip(tmp_path / f"a{suffix}", 250, size=(48, 32), options={"g": "10", "x264-params": "scenecut=0"})
    found = list(read_at(path, [3.0, 3.04, 3.08, 9.0]))
    assert numbers(found) == [75, 76, 77, 225]
    assert len(decoded) < 60
    decoded.clear()
    assert numbers([next(iter(read(path, start=9.0)))]) == [225]
    assert len(decoded) < 30


def test_a_clock_set_back_is_never_jumped_over(tmp_path: Path) -> None:
    first = make_clip(tmp_path / "a.ts", 30, size=(48, 32), options={"g": "10"})
    second = make_clip(tmp_path / "b.ts", 200, size=(48, 32), options={"g": "10"})
    path = tmp_path / "ab.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.warns(VideoWarning, match="set back"):
        whole = list(read(path))
    with pytest.warns(VideoWarning, match="set back"):
        same(list(read(path, start=5.0)), [frame for frame in whole if frame.time >= 5.0 - 1e-4])
    with pytest.warns(VideoWarning, match="set back"):
        same(list(read_at(path, [0.5, 5.0])), [standing(whole, 0.5), standing(whole, 5.0)])


def test_damage_within_a_window_is_told(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 200, options={"crf": "10", "g": "12"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = np.random.default_rng(0).bytes(200)
    path.write_bytes(bytes(data))
    for window in ({"start": 2.5, "duration": 3.0}, {"duration": 6.0}):
        with pytest.warns(VideoWarning, match="damaged"):
            assert list(read(path, **window))
    assert len(frames(path, start=6.5)) == 200 - 163


def test_a_sample_is_spread_evenly(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 90, size=(48, 32), options={"g": "10"})
    assert numbers(list(sample(path, 3))) == [15, 45, 75]
    assert numbers(list(sample(path, 2, start=1.2, duration=0.8))) == [35, 45]
    assert numbers(list(sample(path, 9, start=3.5, duration=0.1))) == [88, 89]
    assert numbers(list(sample(path, 1, start=1.21, duration=0.06))) == [31]
    with pytest.raises(VideoError, match=r"no frames between 5 s and 6 s; it ends at 3\.60 s"):
        list(sample(path, 3, start=5, duration=1))
    with pytest.raises(VideoError, match="give 1 or more"):
        sample(path, 0)
    with pytest.raises(VideoError, match="sort them"):
        read_at(path, [1.0, 0.5])
    with pytest.raises(ValueError, match="finite"):
        read_at(path, [float("nan")])


def test_images_at_moments(tmp_path: Path) -> None:
    pictures = [Image.fromarray(picture(i)) for i in range(5)]
    pictures[0].save(tmp_path / "a.png", save_all=True, append_images=pictures[1:], duration=[40, 80, 40, 100, 200])
    assert numbers(list(read_at(tmp_path / "a.png", [0.0, 0.1, 0.12, 9.0]))) == [0, 1, 2, 4]
    assert numbers(list(sample(tmp_path / "a.png", 2))) == [1, 4]
    (tmp_path / "folder").mkdir()
    for i in range(10):
        pictures[i % 5].save(tmp_path / "folder" / f"{i}.png")
    assert numbers(list(read_at(tmp_path / "folder", [-1.0, 0.04, 0.3, 9.0]))) == [0, 1, 2, 4]
    assert numbers(list(sample(tmp_path / "folder", 2))) == [2, 2]
    assert numbers(list(sample(tmp_path / "folder" / "3.png", 4))) == [3]


@pytest.mark.parametrize(("suffix", "codec", "pixel_format"), [("mp4", "libx264", "yuv444p"), ("mkv", "ffv1", "bgr0")])
def test_another_decoder_finds_the_same_frames(tmp_path: Path, suffix: str, codec: str, pixel_format: str) -> None:
    """decord, with an FFmpeg of its own, agrees to the last bit where no chroma has to be interpolated."""
    decord = pytest.importorskip("decord", reason="decord is not installed here")
    options = {"g": "24"} if codec == "libx264" else {}
    ticks = UNEVEN if suffix == "mp4" else None
    base = Fraction(1, 1000) if ticks else None
    path = make_clip(
        tmp_path / f"a.{suffix}", 120, codec=codec, pixel_format=pixel_format, options=options, ticks=ticks, base=base
    )
    other = decord.VideoReader(str(path), num_threads=1)
    places = [3, 17, 40, 41, 90, 119]
    times = other.get_frame_timestamp(places)[:, 0]
    found = list(read_at(path, times))
    assert numbers(found) == places
    assert [frame.time for frame in found] == pytest.approx(times, abs=1e-4)
    assert all((frame.image == other[i].asnumpy()).all() for i, frame in zip(places, found))
