"""A tiny video generator with random weights for tests: real code, real shapes, milliseconds."""

from __future__ import annotations

import torch

from stylegan_v import Generator, GeneratorConfig, MotionConfig


def tiny_generator(seed: int = 0, resolution: int = 16) -> Generator:
    """A generator of `resolution`, z and w of 16, motion codes of 8 every 8 frames."""
    motion = MotionConfig(
        z_dim=8,
        v_dim=8,
        distance=8,
        kernel_size=3,
        num_freqs=8,
        min_period=8.0,
        max_period=64.0,
        lr_multiplier=1.0,
        max_num_frames=32,
    )
    cfg = GeneratorConfig(
        resolution=resolution,
        z_dim=16,
        w_dim=16,
        channel_base=256,
        channel_max=16,
        mapping_lr_multiplier=1.0,
        motion=motion,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Generator(cfg).eval().requires_grad_(False)
