"""Random videos of a generator, and grids of contents against motions. A seed's sample does not depend on the others."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from stylegan_v import Generator
from vedit import models, video
from vedit.devices import pick_device
from vedit.errors import VeditError
from vedit.pixels import tile, to_pixels
from vedit.progress import Task
from vedit.streaming import pump
from vedit.timing import parse_rate
from vedit.video.info import Pixels

CHUNK = 16  # frames rendered at a time
MOTION = 0x6D6F7469  # within 32 bits: torch's generator for the CPU ignores all above them
MAX_FRAMES = 1_000_000  # eleven hours at 25 frames/s


class SamplingError(VeditError, ValueError):
    """Random videos cannot be made as asked."""


class SamplingWarning(UserWarning):
    """Random videos will be less than one may expect."""


def content_of(generator: Generator, seed: int, psi: float = 1.0) -> Tensor:
    """ws [1, L, D] of a seed."""
    rng = torch.Generator().manual_seed(seed)
    return generator.mapping(torch.randn(1, generator.cfg.z_dim, generator=rng).to(generator.device), psi=psi)


def motion_codes_of(generator: Generator, seed: int, max_t: float) -> Tensor:
    """motion_z [1, M, C] of a seed, long enough for `max_t`; a longer one begins with the same codes."""
    assert generator.cfg.motion is not None
    rng = torch.Generator().manual_seed(seed ^ MOTION)  # apart from the seed's content
    # Code by code: torch fills the end of a large draw in another order, which would depend on the length.
    rows = [torch.randn(generator.cfg.motion.z_dim, generator=rng) for _ in range(generator.num_motion_codes(max_t))]
    return torch.stack(rows).unsqueeze(0).to(generator.device)


@torch.no_grad()
def sample(generator: Generator, content: Tensor, motion_seed: int, t: Tensor) -> Iterator[Tensor]:
    """Frames [B, 3, H, W] at t [T], in chunks, of a content ws [1, L, D] under the motion of a seed."""
    u = None
    if generator.cfg.motion is not None:
        u = generator.trajectory(motion_codes_of(generator, motion_seed, float(t.max())))
    for part in t.split(CHUNK):
        motion_v = None if u is None else generator.motion(part.unsqueeze(0), None, u=u)
        frames = generator.synthesis(content, motion_v=motion_v)[0]
        yield frames.clamp(-1, 1) if u is not None else frames.clamp(-1, 1).expand(len(part), -1, -1, -1)


def generate(
    generator: str | Path = models.GENERATOR_OF["portraits"],
    *,
    seeds: Sequence[int] = tuple(range(9)),
    frames: int = 100,
    fps: str | float | Fraction | None = None,
    psi: float = 1.0,
    label: int | None = None,
    grid: bool = False,
    out: Path | str = "generated",
    device: str = "auto",
) -> Task[list[Path]]:
    """Random videos: one file a seed in the folder `out`, or with `grid` all of them in the file `out`; returns the paths.

    A generator of classes draws that of the number `label`.
    """
    if not 1 <= frames <= MAX_FRAMES or not seeds:
        raise SamplingError(f"found {frames} frames of {len(seeds)} seeds; give at least one of each, and at most {MAX_FRAMES} frames")
    network = models.load_generator(generator, pick_device(device), label=label)
    rate = parse_rate(fps if fps is not None else network.fps)
    t = torch.arange(frames, dtype=torch.float64) * (network.fps / float(rate))
    films = [(content_of(network, seed, psi), seed) for seed in seeds]
    if frames > 1:
        _warn_of_stills(network, generator, "every video shows one still picture")
    out = Path(out)
    if grid:
        return [(yield from _film(network, films, t, rate, _file(out), None))]
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for film, seed in zip(films, seeds, strict=True):
        paths.append((yield from _film(network, [film], t, rate, out / f"{seed:04d}.mp4", 1)))
    return paths


def decompose(
    generator: str | Path = models.GENERATOR_OF["portraits"],
    *,
    contents: int = 4,
    motions: int = 4,
    frames: int = 100,
    label: int | None = None,
    out: Path | str = "decomposition.mp4",
    device: str = "auto",
) -> Task[Path]:
    """One video of a grid: every row shares a content, every column a motion; of the class `label` where there are classes."""
    if contents < 1 or motions < 1:
        raise SamplingError(f"found {contents} contents and {motions} motions; give at least one of each")
    network = models.load_generator(generator, pick_device(device), label=label)
    _warn_of_stills(network, generator, "nothing moves, and all columns are alike")
    t = torch.arange(frames, dtype=torch.float64)
    films = [(content_of(network, row), column) for row in range(contents) for column in range(motions)]
    return (yield from _film(network, films, t, parse_rate(network.fps), _file(Path(out)), motions))


def _warn_of_stills(generator: Generator, name: str | Path, what: str) -> None:
    if generator.cfg.motion is None:
        warnings.warn(f"generator {name} makes single images: {what}", SamplingWarning, stacklevel=3)


def _file(path: Path) -> Path:
    return path if path.suffix else path.with_suffix(".mp4")


def _film(
    generator: Generator, films: Sequence[tuple[Tensor, int]], t: Tensor, rate: Fraction, path: Path, columns: int | None
) -> Task[Path]:
    """Write films (content, motion seed) side by side, `columns` in a row (None: as a square)."""
    streams = [sample(generator, content, motion, t) for content, motion in films]

    def pictures() -> Iterator[Pixels]:
        for parts in zip(*streams, strict=True):
            stack = torch.stack(parts, dim=1)  # [B, films, 3, H, W]
            for moment in stack:
                yield tile(to_pixels(moment), columns)

    metadata = {"comment": "synthetic: drawn by a video generator (vedit)"}
    written = yield from pump(pictures(), lambda images: video.write(path, images, fps=rate, crf=14, metadata=metadata), "render", len(t))
    return written.path
