"""The built-in perceptual distance against LPIPS (alex), on held-out frames of worlds, real clips and generators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from tests.accept import footage
from tests.accept.table import Row, Setting, at_least, skip, stated
from tests.distortions import KINDS, distorted
from vedit import alignment, models, perceptual, pixels, video
from vedit.directions import random_frames
from vedit.scores import psnr_per_frame
from vedit.worlds import NAMES

ORDER = 25
SIZE, PER_KIND = 64, 120  # of the frames; copies of every kind of distortion, from each place
OVERALL, WITHIN, ORDERED = 0.85, 0.7, 75.0  # Spearman, Spearman, per cent
ALIKE = 0.5  # dB: PSNR of two copies that counts as equal

Measured = dict[str, tuple[Tensor, Tensor, Tensor]]
"""By kind of distortion: LPIPS [N], the built-in distance [N] and PSNR [N] of copies."""


def run(setting: Setting) -> Iterator[Row]:
    if not perceptual.available("lpips-alex"):
        yield skip("built-in distance against LPIPS (alex)", "AlexNet's weights are absent; set VEDIT_MODEL_PATH")
        return
    places, all_places = dict(sources(setting)), Path(setting.data / "clips").is_dir()
    if not all_places:
        yield skip("frames of real clips", f"{setting.data / 'clips'} is absent; set VEDIT_TEST_DATA")
    found = {name: measured(frames, setting.count(PER_KIND, 12)) for name, frames in places.items()}
    together = {kind: joined([each[kind] for each in found.values()]) for kind in KINDS}
    lpips, own, _ = joined(list(together.values()))
    yield at_least(f"Spearman over {len(own)} held-out pairs ({', '.join(places)})", rank(lpips, own), OVERALL)
    within = {kind: rank(*parts[:2]) for kind, parts in together.items()}
    yield at_least(f"Spearman within each family of distortions ({listed(within)})", list(within.values()), WITHIN, families=within)
    yield ordered("pairs of equal PSNR, of any two families, in the same order", joined(list(together.values())))
    for name, each in found.items():
        parts = {kind: rank(*each[kind][:2]) for kind in KINDS}
        yield stated(f"{name}: Spearman", f"{rank(*joined(list(each.values()))[:2]):.2f} ({listed(parts)})")


def sources(setting: Setting) -> Iterator[tuple[str, Tensor]]:
    """Frames [N, 3, 64, 64] that no distance was fitted on, by where they are from."""
    for name in NAMES:
        clips = [footage.world_clip(name, 300 + seed, 24, SIZE)[::8] for seed in range(setting.count(16, 4))]
        yield f"world {name}", torch.cat(clips)
    for name in NAMES:
        built_in, rng = models.GENERATOR_OF[name], torch.Generator().manual_seed(footage.HELD_OUT + 310)
        frames = random_frames(models.load_generator(built_in), setting.count(48, 12), rng)[1]
        yield f"generator {built_in}", footage.eight_bit(frames.clamp(-1, 1))
    for path in sorted((setting.data / "clips").glob("*.mp4")):
        yield path.stem, squares(path, torch.Generator().manual_seed(footage.HELD_OUT + 320))


def squares(path: Path, rng: torch.Generator, moments: int = 6, each: int = 3) -> Tensor:
    """Upright squares of random size and place in frames of a clip, [moments · each, 3, 64, 64]."""
    total, found = video.probe(path).frames or 100, []
    for index, frame in enumerate(video.read(path)):
        if index % max(1, total // moments) == 0:
            height, width = frame.image.shape[:2]
            for share, x, y in torch.rand(each, 3, generator=rng, dtype=torch.float64).tolist():
                side = min(height, width) * (0.4 + 0.6 * share)
                matrix = np.array([[side, 0, x * (width - side)], [0, side, y * (height - side)]])
                found.append(alignment.extract(frame.image, matrix, SIZE))
    return pixels.from_pixels(torch.stack(found))


@torch.no_grad()
def measured(frames: Tensor, copies: int) -> Measured:
    """Both distances and PSNR of distorted copies of frames, the same number of every kind."""
    rng, (lpips, own) = torch.Generator().manual_seed(footage.HELD_OUT + 330), (perceptual.load(name) for name in ("lpips-alex", "builtin"))
    found: Measured = {}
    for kind in KINDS:
        originals = frames[torch.randint(len(frames), (copies,), generator=rng)]
        others = torch.cat([distorted(frame[None], kind, rng) for frame in originals])
        parts = [torch.cat([distance(a, b) for a, b in zip(others.split(60), originals.split(60), strict=True)]) for distance in (lpips, own)]
        found[kind] = parts[0], parts[1], psnr_per_frame(originals, others)
    return found


def joined(parts: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    lpips, own, psnr = (torch.cat(column) for column in zip(*parts, strict=True))
    return lpips, own, psnr


def rank(a: Tensor, b: Tensor) -> float:
    """Spearman's correlation."""
    return float(spearmanr(a.numpy(), b.numpy()).statistic)


def listed(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in figures.items())


def ordered(check: str, parts: tuple[Tensor, Tensor, Tensor]) -> Row:
    """How often both distances put two copies of (about) the same PSNR in one order."""
    lpips, own, psnr = (part.double() for part in parts)
    kept = psnr.isfinite()
    lpips, own, psnr = lpips[kept], own[kept], psnr[kept]
    alike = ((psnr[:, None] - psnr[None]).abs() < ALIKE).triu(diagonal=1)
    same = ((lpips[:, None] - lpips[None]) * (own[:, None] - own[None]))[alike] > 0
    return at_least(f"{check} ({len(same)} pairs within {ALIKE:g} dB)", 100 * float(same.float().mean()), ORDERED, " %")
