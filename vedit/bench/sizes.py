"""The generators that are timed, with random weights: speed does not depend on them."""

from __future__ import annotations

from dataclasses import dataclass

from stylegan_v import GeneratorConfig, MotionConfig


@dataclass(frozen=True)
class Size:
    """A generator and how much is asked of it at once: `frames` a run (half as many clips in training), `samples` random frames for the
    statistics, a clip of `film` frames to be written and read."""

    generator: GeneratorConfig
    frames: int = 8
    samples: int = 16
    film: int = 96


BUILT_IN = GeneratorConfig(
    resolution=64, z_dim=64, w_dim=128, channel_base=2048, channel_max=128, mapping_lr_multiplier=1.0,
    motion=MotionConfig(
        z_dim=32, v_dim=64, distance=16, kernel_size=5, num_freqs=64, min_period=16.0, max_period=256.0, lr_multiplier=1.0, max_num_frames=64
    ),
)  # fmt: skip


def paper(resolution: int, channel_base: int = 16384) -> GeneratorConfig:
    """The paper's generator (its 256² by default of `channel_base`) at a resolution."""
    motion = MotionConfig(z_dim=512, v_dim=512, distance=16, num_freqs=256, min_period=16.0, max_period=1024.0)
    return GeneratorConfig(resolution=resolution, z_dim=512, w_dim=512, channel_base=channel_base, channel_max=512, motion=motion)


CONFIGS = {
    "built-in": Size(BUILT_IN, samples=100),
    "64": Size(paper(64), samples=50),
    "128": Size(paper(128), samples=32),
    "256": Size(paper(256)),
    "1024": Size(paper(1024, 32768), frames=2, samples=2, film=24),
}
