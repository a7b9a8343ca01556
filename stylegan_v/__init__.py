"""StyleGAN-V (Skorokhodov et al., CVPR 2022) and its relatives: networks, training, checkpoints, metrics.

Letters used everywhere: N clips, T frames a clip, C H W, L = `num_ws`, D = `w_dim`. Frames are float in [-1, 1].
"""

from stylegan_v.checkpoint import load_generator, model_hash, save_generator
from stylegan_v.config import ConfigError, DiscriminatorConfig, GeneratorConfig, MotionConfig
from stylegan_v.discriminator import Discriminator
from stylegan_v.generator import Generator
from stylegan_v.snapshot import import_snapshot

__all__ = [
    "ConfigError",
    "Discriminator",
    "DiscriminatorConfig",
    "Generator",
    "GeneratorConfig",
    "MotionConfig",
    "import_snapshot",
    "load_generator",
    "model_hash",
    "save_generator",
]
