"""Writing: exact times, right pixels and untouched sound in every container; nothing left behind when it fails."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.numbered import BLUE, GREEN, RED, YELLOW, corners, make_clip, number, picture, sound_packets
from vedit.video import VideoError, probe, read, write

MS = 1e-3
FILES = [
    ("a.mp4", "h264"),
    ("a.mov", "h264"),
    ("a.mkv", "h264"),
    ("a.mp4", "hevc"),
    ("a.mp4", "av1"),
    ("a.webm", "av1"),
    ("a.webm", "vp9"),
    ("a.mp4", "vp9"),
    ("a.mov", "prores"),
    ("a.mkv", "ffv1"),
    ("a.mp4", "ffv1"),
    ("a.gif", "gif"),
    ("frames", "png"),
]
LOSSLESS = ("ffv1", "png", "gif")
UNEVEN = [0.0, 0.1, 0.15, 0.4, 0.43, 1.0, 1.1, 1.15]


def pictures(count: int, size: tuple[int, int] = (96, 64)) -> Iterator[np.ndarray]:
    return (picture(i, *size) for i in range(count))


def leftovers(folder: Path) -> list[str]:
    return [item.name for item in folder.iterdir() if ".part" in item.name or ".old" in item.name]


@pytest.mark.parametrize(("name", "codec"), FILES)
@pytest.mark.parametrize("size", [(96, 64), (97, 65)], ids=["even", "odd"])
def test_every_codec_keeps_number_size_times_and_corners(
    tmp_path: Path, name: str, codec: str, size: tuple[int, int]
) -> None:
    written = write(tmp_path / name, pictures(12, size), fps=25, codec=codec)
    assert (written.frames, written.duration, written.sound) == (12, 0.48, "none")
    found = list(read(written.path))
    assert [number(frame.image) for frame in found] == list(range(12))
    assert [frame.time for frame in found] == pytest.approx([i / 25 for i in range(12)], abs=MS)
    assert found[5].image.shape == (size[1], size[0], 3)
    assert corners(found[5].image) == [RED, GREEN, BLUE, YELLOW]
    if codec in LOSSLESS:
        assert all((frame.image == picture(i, *size)).all() for i, frame in enumerate(found))
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(("name", "codec"), FILES)
def test_every_container_keeps_a_variable_rate_and_the_last_duration(tmp_path: Path, name: str, codec: str) -> None:
    written = write(tmp_path / name, pictures(8), times=UNEVEN, last_duration=0.5, codec=codec)
    found = list(read(written.path))
    assert [frame.time for frame in found] == pytest.approx(UNEVEN, abs=MS)
    assert [frame.duration for frame in found[:-1]] == pytest.approx(np.diff(UNEVEN).tolist(), abs=2 * MS)
    assert found[-1].duration == pytest.approx(0.5, abs=MS)
    assert probe(written.path).duration == pytest.approx(1.65, abs=MS)


@pytest.mark.parametrize("rate", ["30000/1001", "24000/1001", "25", "60", "120", "12.5", "150000/1001", "1/2"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_a_constant_rate_is_exact_to_the_tick(tmp_path: Path, name: str, rate: str) -> None:
    write(tmp_path / name, pictures(20), fps=rate)
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        times = sorted(packet.pts * packet.time_base for packet in container.demux(stream) if packet.size)
        assert times == [i / Fraction(rate) for i in range(20)]
        assert stream.average_rate == Fraction(rate)
        assert stream.duration * stream.time_base == 20 / Fraction(rate)


def test_times_that_a_rate_explains_are_exact_to_the_tick(tmp_path: Path) -> None:
    rate = Fraction(150_000, 1001)
    write(tmp_path / "a.mp4", pictures(40), times=[float(i / rate) for i in range(40)])
    with av.open(str(tmp_path / "a.mp4")) as container:
        times = sorted(packet.pts * packet.time_base for packet in container.demux(video=0) if packet.size)
    assert times == [i / rate for i in range(40)]


def test_a_long_uneven_clip_does_not_drift(tmp_path: Path) -> None:
    steps = np.random.default_rng(0).uniform(0.004, 0.06, 400)
    times = np.cumsum(steps).tolist()
    write(tmp_path / "a.mkv", pictures(400, (32, 16)), times=times, codec="ffv1")
    found = [frame.time + times[0] for frame in read(tmp_path / "a.mkv")]
    assert found == pytest.approx(times, abs=MS)


def test_colours_survive_within_two_levels(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (12, 3), dtype=np.uint8)
    flat = [np.broadcast_to(colour, (64, 96, 3)) for colour in colours]
    for name, codec in (("a.mp4", "h264"), ("b.mov", "prores"), ("c.mp4", "hevc"), ("d.webm", "vp9")):
        write(tmp_path / name, iter(flat), fps=25, codec=codec, crf=None if codec == "prores" else 4)
        found = list(read(tmp_path / name))
        for frame, colour in zip(found, colours):
            assert np.abs(frame.image.astype(int) - colour).mean(axis=(0, 1)).max() <= 2
        with av.open(str(tmp_path / name)) as container:
            frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)


@pytest.mark.parametrize(("name", "codec"), FILES)
def test_metadata_is_kept(tmp_path: Path, name: str, codec: str) -> None:
    write(tmp_path / name, pictures(3), fps=10, codec=codec, metadata={"vedit": "edited: an old person"})
    told = probe(tmp_path / name).metadata
    assert "edited: an old person" in str(told.get("vedit") or told.get("comment"))
    assert [number(frame.image) for frame in read(tmp_path / name)] == [0, 1, 2]


def test_hevc_refuses_frames_that_its_encoder_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="48×32 pixels; hevc takes 64 and more"):
        write(tmp_path / "a.mp4", pictures(3, (48, 32)), fps=25, codec="hevc")
    assert list(tmp_path.iterdir()) == []


def sounding(folder: Path, **changes: object) -> Path:
    return make_clip(folder / "source.mp4", 100, sound=0.0, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_sound_packets_are_copied_untouched(tmp_path: Path, name: str) -> None:
    source = sounding(tmp_path)
    written = write(tmp_path / name, pictures(100), fps=25, audio_from=source)
    assert written.sound == "copied"
    assert sound_packets(tmp_path / name) == sound_packets(source)
    assert probe(tmp_path / name).start == 0


def test_an_offset_of_the_sound_survives(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "late.mp4", 50, sound=0.5)
    write(tmp_path / "a.mp4", pictures(50), fps=25, audio_from=source)
    assert sound_packets(tmp_path / "a.mp4") == sound_packets(source)
    assert sound_packets(tmp_path / "a.mp4")[1][0] == pytest.approx(0.5, abs=MS)
    ahead = make_clip(tmp_path / "ahead.mp4", 50, ticks=[i + 10 for i in range(50)], sound=0.0)
    moments = [frame.time for frame in read(ahead)]
    assert moments[0] == pytest.approx(0.4, abs=MS)
    write(tmp_path / "b.mp4", pictures(50), times=moments, audio_from=ahead)
    assert sound_packets(tmp_path / "b.mp4") == sound_packets(ahead)
    assert [frame.time for frame in read(tmp_path / "b.mp4")] == pytest.approx(moments, abs=MS)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_cut_of_the_sound_stays_in_step(tmp_path: Path, name: str) -> None:
    source = sounding(tmp_path)
    written = write(tmp_path / name, pictures(25), fps=25, audio_from=source, audio_start=1.01)
    assert written.sound == "copied"
    original = {data: time for time, data in sound_packets(source)}
    copied = sound_packets(tmp_path / name)
    assert 45 <= len(copied) <= 52
    assert all(original[data] - 1.01 == pytest.approx(time, abs=MS) for time, data in copied)
    assert copied[-1][0] < 1.0
    info = probe(tmp_path / name)
    assert info.start == 0
    assert [frame.time for frame in read(tmp_path / name)] == pytest.approx([i / 25 for i in range(25)], abs=MS)


def test_the_sound_ends_where_it_is_told_to(tmp_path: Path) -> None:
    source = sounding(tmp_path)
    write(tmp_path / "short.mp4", pictures(50), fps=25, audio_from=source)
    assert 1.9 < sound_packets(tmp_path / "short.mp4")[-1][0] < 2.0
    write(tmp_path / "told.mp4", pictures(100), fps=25, audio_from=source, audio_end=1.0)
    assert 0.9 < sound_packets(tmp_path / "told.mp4")[-1][0] < 1.0


def levels(path: Path) -> tuple[float, np.ndarray]:
    """Length in seconds and loudness per 0.1 s of a file's sound."""
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        wave_ = np.concatenate(
            [frame.to_ndarray().astype(np.float32).mean(axis=0) for frame in container.decode(audio=0)]
        )
    block = rate // 10
    return len(wave_) / rate, np.abs(wave_[: len(wave_) // block * block]).reshape(-1, block).mean(axis=1)


def test_extending_adds_silence_and_leaves_the_packets_alone(tmp_path: Path) -> None:
    source = sounding(tmp_path)
    written = write(tmp_path / "a.mp4", pictures(150), fps=25, audio_from=source, extend_silence=2.0)
    assert written.sound == "copied"
    before, after = sound_packets(source), sound_packets(tmp_path / "a.mp4")
    assert after[: len(before)] == before
    length, loud = levels(tmp_path / "a.mp4")
    assert length == pytest.approx(6.0, abs=0.05)
    assert loud[:38].min() > 0.05
    assert loud[41:].max() < 1e-3


def test_sound_that_a_container_does_not_take_is_encoded_in_step(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "late.mp4", 100, sound=1.0)
    written = write(tmp_path / "a.webm", pictures(100), fps=25, codec="vp9", audio_from=source, extend_silence=0.5)
    assert written.sound == "encoded"
    length, loud = levels(tmp_path / "a.webm")
    assert length == pytest.approx(5.5, abs=0.1)
    assert loud[:9].max() < 1e-3
    assert loud[11:45].min() > 0.05
    assert loud[51:].max() < 1e-3


@pytest.mark.parametrize("speed", [2.0, 0.5, 0.25])
def test_sound_follows_a_change_of_speed(tmp_path: Path, speed: float) -> None:
    source = sounding(tmp_path)
    write(tmp_path / "a.mp4", pictures(10), fps=Fraction(10 * speed / 4), audio_from=source, audio_speed=speed)
    assert levels(tmp_path / "a.mp4")[0] == pytest.approx(4 / speed, rel=0.02)


def test_sound_from_a_wave_file(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 44_100, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(88_200) / 10) * 20_000).astype("<i2").tobytes())
    written = write(tmp_path / "a.mp4", pictures(25), fps=25, audio_from=tmp_path / "a.wav")
    assert written.sound == "encoded"
    assert levels(tmp_path / "a.mp4")[0] == pytest.approx(1.0, abs=0.05)


def test_a_source_without_sound_and_formats_without_sound(tmp_path: Path) -> None:
    silent, source = make_clip(tmp_path / "silent.mp4", 5), sounding(tmp_path)
    assert write(tmp_path / "a.mp4", pictures(5), fps=25, audio_from=silent).sound == "none"
    assert write(tmp_path / "a.gif", pictures(5), fps=25, codec="gif", audio_from=source).sound == "none"
    assert write(tmp_path / "frames", pictures(5), fps=25, codec="png", audio_from=source).sound == "none"


@pytest.mark.parametrize("name", ["head-a", "head-b", "person-720p", "sunset-640"])
def test_real_sound_is_copied_untouched(tmp_path: Path, test_data: Path, name: str) -> None:
    source = test_data / "clips" / f"{name}.mp4"
    info = probe(source)
    written = write(tmp_path / "a.mp4", pictures(info.frames or 0, (32, 16)), fps=info.fps, audio_from=source)
    assert written.sound == "copied"
    assert sound_packets(tmp_path / "a.mp4") == sound_packets(source)
    assert probe(tmp_path / "a.mp4").duration == pytest.approx(info.duration, abs=MS)


def test_frames_are_taken_one_by_one(tmp_path: Path) -> None:
    """No more than the encoder's look-ahead is held: frames are made as they are asked for."""
    alive = 0

    def made() -> Iterator[np.ndarray]:
        nonlocal alive
        for i in range(30):
            alive += 1
            yield picture(i)

    frames = made()
    write(tmp_path / "a.mkv", frames, fps=25, codec="ffv1")
    assert alive == 30
    assert next(frames, None) is None


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "h264"), ("a.gif", "gif"), ("frames", "png")])
@pytest.mark.parametrize("after", [0, 1, 60])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, name: str, codec: str, after: int, error: type[BaseException]
) -> None:
    target = tmp_path / name
    write(target, pictures(2), fps=25, codec=codec)

    def failing() -> Iterator[np.ndarray]:
        yield from pictures(after)
        raise error("no more")

    with pytest.raises(error):
        write(target, failing(), fps=25, codec=codec, audio_from=sounding(tmp_path))
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted([name, "source.mp4"])
    assert len(list(read(target))) == 2


def test_writing_again_replaces_what_was_there(tmp_path: Path) -> None:
    for name, codec in (("a.mp4", "h264"), ("frames", "png")):
        write(tmp_path / name, pictures(5), fps=25, codec=codec)
        write(tmp_path / name, pictures(3), fps=25, codec=codec)
        assert len(list(read(tmp_path / name))) == 3
    (tmp_path / "frames" / "notes.txt").write_text("mine")
    with pytest.raises(VideoError, match="other files"):
        write(tmp_path / "frames", pictures(3), fps=25, codec="png")
    assert (tmp_path / "frames" / "notes.txt").exists()


def test_what_does_not_fit_is_one_clear_error(tmp_path: Path) -> None:
    def fails(match: str, name: str = "a.mp4", frames: Iterator[np.ndarray] | None = None, **settings: object) -> None:
        settings = {"fps": 25} | settings
        with pytest.raises(ValueError, match=match) as error:
            write(tmp_path / name, pictures(3) if frames is None else frames, **settings)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)
        assert list(tmp_path.iterdir()) == []

    fails("choose one of h264", codec="xvid")
    fails(r"name the file \*\.mov", codec="prores")
    fails(r"name the file \*\.mp4", name="a.txt")
    fails("name of a folder", name="a.png", codec="png")
    fails("there is no folder", name="no/a.mp4")
    fails("takes 0", crf=80)
    fails("has no crf", name="a.mkv", codec="ffv1", crf=10)
    fails("no frames", frames=iter([]))
    fails("one size", frames=iter([picture(0), picture(0, 50, 50)]))
    fails("uint8 pixels", frames=iter([np.zeros((8, 8, 3))]))
    fails("uint8 pixels", frames=iter([np.zeros((8, 8), np.uint8)]))
    fails("give one of them", times=[0, 1, 2])
    fails("give one of them", fps=None)
    fails("frame rate", fps=0)
    fails("frame rate", fps="fast")
    fails("frame rate", fps=float("nan"))
    fails("more frames than the 2", fps=None, times=[0, 1])
    fails("found 3 frames for 4 times", fps=None, times=[0, 1, 2, 3])
    fails("must rise", fps=None, times=[0, 1, 1])
    fails("finite", fps=None, times=[0, 1, float("inf")])
    fails("begin at 0", fps=None, times=[-1, 0, 1])
    fails("shows at most 100", name="a.gif", codec="gif", fps=120)
    fails("apart", name="a.gif", codec="gif", fps=None, times=[0, 0.001, 0.002])
    fails("found nothing at", audio_from=tmp_path / "nothing.mp4")
    fails("speed", audio_from=tmp_path / "nothing.mp4", audio_speed=0)
    fails("after its start", audio_from=tmp_path / "nothing.mp4", audio_start=2, audio_end=1)


def test_h264_of_an_odd_size_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", pictures(3, (97, 65)), fps=25)
    info = probe(tmp_path / "a.mp4")
    assert (info.width, info.height, info.pixel_format) == (97, 65, "yuv444p")


def test_tiny_pictures(tmp_path: Path) -> None:
    for name, codec in (each for each in FILES if each[1] != "hevc"):
        frames = (np.full((16, 18, 3), 40 * i, np.uint8) for i in range(3))
        write(tmp_path / name, frames, fps=25, codec=codec)
        assert [int(frame.image.mean()) for frame in read(tmp_path / name)] == pytest.approx([0, 40, 80], abs=2)
