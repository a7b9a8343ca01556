"""Reading: right frames, times, size, way up and colours from odd files; one clear line from broken ones."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.numbered import BLUE, GREEN, RED, YELLOW, corners, make_clip, number, picture, write_tone
from vedit.video import Frame, VideoError, VideoNotFound, VideoWarning, probe, read

MS = 1e-3


def frames(path: Path, **window: float) -> list[Frame]:
    """All frames; any warning is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return list(read(path, **window))


def numbers(found: list[Frame]) -> list[int]:
    return [number(frame.image) for frame in found]


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


def flat_colour(path: Path, height: int, matrix: int, tagged: bool) -> np.ndarray:
    """The middle pixel of a clip of one colour, encoded with a matrix (1: bt709, 5: bt601)."""
    colour = np.full((height, 128, 3), (200, 40, 90), np.uint8)
    output = av.open(str(path), "w")
    stream = output.add_stream("libx264", rate=25, options={"crf": "1"})
    stream.width, stream.height, stream.pix_fmt = 128, height, "yuv420p"
    if tagged:
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 1
    frame = av.VideoFrame.from_ndarray(colour, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=matrix, src_color_range=2, dst_color_range=1
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


def test_full_range_is_told_from_limited(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 3, pixel_format="yuvj420p", options={"crf": "1"})
    image = frames(path)[0].image.astype(int)
    assert np.abs(image - picture(0))[4:10, 4:10].max() <= 4


def test_interlaced_frames_are_made_whole_at_their_times(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", 20, codec="libx264", options={"crf": "10", "x264-params": "tff=1"})
    found = frames(path)
    assert numbers(found) == list(range(20))
    assert [frame.time for frame in found] == pytest.approx([i / 25 for i in range(20)], abs=MS)


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


def test_a_start_beyond_the_end_is_an_error(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 10)
    with pytest.raises(VideoError, match=r"no frames from 3 s on; it ends at 0\.40 s"):
        list(read(path, start=3))
    for bad in ({"start": -1}, {"start": float("nan")}, {"duration": 0}, {"duration": float("inf")}):
        with pytest.raises(ValueError, match="give a"):
            read(path, **bad)


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


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    jpeg = tmp_path / "cover.jpg"
    Image.fromarray(picture(0)).save(jpeg)
    output = av.open(str(tmp_path / "song.mp3"), "w")
    with av.open(str(jpeg)) as cover:
        stream = output.add_stream("libmp3lame", rate=48_000, layout="mono")
        art = output.add_stream_from_template(cover.streams.video[0])
        art.disposition = av.stream.Disposition.attached_pic
        for packet in cover.demux(video=0):
            if packet.size:
                packet.stream = art
                output.mux(packet)
        write_tone(output, stream, 0.0, 1.0)
    output.close()
    with pytest.raises(VideoError, match="cover picture but no video"):
        read(tmp_path / "song.mp3")


def one_line(error: pytest.ExceptionInfo[Exception]) -> bool:
    return "\n" not in str(error.value) and len(str(error.value)) < 250


BROKEN = {
    "empty.mp4": b"",
    "text.mp4": b"once upon a time\n" * 100,
    "garbage.mp4": np.random.default_rng(0).bytes(20_000),
    "zeros.mkv": bytes(10_000),
    "playlist.mp4": b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n",
    "playlist.m3u8": b"\n\n#EXTM3U\n#EXTINF:1,\nhttp://localhost/a.ts\n",
    "concat.mp4": b"ffconcat version 1.0\nfile other.mp4\n",
    "dash.mpd": b'<?xml version="1.0"?><MPD></MPD>',
    "half.png": b"\x89PNG\r\n\x1a\n" + bytes(40),
    "half.jpg": b"\xff\xd8\xff\xe0" + bytes(40),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_video_is_one_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    for use in (lambda: list(read(tmp_path / name)), lambda: probe(tmp_path / name)):
        with pytest.raises(VideoError) as error:
            use()
        assert one_line(error)
        assert isinstance(error.value, ValueError)
        assert name in str(error.value)


def test_wrong_paths(tmp_path: Path) -> None:
    with pytest.raises(VideoNotFound) as error:
        read(tmp_path / "nothing.mp4")
    assert isinstance(error.value, FileNotFoundError)
    assert one_line(error)
    assert str(error.value).startswith("found nothing at")
    with pytest.raises(VideoError, match="holds no images"):
        read(tmp_path)
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match="neither a file nor a folder"):
        read(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match="neither a file nor a folder"):
        probe("/dev/zero")


def test_a_playlist_that_hides_behind_a_container_name_opens_nothing_else(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4", 3)
    (tmp_path / "b.mp4").write_bytes(b" \n# comment\n#EXTM3U\n#EXTINF:1,\na.mp4\n")
    with pytest.raises(VideoError):
        read(tmp_path / "b.mp4")
    assert len(frames(tmp_path / "a.mp4")) == 3


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    output = av.open(str(tmp_path / "a.m4a"), "w")
    stream = output.add_stream("aac", rate=48_000, layout="mono")
    output.start_encoding()
    write_tone(output, stream, 0.0, 1.0)
    output.close()
    with pytest.raises(VideoError, match="holds sound but no video"):
        read(tmp_path / "a.m4a")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_a_truncated_file_gives_what_can_be_read_and_warns(tmp_path: Path, suffix: str) -> None:
    options = {"crf": "10", "g": "12"} if suffix != ".avi" else {}
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    path = make_clip(
        tmp_path / f"a{suffix}",
        200,
        codec=codec,
        options=options,
        muxer={"movflags": "faststart"} if suffix == ".mp4" else {},
    )
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    if suffix == ".ts":  # a transport stream tells no length: what is left is a whole one
        found = list(read(path))
    else:
        with pytest.warns(VideoWarning, match="could be read"):
            found = list(read(path))
    assert numbers(found) == list(range(len(found)))
    assert 60 < len(found) < 150
    assert [frame.time for frame in found] == pytest.approx([i / 25 for i in range(len(found))], abs=MS)


def test_an_mp4_without_its_index_is_an_error(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 100)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(VideoError, match="cannot|not a video"):
        read(path)


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 200, options={"crf": "10", "g": "12"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = np.random.default_rng(0).bytes(200)
    path.write_bytes(bytes(data))
    with pytest.warns(VideoWarning, match="damaged"):
        found = list(read(path))
    assert 150 < len(found) <= 200
    good = [frame for frame in found if frame.time < 2]
    assert numbers(good) == [round(frame.time * 25) for frame in good]


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


def test_a_clock_set_back_and_a_change_of_size_are_told(tmp_path: Path) -> None:
    first, second = make_clip(tmp_path / "a.ts", 20), make_clip(tmp_path / "b.ts", 20, size=(192, 128))
    (tmp_path / "ab.ts").write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.warns(VideoWarning) as told:
        found = list(read(tmp_path / "ab.ts"))
    messages = " ".join(str(warning.message) for warning in told)
    assert "size changes" in messages
    assert "set back" in messages
    assert numbers(found) == [*range(20), *range(2, 20)]
    assert {frame.image.shape for frame in found} == {(64, 96, 3)}
    assert all(a.time < b.time for a, b in zip(found, found[1:]))


@pytest.mark.parametrize("name", ["we ird:näme %03d.mp4", "http:x.mp4", "concat:a.mp4", "-i.mp4"])
def test_a_name_is_never_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).write_bytes(make_clip(tmp_path / "a.mp4", 3).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert numbers(frames(Path(name))) == [0, 1, 2]


def test_an_mp4_without_edit_lists_and_in_fragments(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 50, muxer={"movflags": "frag_keyframe+empty_moov"})
    found = frames(path)
    assert numbers(found) == list(range(50))
    assert [frame.time for frame in found] == pytest.approx([i / 25 for i in range(50)], abs=MS)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "gif", "png"])
def test_random_damage_ends_in_frames_or_one_error(tmp_path: Path, suffix: str) -> None:
    if suffix == "png":
        Image.fromarray(picture(1)).save(tmp_path / "a.png")
    else:
        gif = suffix == "gif"
        make_clip(
            tmp_path / f"a.{suffix}",
            20,
            codec="gif" if gif else "libx264",
            pixel_format="rgb8" if gif else "yuv420p",
            options={} if gif else None,
        )
    data = (tmp_path / f"a.{suffix}").read_bytes()
    rng = np.random.default_rng(5)
    for i in range(25):
        damaged = bytearray(data if i % 2 else data[: rng.integers(1, len(data))])
        for place in rng.integers(0, len(damaged), 10 * (i % 3)):
            damaged[place] = rng.integers(256)
        (tmp_path / f"b.{suffix}").write_bytes(bytes(damaged))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                assert list(read(tmp_path / f"b.{suffix}"))
            except VideoError as error:
                assert "\n" not in str(error)


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
