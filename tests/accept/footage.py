"""Clips to measure with: sampled from a generator, drawn by a world, read from files. All seeds are from 20,000,000."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from stylegan_v import Generator
from vedit import perceptual, pixels, video
from vedit.scores import Distance
from vedit.worlds import world

HELD_OUT = 20_000_000
Distances = Mapping[str, Distance]


def eight_bit(frames: Tensor) -> Tensor:
    """Frames as they come back from a file: [T, 3, H, W] in [-1, 1], rounded to 8 bits."""
    return pixels.from_pixels(pixels.to_pixels(frames))


@torch.no_grad()
def sampled_clip(generator: Generator, seed: int, frames: int) -> Tensor:
    """One clip [T, 3, H, W] that the generator itself makes, at its own frame rate."""
    rng = torch.Generator().manual_seed(HELD_OUT + seed)
    t = torch.arange(float(frames))[None]
    z = torch.randn(1, generator.cfg.z_dim, generator=rng)
    assert generator.cfg.motion is not None
    motion_z = torch.randn(1, generator.num_motion_codes(float(frames)), generator.cfg.motion.z_dim, generator=rng)
    return eight_bit(generator.synthesis(generator.mapping(z), t, motion_z)[0])


def world_scene(name: str, seed: int, frames: int, stride: float = 1.0) -> tuple[Tensor, Tensor]:
    """Attributes [1, A] and motion [1, T, P] of one clip of a world (unpaired), at 25 / `stride` frames a second."""
    place, rng = world(name), torch.Generator().manual_seed(HELD_OUT + seed)
    attributes = place.random_attributes(1, rng)
    return attributes, place.random_motion(torch.arange(float(frames))[None] * stride, rng)


@torch.no_grad()
def world_clip(name: str, seed: int, frames: int, size: int = 64, stride: float = 1.0) -> Tensor:
    """The clip [T, 3, size, size] of `world_scene`, drawn."""
    return eight_bit(world(name).draw_clips(*world_scene(name, seed, frames, stride), size)[0])


def write_clip(path: Path, frames: Tensor, fps: float = 25) -> Path:
    """Write frames [T, 3, H, W] without loss; raises AssertionError unless the very same pixels are read back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    video.write(path, iter(pixels.to_pixels(frames).numpy()), fps=fps, codec="ffv1")
    again, _ = read_clip(path)
    assert torch.equal(pixels.to_pixels(again), pixels.to_pixels(frames)), f"{path} does not hold what was written"
    return path


def read_clip(path: Path) -> tuple[Tensor, list[float]]:
    """Frames [T, 3, H, W] in [-1, 1] of a file, and their times in seconds."""
    found = list(video.read(path))
    return torch.stack([pixels.from_pixels(frame.image) for frame in found]), [frame.time for frame in found]


def distances(*names: str) -> Distances:
    """The perceptual distances of those names whose weights are at hand."""
    return {
        name: perceptual.load(name) for name in names or ("lpips-alex", "lpips-squeeze") if perceptual.available(name)
    }


def strip(path: Path, rows: list[Tensor], columns: int = 8) -> None:
    """Write a picture of clips [T, 3, H, W], one row each, `columns` moments evenly spread."""
    chosen = [row[torch.linspace(0, len(row) - 1, columns).round().long()] for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels.save_sheet(path, pixels.to_pixels(torch.cat(chosen)), columns=columns)
