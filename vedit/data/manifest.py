"""prepared.json: what a data set was made of and how, as `vedit data prepare` and `vedit data synth` write it beside the clips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stylegan_v.archive import Archive, DataError, Entry, open_archive
from stylegan_v.data import ClipDataset

MANIFEST = "prepared.json"
# Bytes that are read of it: for scenes and videos that were left out, and for each clip, which takes some four hundred. JSON takes up to
# twenty-four times as much memory as text, and a zip from anywhere may hold gigabytes of it in a few kilobytes.
MANIFEST_ROOM, CLIP_ROOM = 8 << 20, 4 << 10


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
