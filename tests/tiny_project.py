"""The least that a finished project has, for tests of what is done with projects."""

from __future__ import annotations

from pathlib import Path

import torch

from vedit.latents import LatentVideo, Spline
from vedit.models import load_generator
from vedit.workspace import Workspace


def finished(path: Path) -> Workspace:
    """A project with the least that a finished one has."""
    workspace = Workspace.create(path)
    workspace.info |= {
        "times": [0.0, 0.04],
        "end": 0.08,
        "crops": [[[64.0, 0.0, 0.0], [0.0, 64.0, 0.0]]] * 2,
        "generator": {"name": "g", "hash": "h"},
        "source": "clip.mp4",
        "source_hash": "s",
        "settings": {"start": None, "duration": None, "fps": None},
    }
    workspace.save()
    return workspace


def clip(path: Path, generator_file: Path, seed: int = 0, frames: int = 8) -> Workspace:
    """A finished project of random latents that drift, for a saved generator; its crop is the square in the middle of 200×100."""
    generator = load_generator(generator_file)
    times = [i / 25 for i in range(frames)]
    workspace = finished(path)
    workspace.info |= {
        "times": times, "end": frames / 25, "crops": [[[100.0, 0.0, 50.0], [0.0, 100.0, 0.0]]] * frames, "size": [200, 100], "follows_face": False,
        "generator": {"name": str(generator_file), "hash": generator.hash},
    }  # fmt: skip
    rng = torch.Generator().manual_seed(seed)
    motion = generator.cfg.motion
    assert motion is not None
    codes = torch.randn(1, generator.num_motion_codes(frames), motion.z_dim, generator=rng)
    with torch.no_grad():
        ws, u = generator.mapping(torch.randn(1, generator.cfg.z_dim, generator=rng))[0], generator.trajectory(codes)[0]
    drift = Spline.zeros(frames - 1.0, 4.0, tuple(ws.shape))
    drift.coefs = torch.randn(drift.coefs.shape, generator=rng) * 0.1
    workspace.save_latents(LatentVideo(ws, u, codes[0], frames - 1.0, drift))
    return workspace
