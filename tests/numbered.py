"""Clips for tests, made with PyAV alone: each frame carries its number, and a colour in each corner tells which way is up."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vedit.video import Frame, read

RED, GREEN, BLUE, YELLOW, GREY = (220, 40, 40), (40, 200, 60), (50, 60, 220), (220, 210, 40), (128, 128, 128)
MS = 1e-3
CORNERS = (RED, GREEN, BLUE, YELLOW)  # top left, top right, bottom left, bottom right


def picture(number: int, width: int = 96, height: int = 64) -> np.ndarray:
    """Eight black or white stripes in the middle spell the number (0 to 255); the corners are coloured."""
    image = np.full((height, width, 3), GREY, np.uint8)
    top, left = height // 4, width // 4
    for corner, (y, x) in zip(CORNERS, ((0, 0), (0, width - left), (height - top, 0), (height - top, width - left))):
        image[y : y + top, x : x + left] = corner
    edges = np.linspace(left, width - left, 9).round().astype(int)
    for bit in range(8):
        image[2 * top : 3 * top, edges[bit] : edges[bit + 1]] = 255 * (number >> bit & 1)
    return image


def number(image: np.ndarray) -> int:
    """The number that a picture carries."""
    height, width = image.shape[:2]
    top, left = height // 4, width // 4
    edges = np.linspace(left, width - left, 9)
    row = image[5 * top // 2 - 1 : 5 * top // 2 + 1].mean(axis=(0, 2))
    return sum(int(row[int((edges[bit] + edges[bit + 1]) / 2)] > 128) << bit for bit in range(8))


def corners(image: np.ndarray) -> list[tuple[int, int, int]]:
    """The nearest known colour in each corner: top left, top right, bottom left, bottom right."""
    y, x = image.shape[0] // 10, image.shape[1] // 10
    found = [image[y, x], image[y, -x - 1], image[-y - 1, x], image[-y - 1, -x - 1]]
    return [min(CORNERS, key=lambda corner: np.abs(np.array(corner) - pixel).sum()) for pixel in found]


def make_clip(
    path: Path,
    count: int = 12,
    *,
    size: tuple[int, int] = (96, 64),
    rate: Fraction = Fraction(25),
    ticks: Sequence[int] | None = None,
    base: Fraction | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    format: str | None = None,
    rotation: tuple[int, bool] | None = None,
    aspect: Fraction | None = None,
    sound: float | None = None,
    sound_codec: str = "aac",
    options: dict[str, str] | None = None,
    muxer: dict[str, str] | None = None,
    flags: int = 0,
) -> Path:
    """Write a clip. `ticks` in `base` seconds set the times; `sound` adds a tone that begins at that second; `rotation` is a tag."""
    output = av.open(str(path), "w", format=format, container_options=muxer or {})
    video = output.add_stream(codec, rate=rate, options={"crf": "10"} if options is None else options)
    video.width, video.height, video.pix_fmt = *size, pixel_format
    video.codec_context.time_base = base or 1 / rate
    video.codec_context.thread_count = 1  # the bytes are the same whatever the machine's cores
    if aspect is not None:
        video.codec_context.sample_aspect_ratio = aspect
    if rotation is not None:
        video.set_display_rotation(rotation[0], hflip=rotation[1])
    if flags:
        video.codec_context.flags |= flags
    tone = output.add_stream(sound_codec, rate=48_000, layout="mono") if sound is not None else None
    output.start_encoding()
    if tone is not None:
        write_tone(output, tone, sound or 0.0, float(count / rate))
    for i in range(count):
        frame = av.VideoFrame.from_ndarray(picture(i, *size), format="rgb24").reformat(format=pixel_format)
        frame.pts, frame.time_base = i if ticks is None else ticks[i], base or 1 / rate
        output.mux(video.encode(frame))
    output.mux(video.encode(None))
    output.close()
    return path


def write_tone(output: av.container.OutputContainer, stream: av.AudioStream, start: float, length: float) -> None:
    """Encode `length` seconds of a 440 Hz tone that begins at second `start`."""
    rate, block = stream.rate, stream.codec_context.frame_size or 1024
    form = stream.codec_context.format.name
    for i in range(int(length * rate) // block):
        wave = 0.3 * np.sin(2 * np.pi * 440 * (np.arange(block) + i * block) / rate)
        kinds = {"flt": (1, np.float32), "s16": (2**15, np.int16), "s32": (2**31, np.int32)}
        scale, kind = kinds[form.removesuffix("p")]
        samples = (wave * scale).astype(kind)
        frame = av.AudioFrame.from_ndarray(samples[None], format=form, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, round(start * rate) + i * block, Fraction(1, rate)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def sound_packets(path: Path) -> list[tuple[float, bytes]]:
    """Time in seconds and bytes of every sound packet."""
    with av.open(str(path)) as container:
        return [(float(p.pts * p.time_base), bytes(p)) for p in container.demux(audio=0) if p.size]


def frames(path: Path, **window: float) -> list[Frame]:
    """All frames of a file; any warning is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return list(read(path, **window))


def numbers(found: list[Frame]) -> list[int]:
    """The numbers that frames carry."""
    return [number(frame.image) for frame in found]
