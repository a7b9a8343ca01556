"""A data set of clips that a procedural world draws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch

from stylegan_v.streams import stream
from vedit.data.manifest import MANIFEST
from vedit.data.prepare import Prepared
from vedit.data.sources import PreparationError
from vedit.data.store import Store, key_of, save_frame
from vedit.pixels import to_pixels
from vedit.progress import Progress, Task
from vedit.worlds import world
from vedit.worlds.base import World

VERSION = 1  # of the way clips are drawn
CHUNK = 16  # frames drawn at a time
MAX_CLIPS, MAX_FRAMES, MAX_SIZE = 1_000_000, 100_000, 4096


def synth(
    name: str,
    out: Path | str,
    *,
    clips: int = 100,
    frames: int = 64,
    size: int = 64,
    seed: int = 0,
    format: Literal["jpg", "png"] = "jpg",
    quality: int = 95,
    overwrite: bool = False,
) -> Task[Prepared]:
    """Draw `clips` clips of `frames` frames of a world, attributes and motion at random, as a folder or zip that training reads.

    Clip i depends on seed and i alone. A killed run goes on where it was. Raises UnknownWorld, and PreparationError for numbers that
    make no sense and an `out` that holds something else.
    """
    place = world(name)
    for what, value, least, most in (
        ("clips", clips, 1, MAX_CLIPS),
        ("frames", frames, 1, MAX_FRAMES),
        ("size", size, 4, MAX_SIZE),
    ):
        if not least <= value <= most:
            raise PreparationError(f"found {what} {value}; wanted {least} to {most}")
    if format not in ("jpg", "png") or not 1 <= quality <= 100 or seed < 0:
        raise PreparationError(
            f"found format {format!r}, quality {quality}, seed {seed}; wanted jpg or png, 1 to 100, and 0 or more"
        )
    settings = {"world": name, "frames": frames, "size": size, "seed": seed, "format": format, "quality": quality}
    key = key_of(settings | {"clips": clips, "version": VERSION})
    store = Store(Path(out))
    manifest = store.finished(key, overwrite)
    if manifest is None:
        made = []
        for i in range(clips):
            part = key_of(settings | {"clip": i, "version": VERSION})
            if store.part(part) is None:
                _draw(place, store.begin(part) / _name(i), settings, i)
                store.finish(part, {})
            made.append((part, _name(i)))
            yield Progress("draw", i + 1, clips)
        listed = [
            {"name": clip, "frames": frames, "fps": place.fps, "source": f"world {name}, seed {seed}, clip {i}"}
            for i, (_, clip) in enumerate(made)
        ]
        nothing: dict[str, Any] = {"left_out": [], "duplicates": [], "notes": [], "classes": []}
        manifest = {"key": key, "settings": settings, "clips": listed, **nothing}
        yield from store.assemble(made, {MANIFEST: json.dumps(manifest, indent=1)})
    return Prepared.of(store.out, manifest)


def _name(clip: int) -> str:
    return f"clip-{clip:06d}"


def _draw(place: World, folder: Path, settings: dict[str, Any], clip: int) -> None:
    """Write the frames of a clip."""
    rng = stream(settings["seed"], clip)
    attributes = place.random_attributes(1, rng)
    motion = place.random_motion(torch.arange(settings["frames"]).float()[None], rng)
    folder.mkdir()
    for first in range(0, settings["frames"], CHUNK):
        drawn = to_pixels(place.draw_clips(attributes, motion[:, first : first + CHUNK], settings["size"])[0])
        for i, frame in enumerate(drawn):
            save_frame(frame, folder, first + i, settings["format"], settings["quality"])
