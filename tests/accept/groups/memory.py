"""Peak memory of projecting a long clip against a short one, with every stage there is (on request: ten times the frames take their time)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from tests.accept import footage
from tests.accept.groups.speed import measured
from tests.accept.table import Row, Setting, at_most, stated
from vedit import models, pixels, video
from vedit.video.info import Pixels
from vedit.worlds import world

ORDER = 92
ON_REQUEST = True
SHORT, LONG, SIZE = 200, 2000, 256
STEPS, GROWTH = 20, 10.0  # per cent
CHUNK = 20  # frames drawn at a time


def run(setting: Setting) -> Iterator[Row]:
    shutil.rmtree(setting.out, ignore_errors=True)
    setting.out.mkdir(parents=True)
    found = {}
    for frames in (20, 60) if setting.quick else (SHORT, LONG):
        clip = write_world(setting.out / f"{frames}.mp4", frames)
        arguments = ("-g", models.GENERATOR_OF["portraits"], "--fidelity", "max", "--steps", "2" if setting.quick else str(STEPS))
        used = measured("project", clip.resolve(), "-o", f"{frames}.vedit", *arguments, out=setting.out.resolve())
        yield stated(f"projection of {frames} frames of {SIZE}², --fidelity max --steps {STEPS}", f"peak {used.peak / 1e6:.0f} MB, {used.cpu:.0f} CPU-seconds")
        found[frames] = used.peak
    (short, few), (long, many) = found.items()
    yield at_most(f"peak memory of projecting {long} frames over that of {short}", 100 * (many / few - 1), GROWTH, " %", peaks=found)


def write_world(path: Path, frames: int) -> Path:
    """A portrait of the world that moves for so many frames, drawn a few at a time."""
    place, rng = world("portraits"), torch.Generator().manual_seed(footage.HELD_OUT + 40)
    attributes = place.random_attributes(1, rng)
    motion = place.random_motion(torch.arange(float(frames))[None], rng)

    def pictures() -> Iterator[Pixels]:
        for part in motion.split(CHUNK, dim=1):
            yield from pixels.to_pixels(place.draw_clips(attributes, part, SIZE)[0]).numpy()

    video.write(path, pictures(), fps=25)
    return path
