"""The built-in generators against their worlds: held-out PSNR, motion, sharpness, fid-squeeze, grids to look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from stylegan_v import Generator
from stylegan_v.metrics.frechet import statistics
from tests.accept import footage
from tests.accept.table import Row, Setting, skip, stated
from vedit import models, pixels, scores, video
from vedit.perceptual.squeeze_features import SqueezeFeatures
from vedit.perceptual.weights import MissingWeights
from vedit.worlds import NAMES, World, world

ORDER = 60
FRAMES = 48


def run(setting: Setting) -> Iterator[Row]:
    for name in NAMES:
        named = {models.GENERATOR_OF[name]: models.GENERATOR_OF[name]} | {
            path.stem: str(path) for path in setting.beside if path.name.startswith(name)
        }
        for label, where in named.items():
            generator, place = models.load_generator(where), world(name)
            real, fake = held_out(generator, place, setting.count(32))
            yield paired_figures(label, real, fake)
            yield distribution(label, generator, place, setting.count(4096, 128))
            grids(setting.out, label, generator, place, real, fake)


@torch.no_grad()
def held_out(generator: Generator, place: World, clips: int) -> tuple[Tensor, Tensor]:
    """The world's clips and the generator's [N, T, 3, H, W] of the same z and motion_z, none of which a training saw."""
    real, fake = [], []
    t = torch.arange(float(FRAMES))[None]
    for seed in range(clips):
        rng = torch.Generator().manual_seed(footage.HELD_OUT + 500 + seed)
        z = torch.randn(1, place.z_dim, generator=rng)
        motion_z = torch.randn(1, generator.num_motion_codes(float(FRAMES)), place.motion_z_dim, generator=rng)
        real.append(place.clips(z, t, motion_z, generator.cfg.resolution))
        fake.append(generator.synthesis(generator.mapping(z), t, motion_z).clamp(-1, 1))
    return torch.cat(real), torch.cat(fake)


def paired_figures(label: str, real: Tensor, fake: Tensor) -> Row:
    """Medians over held-out clips."""
    reports = [scores.report(a, b, footage.distances("lpips-alex")) for a, b in zip(real, fake, strict=True)]

    def median(name: str) -> float:
        return sorted(getattr(report, name) for report in reports)[len(reports) // 2]

    figures = [f"PSNR {median('psnr'):.1f} dB", f"motion correlation {median('motion_correlation'):.2f}"]
    figures += [f"motion ratio {median('motion_ratio'):.2f}", f"sharpness {median('sharpness'):.2f}"]
    if "lpips-alex" in reports[0].perceptual:
        figures.append(f"lpips-alex {sorted(r.perceptual['lpips-alex'] for r in reports)[len(reports) // 2]:.4f}")
    return stated(
        f"{label}: {len(reports)} held-out paired clips, medians",
        ", ".join(figures),
        reports=[r.to_dict() for r in reports],
    )


@torch.no_grad()
def distribution(label: str, generator: Generator, place: World, frames: int) -> Row:
    """Fréchet distance of SqueezeNet features between the world's paired frames and the generator's, other draws on each side."""
    try:
        features = SqueezeFeatures()
    except MissingWeights as missing:
        return skip(f"{label}: fid-squeeze", str(missing))

    def batches(seed: int, source: World | Generator) -> Iterator[Tensor]:
        rng = torch.Generator().manual_seed(footage.HELD_OUT + seed)
        for _ in range(frames // 64):
            z, t = torch.randn(64, place.z_dim, generator=rng), torch.rand(64, 1, generator=rng) * 16
            motion_z = torch.randn(64, generator.num_motion_codes(16.0), place.motion_z_dim, generator=rng)
            size = generator.cfg.resolution
            clips = (
                source.synthesis(source.mapping(z), t, motion_z)
                if isinstance(source, Generator)
                else source.clips(z, t, motion_z, size)
            )
            yield clips.flatten(0, 1).clamp(-1, 1)

    real = statistics(batches(10_000, place), features)
    floor = real.distance(statistics(batches(20_000, place), features))
    figure = real.distance(statistics(batches(30_000, generator), features))
    return stated(
        f"{label}: fid-squeeze, {frames} frames a side",
        f"{figure:.2f} (the world against itself {floor:.2f})",
        fid=figure,
        floor=floor,
    )


@torch.no_grad()
def grids(folder: Path, label: str, generator: Generator, place: World, real: Tensor, fake: Tensor) -> None:
    """`LABEL-pairs.png` (world above generator), `LABEL-5x5.mp4` and `.png`: 25 sampled clips to look at."""
    rows = [row for a, b in zip(real[:6], fake[:6], strict=True) for row in (a, b)]
    footage.strip(folder / f"{label}-pairs.png", rows)
    clips = torch.stack([footage.sampled_clip(generator, 800 + seed, FRAMES) for seed in range(25)])
    sheets = [pixels.tile(pixels.to_pixels(clips[:, i]), columns=5, gap=2) for i in range(FRAMES)]
    even = [sheet[: sheet.shape[0] // 2 * 2, : sheet.shape[1] // 2 * 2] for sheet in sheets]
    video.write(folder / f"{label}-5x5.mp4", iter(even), fps=generator.fps)
    pixels.save_png(folder / f"{label}-5x5.png", sheets[0])
