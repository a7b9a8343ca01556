"""The least that a finished project has, for tests of what is done with projects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from stylegan_v import model_hash, save_generator
from tests.test_latents import latents
from tests.tiny_generator import tiny_generator
from vedit.frame_file import FrameFile
from vedit.latents import LatentVideo, Spline
from vedit.models import load_generator
from vedit.pixels import save_png
from vedit.video import write
from vedit.workspace import FRAMES, Workspace, file_hash


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


def rendered(path: Path, count: int = 10, side: int = 48) -> Workspace:
    """A project at `path` of a tiny real generator, with a source beside it of `count` frames at 25 a second: one is a photograph."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator, model = tiny_generator(), path.with_suffix(".safetensors")
    save_generator(generator, model)
    pictures = np.random.default_rng(count).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    source = path.with_suffix(".png" if count == 1 else ".mkv")
    if count == 1:
        save_png(source, pictures[0])
    else:
        write(source, pictures, fps=25, codec="ffv1")
    workspace = finished(path)
    workspace.info |= {
        "times": [i / 25 for i in range(count)],
        "end": count / 25 if count > 1 else 0.0,
        "crops": [[[30.0, 4.0, 8.0], [-4.0, 30.0, 10.0]]] * count,
        "generator": {"name": str(model), "hash": model_hash(generator)},
        "source": str(source),
        "source_hash": file_hash(source),
        "size": [side, side],
    }
    workspace.save_latents(latents(generator, span=float(count - 1)))
    workspace.folder(*FRAMES.parent.parts)
    FrameFile.write(workspace.path / FRAMES, torch.zeros(count, 16, 16, 3, dtype=torch.uint8), 16)
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
