"""Every second frame left out, clip by clip: world clips and real ones, tuned, upsampled ×2 against the neighbours' average.

Twice: in the source's picture (`--paste-back`), where detail comes from the frames on either side and movement from the latents, which
is how a person asks for more frames of a clip; and from latents alone, whose distance holds the reconstruction's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tests.accept import footage
from tests.accept.groups.upsample import Contest
from tests.accept.projecting import project_frames
from tests.accept.table import Row, Setting, holds, skip, stated
from vedit import alignment, models, pixels, video
from vedit.progress import finish
from vedit.projection import Footage
from vedit.rendering import render
from vedit.workspace import Workspace
from vedit.worlds import NAMES

ORDER = 52
FRAMES, REAL_FRAMES, CLIPS = 48, 96, 4
REAL = {"head-a.mp4": "portraits", "head-b.mp4": "portraits", "clouds-960.mp4": "skies", "sunset-640.mp4": "skies"}

WAYS = {"pasted": "in the source’s picture", "latent": "from latents alone"}


@dataclass(frozen=True)
class Contests:
    """One for clips rendered in the source's picture, one for clips from latents alone."""

    pasted: Contest
    latent: Contest


def run(setting: Setting) -> Iterator[Row]:
    distances = footage.distances("lpips-alex", "lpips-squeeze")
    if not distances:
        yield skip("every second frame left out", "LPIPS weights are absent; set VEDIT_MODEL_PATH")
        return
    for name in NAMES:
        contests, count = Contests(Contest(), Contest()), setting.count(FRAMES, 12)
        clips = [f"{name}-{seed}" for seed in range(CLIPS)]
        for clip in setting.chosen(clips)[: setting.count(CLIPS)]:
            frames = footage.world_clip(name, 200 + int(clip.rsplit("-", 1)[1]), count)
            yield from one_clip(setting, clip, frames, 25, models.GENERATOR_OF[name], distances, contests)
        if contests.pasted.rows:
            for measure in distances:
                what = f"held-out clips of the world {name}, {measure}"
                better, told = contests.pasted.figures(measure)
                yield holds(f"{what}, in the source’s picture", "lower (mean)", told, better)
                yield stated(f"{what}, from latents alone", contests.latent.figures(measure)[1])
    for clip in setting.chosen(list(REAL)):
        source = setting.data / "clips" / clip
        if not source.is_file():
            yield skip(f"{clip}: every second frame left out", f"{source} is absent; set VEDIT_TEST_DATA")
            continue
        name = models.GENERATOR_OF[REAL[clip]]
        frames, rate = first_frames(source, setting.count(REAL_FRAMES, 12), models.load_generator(name).cfg.resolution)
        yield from one_clip(setting, clip, frames, rate, name, distances, Contests(Contest(), Contest()))


def one_clip(
    setting: Setting, clip: str, frames: Tensor, rate: float, generator: str, distances: footage.Distances, all_clips: Contests
) -> Iterator[Row]:
    """The contests over frames [T, 3, S, S]: left-out ones, ours and averages in `CLIP-pasted.png`, `CLIP-latent.png`; also counted into `all_clips`."""
    folder = setting.out / Path(clip).stem
    found = project_frames(folder, frames[::2], generator, fps=rate / 2, factor=2, steps=setting.steps, fidelity="max")
    between = finish(render(Workspace.open(found.folder), factor=2, paste_back=True, codec="ffv1", out=folder / "pasted.mkv"))
    for way, upsampled in (("pasted", footage.read_clip(between)[0]), ("latent", found.render)):
        contest = Contest()
        for each in (contest, getattr(all_clips, way)):
            each.add(frames, upsampled, distances)
        footage.strip(setting.out / f"{folder.name}-{way}.png", contest.rows)
        for name in distances:
            check = f"{clip}: every second of {len(frames)} frames left out, --fidelity max, ×2 against the neighbours’ average, {WAYS[way]}, {name}"
            yield stated(check, contest.figures(name)[1])


def first_frames(source: Path, count: int, size: int) -> tuple[Tensor, float]:
    """The first frames [T, 3, size, size] of a clip in the crop that `vedit project` gives the whole of them, and its frame rate."""
    rate = float(video.probe(source).fps)
    part = Footage(source, duration=(count - 0.5) / rate)
    crops = alignment.find_crops(part, "auto")
    cropped = [alignment.extract(frame.image, matrix, size) for matrix, frame in zip(crops.matrices, part, strict=True)]
    return pixels.from_pixels(torch.stack(cropped)), rate
