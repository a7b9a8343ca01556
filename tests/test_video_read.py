"""Reading: right frames at right times from every codec and container, and no more memory for longer files."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
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
    make_clip,
    number,
    numbers,
)
from vedit.video import VideoError, probe, read


@pytest.mark.parametrize(
    "rate", [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(60), Fraction(25, 2)]
)
def test_times_of_a_constant_rate_are_exact(tmp_path: Path, rate: Fraction) -> None:
    found = frames(make_clip(tmp_path / "a.mp4", 30, rate=rate))
    assert numbers(found) == list(range(30))
    assert [frame.time for frame in found] == pytest.approx([float(i / rate) for i in range(30)], abs=1e-6)
    assert found[-1].duration == pytest.approx(float(1 / rate), abs=1e-6)
    info = probe(tmp_path / "a.mp4")
    assert (info.fps, info.frames, info.constant, info.audio) == (rate, 30, True, False)
    assert info.duration == pytest.approx(float(30 / rate), abs=1e-6)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_variable_rate_keeps_every_time(tmp_path: Path, suffix: str) -> None:
    ticks = [0, 40, 55, 130, 131, 400, 650, 660]
    path = make_clip(tmp_path / f"a{suffix}", 8, ticks=ticks, base=Fraction(1, 1000))
    found = frames(path)
    assert numbers(found) == list(range(8))
    assert [frame.time for frame in found] == pytest.approx([tick / 1000 for tick in ticks], abs=MS)
    assert probe(path).constant is False


CODECS = [
    ("mp4", "libx264", "yuv420p"),
    ("mp4", "libx264", "yuv420p10le"),
    ("mp4", "libx264", "yuvj420p"),
    ("mkv", "libx264", "yuv444p"),
    ("mp4", "libx265", "yuv420p10le"),
    ("mp4", "libsvtav1", "yuv420p"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("mkv", "ffv1", "bgr0"),
    ("mov", "prores_ks", "yuv422p10le"),
    ("avi", "mpeg4", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"),
    ("ts", "libx264", "yuv420p"),
    ("mpg", "mpeg2video", "yuv420p"),
    ("flv", "libx264", "yuv420p"),
    ("gif", "gif", "rgb8"),
    ("h264", "libx264", "yuv420p"),
    ("ogv", "libtheora", "yuv420p"),
]


@pytest.mark.parametrize(("suffix", "codec", "pixel_format"), CODECS)
def test_codecs_and_containers(tmp_path: Path, suffix: str, codec: str, pixel_format: str) -> None:
    try:
        av.codec.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this PyAV cannot write {codec}")
    options = {"preset": "12"} if codec == "libsvtav1" else {"crf": "10"} if "x26" in codec else {}
    path = make_clip(tmp_path / f"a.{suffix}", 20, codec=codec, pixel_format=pixel_format, options=options)
    found = frames(path)
    assert numbers(found) == list(range(20))
    assert corners(found[7].image) == [RED, GREEN, BLUE, YELLOW]
    assert [frame.time for frame in found] == pytest.approx([i / 25 for i in range(20)], abs=MS)
    info = probe(path)
    assert (info.width, info.height, info.frames, info.fps) == (96, 64, 20, 25)
    window = frames(path, start=0.2, duration=0.2)
    assert numbers(window) == [5, 6, 7, 8, 9]


def test_offsets_of_picture_and_sound_survive(tmp_path: Path) -> None:
    late = make_clip(tmp_path / "late.mp4", 10, ticks=[i + 10 for i in range(10)], sound=0.0)
    assert frames(late)[0].time == pytest.approx(0.4, abs=MS)
    assert probe(late).start == pytest.approx(0.4, abs=MS)
    early = make_clip(tmp_path / "early.mp4", 10, sound=0.5)
    assert frames(early)[0].time == 0
    ts = make_clip(tmp_path / "a.ts", 10)  # its clock begins at 1.4 s
    assert frames(ts)[0].time == 0


def test_an_mp4_without_edit_lists_and_in_fragments(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 50, muxer={"movflags": "frag_keyframe+empty_moov"})
    found = frames(path)
    assert numbers(found) == list(range(50))
    assert [frame.time for frame in found] == pytest.approx([i / 25 for i in range(50)], abs=MS)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_what_an_edit_list_leaves_out_is_not_shown(tmp_path: Path, suffix: str) -> None:
    """Five frames before time 0: the list begins after them, though they are stored and decoded."""
    path = make_clip(tmp_path / f"a{suffix}", 60, ticks=[i - 5 for i in range(60)], options={"g": "20"})
    found = frames(path)
    assert numbers(found) == list(range(5, 60))
    assert [frame.time for frame in found] == pytest.approx([i / 25 for i in range(55)], abs=MS)
    assert (probe(path).frames, probe(path).start) == (55, 0)
    assert numbers(frames(path, start=1.2)) == list(range(35, 60))


def test_a_cover_beside_the_video_is_not_taken_for_it(tmp_path: Path) -> None:
    Image.new("RGB", (400, 300), "red").save(tmp_path / "cover.jpg")
    make_clip(tmp_path / "plain.mp4", 10)
    output = av.open(str(tmp_path / "a.mp4"), "w")
    with av.open(str(tmp_path / "cover.jpg")) as cover, av.open(str(tmp_path / "plain.mp4")) as video:
        art = output.add_stream_from_template(cover.streams.video[0])
        art.disposition = av.stream.Disposition.attached_pic
        moving = output.add_stream_from_template(video.streams.video[0])
        for source, stream in ((cover, art), (video, moving)):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
    output.close()
    assert numbers(frames(tmp_path / "a.mp4")) == list(range(10))
    assert (probe(tmp_path / "a.mp4").width, probe(tmp_path / "a.mp4").frames) == (96, 10)


def test_a_start_beyond_the_end_is_an_error(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 10)
    with pytest.raises(VideoError, match=r"no frames from 3 s on; it ends at 0\.40 s"):
        list(read(path, start=3))
    for bad in ({"start": -1}, {"start": float("nan")}, {"duration": 0}, {"duration": float("inf")}):
        with pytest.raises(ValueError, match="give a"):
            read(path, **bad)


def test_the_real_clips(test_data: Path) -> None:
    expected = {
        "head-a": (216, 480, 480, True),
        "head-b": (250, 480, 480, True),
        "person-720p": (282, 1280, 720, True),
        "clouds-960": (330, 960, 720, False),
        "sunset-640": (372, 640, 338, True),
    }
    for name, (count, width, height, audio) in expected.items():
        path = test_data / "clips" / f"{name}.mp4"
        info = probe(path)
        assert (info.frames, info.width, info.height, info.audio, info.fps, info.constant) == (
            count,
            width,
            height,
            audio,
            30,
            True,
        )
        found = frames(path, start=2.0, duration=1.0)
        assert [frame.time for frame in found] == pytest.approx([2 + i / 30 for i in range(30)], abs=MS)
        assert found[0].image.shape == (height, width, 3)


def test_frames_come_one_by_one(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 250)
    stream = read(path)
    assert number(next(stream).image) == 0
    stream.close()  # type: ignore[attr-defined]


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """Reading and writing 2,000 frames takes no more memory than 200, in processes of their own."""
    script = """
import resource, sys
from vedit.video import read, write
count = write(sys.argv[2], (frame.image for frame in read(sys.argv[1])), fps=25, codec="ffv1").frames
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    peaks = []
    for count in (200, 2000):
        source = make_clip(tmp_path / f"{count}.mp4", count, size=(320, 240), options={"preset": "ultrafast"})
        command = [sys.executable, "-c", script, str(source), str(tmp_path / "out.mkv")]
        result = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
        frames_, peak = map(int, result.stdout.split())
        assert frames_ == count
        peaks.append(peak)
    assert peaks[1] < 1.1 * peaks[0]
