"""A data set read through once before a training begins: what is broken is found then, and not by a step an hour in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from stylegan_v.archive import DataError
from stylegan_v.data import ClipDataset
from vedit import models
from vedit.progress import Progress, Task

TOGETHER = 64  # frames that wait for a thread


def read_through(dataset: ClipDataset, clips: Sequence[int], workers: int = 1) -> Task[None]:
    """Decode every frame of these clips in `workers` threads; raises DataError that names the first one which cannot be trained on."""
    places = ((clip, frame) for clip in clips for frame in range(dataset.lengths[clip]))
    total, broken = sum(dataset.lengths[clip] for clip in clips), []
    with ThreadPoolExecutor(max(1, workers), "read") as pool:
        done = 0
        while batch := list(islice(places, TOGETHER * max(1, workers))):
            broken += [error for error in pool.map(lambda place: _broken(dataset, *place), batch) if error]
            done += len(batch)
            yield Progress("read", done, total)
    if broken:
        more = f" (and {len(broken) - 1} more such frames)" if len(broken) > 1 else ""
        raise DataError(f"{broken[0]}{more}; put whole frames in their place or remove those clips; `vedit data check {dataset.path}` lists all")


def _broken(dataset: ClipDataset, clip: int, frame: int) -> str:
    try:
        dataset.frames(clip, [frame])
    except DataError as error:
        return str(error)
    return ""


def known_whole(dataset: ClipDataset, clips: Sequence[int]) -> bool:
    """Whether these clips were read through before, unchanged since (names, sizes, and CRCs or times of change)."""
    return _mark(dataset, clips).is_file()


def remember_whole(dataset: ClipDataset, clips: Sequence[int]) -> None:
    """Note that these clips were read through; a cache that cannot be written is done without."""
    mark = _mark(dataset, clips)
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError:
        return


def _mark(dataset: ClipDataset, clips: Sequence[int]) -> Path:
    text = f"{dataset.hash} {dataset.resolution} {','.join(map(str, clips))}"
    return models.checked_dir() / hashlib.sha256(text.encode()).hexdigest()[:32]

