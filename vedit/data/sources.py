"""The videos that a data set is made from, each with a name for its clips."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from stylegan_v.data import natural_order
from vedit.errors import VeditError
from vedit.workspace import stat_of

VIDEOS = frozenset(
    ".3gp .avi .flv .gif .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .vob .webm .wmv .y4m".split()
)
IMAGES = frozenset(".avif .bmp .jpeg .jpg .png .ppm .tif .tiff .webp".split())
LONGEST_NAME = 80  # characters
MAX_LISTED = 10_000  # entries of a folder that are looked at for videos


class PreparationError(VeditError, ValueError):
    """A data set cannot be made as asked; one line says what was found, what was wanted and what to do."""


@dataclass(frozen=True)
class Source:
    """A video (or a folder of its frames), the name that its clips begin with, and the name of the folder it lies in.

    `identity` changes when the file does.
    """

    path: Path
    name: str
    group: str
    identity: str


def find_sources(paths: Sequence[Path | str], out: Path | None = None) -> list[Source]:
    """The videos at `paths`, and in folders and their sub-folders, in natural order; a folder of images is one video.

    `out`, where the clips will be, is left out, so that it may lie in one of the folders.

    Raises PreparationError where there is none.
    """
    found: list[Source] = []
    taken: set[str] = set()
    for root in map(Path, paths):
        if not root.exists():
            raise PreparationError(f"found nothing at {root}; give videos, or folders of videos")
        videos = [root] if root.is_file() else list(_videos_in(root, out))
        if not videos:
            raise PreparationError(
                f"found no video in {root}; give videos, or folders of videos ({' '.join(sorted(VIDEOS))})"
            )
        for video in videos:
            inside = video.relative_to(root) if video not in (root, Path(".")) else Path(video.resolve().name)
            name = _unused(plain(str(inside.with_suffix("") if video.is_file() else inside)), taken)
            found.append(Source(video, name, video.resolve().parent.name, _identity(video)))
    return found


def plain(text: str) -> str:
    """A name for a folder, out of a path: letters, digits, dots and dashes.

    >>> plain("Basket ball/v_01.take 2"), plain("../x")
    ('Basket_ball-v_01.take_2', 'x')
    """
    name = re.sub(r"[^\w.-]", "_", os.fsencode(text).decode(errors="replace").replace("/", "-").replace(os.sep, "-"))
    return name.strip("._-")[:LONGEST_NAME] or "video"


def _unused(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken."""
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{name}-v{number}"
    taken.add(free.casefold())
    return free


def _videos_in(folder: Path, out: Path | None) -> Iterator[Path]:
    files = sorted(
        (item for item in folder.iterdir() if not item.name.startswith(".")), key=lambda item: natural_order(item.name)
    )
    if any(item.suffix.lower() in IMAGES and item.is_file() for item in files):
        yield folder
    for item in files:
        if item.is_dir() and not item.is_symlink():
            if out is None or item.resolve() != out.resolve():
                yield from _videos_in(item, out)
        elif item.suffix.lower() in VIDEOS and item.is_file():  # no pipe, no link to nothing
            yield item


def holds_videos(path: Path) -> bool:
    """Whether there is a video where a data set is wanted, or in a folder below."""
    if path.is_dir():
        return any(file.suffix.lower() in VIDEOS for file in islice(path.rglob("*"), MAX_LISTED))
    return path.suffix.lower() in VIDEOS


def _identity(path: Path) -> str:
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file())
    text = "\n".join(f"{file.name} {stat_of(file)}" for file in files)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
