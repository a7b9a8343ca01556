"""The codecs that can be written, what they are good for, and the containers that take them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vedit.video.info import VideoError


@dataclass(frozen=True)
class Codec:
    """How one codec is written. `odd_format` is the pixel format for odd sizes, None where `pixel_format` takes them; `least` pixels is the
    shortest side."""

    name: str
    encoder: str
    suffixes: tuple[str, ...]  # of the files that can hold it; the first is the default
    pixel_format: str
    odd_format: str | None = None
    crf: int | None = None  # the default quality; None where there is no such setting
    max_crf: int = 51
    options: dict[str, str] = field(default_factory=dict)
    tag: str | None = None
    rgb: bool = False  # stored as RGB, without a colour matrix
    least: int = 1
    reorders: bool = False  # stores frames out of order unless told not to


CODECS = {
    codec.name: codec
    for codec in (
        Codec("h264", "libx264", (".mp4", ".mov", ".mkv"), "yuv420p", "yuv444p", crf=14, reorders=True),
        Codec(
            "hevc",
            "libx265",
            (".mp4", ".mov", ".mkv"),
            "yuv420p",
            "yuv444p",
            crf=18,
            options={"x265-params": "log-level=error"},
            tag="hvc1",
            least=64,  # x265 writes outside its memory for less
            reorders=True,
        ),
        Codec("av1", "libsvtav1", (".mp4", ".mkv", ".webm"), "yuv420p", crf=22, max_crf=63, options={"preset": "8"}),
        Codec(
            "vp9",
            "libvpx-vp9",
            (".webm", ".mkv", ".mp4"),
            "yuv420p",
            crf=20,
            max_crf=63,
            options={"b": "0", "cpu-used": "4", "row-mt": "1"},
        ),
        Codec("prores", "prores_ks", (".mov", ".mkv"), "yuv422p10le", options={"profile": "3", "vendor": "apl0"}),
        Codec("ffv1", "ffv1", (".mkv", ".mp4"), "bgr0", options={"level": "3", "slicecrc": "1"}, rgb=True),
        Codec("gif", "gif", (".gif",), "pal8", rgb=True),
        Codec("png", "png", ("",), "rgb24", rgb=True),
    )
}

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".gif": "gif"}
"""The muxer of each suffix."""


def find_codec(name: str) -> Codec:
    """The codec of that name; VideoError lists those there are.

    >>> find_codec("ffv1").suffixes[0]
    '.mkv'
    """
    if name not in CODECS:
        raise VideoError(f"found the codec {name!r}; choose one of {', '.join(CODECS)}")
    return CODECS[name]


def check_path(codec: Codec, path: Path) -> None:
    """Raise VideoError unless a file of this name can hold the codec."""
    if codec.name == "png":
        if path.is_file() or path.suffix.lower() == ".png":
            raise VideoError(
                f"found {path} for the codec png, which writes a folder of frames; give the name of a folder"
            )
    elif path.suffix.lower() not in codec.suffixes:
        raise VideoError(
            f"{codec.name} cannot be written to {path.name}; name the file *{' or *'.join(codec.suffixes)}, or choose another codec"
        )
    elif path.is_dir():
        raise VideoError(f"{path} is a folder; give the name of a file")


def check_crf(codec: Codec, crf: float | None) -> float | None:
    """The quality to write with: `crf` when it is allowed, else the codec's default; VideoError where it has none or is out of range.

    >>> check_crf(find_codec("h264"), None), check_crf(find_codec("prores"), None)
    (14, None)
    """
    if crf is None:
        return codec.crf
    if codec.crf is None:
        raise VideoError(f"{codec.name} has no crf; leave it out, or choose h264, hevc, av1 or vp9")
    if not 0 <= crf <= codec.max_crf:
        raise VideoError(f"found crf {crf:g}; {codec.name} takes 0 (best) to {codec.max_crf} (smallest)")
    return crf
