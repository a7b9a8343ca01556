"""Reading broken files: what is left of them and a warning, or one clear line; nothing outside is ever opened."""

from __future__ import annotations

import os
import struct
import warnings
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.numbered import (
    MS,
    frames,
    make_clip,
    numbers,
    picture,
    write_tone,
)
from vedit.video import VideoError, VideoNotFound, VideoWarning, probe, read, read_at


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


LOSSY = {
    "mkv": {"options": {"g": "12"}},
    "webm": {"codec": "libvpx-vp9", "options": {"g": "12"}},
    "flv": {"options": {"g": "12"}},
    "ts": {"options": {"g": "12"}},
    "gif": {"codec": "gif", "pixel_format": "rgb8", "options": {}},
    "avi": {"codec": "mpeg4", "options": {"g": "12"}},
}


@pytest.mark.parametrize("suffix", LOSSY)
def test_frames_are_never_lost_without_a_word(tmp_path: Path, suffix: str) -> None:
    """Whatever is cut off, cut out or blanked: fewer frames come with a warning, or none with an error."""
    path = make_clip(tmp_path / f"a.{suffix}", 50, size=(48, 32), **LOSSY[suffix])
    data = path.read_bytes()
    assert len(frames(path)) == 50
    rng = np.random.default_rng(1)
    fewer = 0
    for i in range(30):
        # Odd places: of a transport stream cut between two of its packets (188 bytes) nothing tells that there was more.
        place, length = rng.integers(len(data)) | 1, rng.integers(1, len(data) // 4)
        rest = (b"", data[place + length :], bytes(length) + data[place + length :])[i % 3]
        path.write_bytes(data[: max(1, place)] + rest)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                found = len(list(read(path)))
            except VideoError:
                continue
        fewer += found < 50
        assert found == 50 or any(issubclass(one.category, VideoWarning) for one in told), (i, place, length)
    assert fewer > 10


def test_a_hole_between_two_tags_of_a_flash_file_is_told(tmp_path: Path) -> None:
    """The hole begins inside one tag and ends inside a larger one, as far from its end: the walk from tag to tag stays in step."""
    path = make_clip(tmp_path / "a.flv", 50, size=(48, 32), options={"g": "12"})
    data, tags, place = path.read_bytes(), [], 13
    while place < len(data):
        tags.append((place, int.from_bytes(data[place + 1 : place + 4], "big")))
        place += tags[-1][1] + 15
    frames_of = [(place, size) for place, size in tags if data[place] == 9 and data[place + 12] == 1]
    (place, size), (later, larger) = frames_of[10], max(frames_of[20:], key=lambda tag: tag[1])
    assert larger > size
    path.write_bytes(data[: place + 11 + size // 2] + data[later + 11 + larger - (size - size // 2) :])
    with pytest.warns(VideoWarning, match="damaged"):
        assert len(list(read(path))) < 50


def test_a_flash_file_whose_writer_states_other_sizes_is_whole(tmp_path: Path) -> None:
    """Some writers forget the 11 bytes of a tag's own header."""
    path = make_clip(tmp_path / "a.flv", 20, size=(48, 32))
    data, place = bytearray(path.read_bytes()), 13
    while place < len(data):
        size = int.from_bytes(data[place + 1 : place + 4], "big")
        place += size + 15
        data[place - 4 : place] = size.to_bytes(4, "big")
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert numbers(frames(path)) == list(range(20))


def test_a_live_recording_without_sizes_is_whole(tmp_path: Path) -> None:
    """Matroska written to a stream: segment and clusters have no size, and there is no index."""
    path = tmp_path / "a.mkv"
    path.write_bytes(make_clip(tmp_path / "b.mkv", 50, size=(48, 32), muxer={"live": "1"}).read_bytes())
    assert len(frames(path)) == 50
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.warns(VideoWarning, match="broken at byte|errors"):
        list(read(path))


def test_a_stream_that_appears_late_is_passed_over(tmp_path: Path) -> None:
    """PyAV stumbles over it after the last packet."""
    path = make_clip(tmp_path / "a.ts", 50, size=(48, 32))
    data = bytearray(path.read_bytes())
    begins = [
        i for i in range(0, len(data), 188) if data[i + 1 : i + 3] == b"\x41\x00"
    ]  # a frame's first packet, of track 256
    data[begins[-1] + 2] = 0xF8
    path.write_bytes(bytes(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert list(read(path))
        assert list(read_at(path, [0.0, 1.5]))


@pytest.mark.parametrize("size", [(30_000, 30_000), (65_535, 65_535)])
def test_enormous_pictures_are_refused_before_they_are_made(tmp_path: Path, size: tuple[int, int]) -> None:
    gif = make_clip(tmp_path / "a.gif", 3, size=(48, 32), codec="gif", pixel_format="rgb8", options={}).read_bytes()
    sides = struct.pack("<HH", *size)
    (tmp_path / "b.gif").write_bytes(gif.replace(struct.pack("<HH", 48, 32), sides))
    avi = make_clip(tmp_path / "a.avi", 3, size=(48, 32), codec="ffv1", pixel_format="bgr0", options={}).read_bytes()
    (tmp_path / "b.avi").write_bytes(avi.replace(struct.pack("<II", 48, 32), struct.pack("<II", *size)))
    Image.fromarray(picture(1, 48, 32)).save(tmp_path / "a.jpg")
    jpeg = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(jpeg.replace(struct.pack(">HH", 32, 48), struct.pack(">HH", *size)))
    for name in ("b.gif", "b.avi", "b.jpg"):
        with pytest.raises(VideoError) as error:
            list(read(tmp_path / name))
        assert one_line(error)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "gif", "png", "webp", "apng", "tif", "jpg", "bmp"])
def test_random_damage_ends_in_frames_or_one_error(tmp_path: Path, suffix: str) -> None:
    if suffix in ("png", "webp", "apng", "tif", "jpg", "bmp"):
        images = [Image.fromarray(picture(i)) for i in range(3)]
        several = {"save_all": True, "append_images": images[1:]} if suffix in ("webp", "apng") else {}
        images[0].save(tmp_path / f"a.{suffix}", format="PNG" if suffix == "apng" else None, **several)
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
