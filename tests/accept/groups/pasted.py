"""An edit pasted back into a real picture: untouched outside the crop, in pixels, sound and time; pictures of the seam."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tests.accept.shell import vedit
from tests.accept.table import Row, Setting, at_most, holds, skip
from vedit import alignment, pixels, video
from vedit.video.info import Pixels
from vedit.workspace import Workspace

ORDER = 32
CLIP, PROMPT, SECONDS, STEPS = "person-720p.mp4", "an old person", 3.0, 60
SHOWN = 4  # frames in the strip
LOSSLESS = ("bgr0", "bgra", "gbrp", "rgb24", "0rgb32")  # pixel formats that hold RGB as it is

Packet = tuple[bytes, Fraction, Fraction]


def run(setting: Setting) -> Iterator[Row]:
    source, folder = (setting.data / "clips" / CLIP).resolve(), setting.out
    if not source.is_file():
        yield skip(f"{CLIP}: --paste-back", f"{source} is absent; set VEDIT_TEST_DATA")
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seconds, steps = (0.3, 5) if setting.quick else (SECONDS, STEPS)
    project, pasted = folder / "clip.vedit", folder / "pasted.mp4"
    vedit("project", source, "-o", project, "--duration", str(seconds), "--steps", str(steps), cwd=folder, check=True)
    vedit("edit", project, "--prompt", PROMPT, "--name", "words", "--clip", setting.clip, cwd=folder, check=True)
    vedit("render", project, "--paste-back", "--codec", "ffv1", "-o", pasted, cwd=folder, check=True)
    found = video.probe(pasted).pixel_format
    yield holds(f"{CLIP}: ffv1 keeps RGB as it is", " or ".join(LOSSLESS), found, found in LOSSLESS)
    yield from same_pixels(source, pasted, Workspace.open(project), folder)
    yield same_sound(source, pasted, Workspace.open(project).info["end"])


def same_pixels(source: Path, pasted: Path, workspace: Workspace, folder: Path) -> Iterator[Row]:
    """Every decoded frame against the source's, and their times; pictures on the way."""
    times, crops = workspace.info["times"], np.asarray(workspace.info["crops"])
    shown = set(np.linspace(0, len(times) - 1, SHOWN).round().astype(int).tolist())
    count = outside = changed = inside = late = 0
    edge, rows = 0.0, []
    for index, (wanted, got) in enumerate(zip(video.read(source), video.read(pasted), strict=False)):
        beyond = fractions(crops[index], wanted.image.shape) <= 0
        steps = np.abs(wanted.image.astype(int) - got.image.astype(int)).max(axis=2)
        outside += int(beyond.sum())
        changed += int((steps[beyond] > 0).sum())
        inside += int((steps[~beyond] > 0).sum())
        late += got.time != wanted.time
        rim = functional.max_pool2d(torch.from_numpy(beyond)[None].float(), 3, 1, 1)[0].numpy().astype(bool) & ~beyond
        edge = max(edge, float(steps[rim].max(initial=0)))
        if index == 0:
            pixels.save_png(folder / "difference.png", difference(wanted.image, got.image))
            pixels.save_png(folder / "seam.png", seam(wanted.image, got.image, crops[0]))
        if index in shown:
            rows += [wanted.image, got.image]
        count += 1
    pixels.save_png(folder / "strip.png", np.concatenate([np.concatenate(rows[0::2], axis=1), np.concatenate(rows[1::2], axis=1)])[::2, ::2])
    figure = f"{changed} of {outside} pixels of {count} frames differ ({inside} inside do)"
    yield holds(f"{CLIP}: outside the crop", "every pixel as decoded", figure, changed == 0 and inside > 0 and count == len(times))
    yield holds(f"{CLIP}: frame times", "identical", f"{late} of {count} differ; {count} of {len(times)} frames", late == 0 and count == len(times))
    yield at_most(f"{CLIP}: change of the outermost pixels inside the crop, of 255", edge, 1)


def fractions(crop: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """How far inside a crop [2, 3] every pixel's centre is, [H, W], as a fraction of its side; not above 0 outside."""
    inverse = alignment.invert(crop)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    u = np.stack([inverse[row, 0] * x + inverse[row, 1] * y + inverse[row, 2] for row in (0, 1)])
    return np.minimum(u, 1 - u).min(axis=0)


def difference(wanted: Pixels, got: Pixels) -> Pixels:
    """What was changed, fourfold, on grey."""
    return (128 + 4 * (got.astype(int) - wanted.astype(int))).clip(0, 255).astype(np.uint8)


def seam(wanted: Pixels, got: Pixels, crop: NDArray[np.float64], margin: float = 0.15) -> Pixels:
    """The crop and some of what surrounds it, twice as large: source, edit and difference."""
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) @ crop[:, :2].T + crop[:, 2]
    reach = margin * (corners.max(axis=0) - corners.min(axis=0))
    left, top = np.maximum(corners.min(axis=0) - reach, 0).astype(int)
    right, bottom = (corners.max(axis=0) + reach).astype(int)
    parts = [image[top:bottom, left:right] for image in (wanted, got, difference(wanted, got))]
    return np.concatenate(parts, axis=1).repeat(2, axis=0).repeat(2, axis=1)


def same_sound(source: Path, pasted: Path, end: float) -> Row:
    """The sound's packets, of the source until the clip's end, in bytes, pts and dts in seconds."""
    wanted, found = ([packet for packet in sound(path) if packet[1] < end] for path in (source, pasted))
    late = len(sound(pasted)) - len(found)
    same = sum(a == b for a, b in zip(wanted, found, strict=False))
    figure = f"{same} of {len(wanted)} packets identical in bytes, pts and dts; {late} beyond the clip's end"
    return holds(f"{CLIP}: sound", "every packet", figure, same == len(wanted) == len(found) and late <= 1)


def sound(path: Path) -> list[Packet]:
    """Every sound packet: bytes, pts and dts in seconds, exactly."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [
            (bytes(packet), packet.pts * packet.time_base, packet.dts * packet.time_base)
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None and packet.dts is not None
        ]
