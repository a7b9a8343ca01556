"""prepared.json: what a data set was made of and how, as `vedit data prepare` and `vedit data synth` write it beside the clips."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stylegan_v.archive import Archive, DataError, Entry, open_archive
from stylegan_v.data import ClipDataset

MANIFEST = "prepared.json"
# Bytes that are read of it: for scenes and videos that were left out, and for each clip, which takes some four hundred. JSON takes up to
# twenty-four times as much memory as text, and a zip from anywhere may hold gigabytes of it in a few kilobytes.
MANIFEST_ROOM, CLIP_ROOM = 8 << 20, 4 << 10

RATES_DIFFER = 0.02  # by more than this share


def read_manifest(path: Path) -> dict[str, Any] | None:
    """What prepared.json of the data set at `path` says, None where there is none that can be read."""
    try:
        archive = open_archive(path)
        try:
            entries = archive.entries()
            return _read(archive, entries, len({entry.name.rpartition("/")[0] for entry in entries}))
        finally:
            archive.close()
    except DataError:
        return None


def manifest_of(clips: ClipDataset) -> dict[str, Any] | None:
    """What prepared.json of a data set says, None where there is none; raises DataError where it is damaged, or too large for these clips."""
    return _read(clips.archive, clips.others, len(clips))


def _read(archive: Archive, entries: Sequence[Entry], clips: int) -> dict[str, Any] | None:
    entry = next((entry for entry in entries if entry.name == MANIFEST), None)
    if entry is None:
        return None
    if entry.size > (most := MANIFEST_ROOM + CLIP_ROOM * clips):
        remedy = "put the real one in its place, or remove it: a training can do without"
        raise DataError(f"{archive.path}: {MANIFEST} declares {entry.size} bytes, at most {most} are read for {clips} clips; {remedy}")
    try:
        found = json.loads(archive.read(entry, most))
    except DataError:
        raise
    except (ValueError, RecursionError):  # somebody else's file of that name
        return None
    return found if isinstance(found, dict) else None


def rate_remark(manifest: dict[str, Any] | None, fps: float) -> str:
    """What is said of clips that run at another rate than a generator's clock, "" where they do not, or where their rates are not known.

    >>> rate_remark({"clips": [{"fps": 25.0}, {"fps": 24.0}]}, 24)
    "runs at 24 to 25 frames/s, the generator's clock at 24: what it makes would play at another speed; prepare the clips with --fps 24"
    """
    clips = (manifest or {}).get("clips")
    rates = sorted(_rates(clips)) if isinstance(clips, list) else []
    if not rates or max(rates[-1] / fps, fps / rates[0]) < 1 + RATES_DIFFER:
        return ""
    found, remedy = f"{rates[0]:g} to {rates[-1]:g}", f"prepare the clips with --fps {fps:g}"
    if rates[-1] / rates[0] < 1 + RATES_DIFFER:
        found, remedy = f"{rates[0]:g}", f"--set game.generator.fps={rates[0]:g}, or {remedy}"
    return f"runs at {found} frames/s, the generator's clock at {fps:g}: what it makes would play at another speed; {remedy}"


def _rates(clips: list[Any]) -> Iterator[float]:
    """The rates of the clips that tell one."""
    for clip in clips:
        fps = clip.get("fps") if isinstance(clip, dict) else None
        if isinstance(fps, int | float) and 0 < fps < 1e6:
            yield float(fps)
