"""A real text–image model and a real generator, both as small as they get, for tests of editing by words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from stylegan_v import Generator, GeneratorConfig, MotionConfig, model_hash
from vedit.clip_training import ClipRecipe, ClipTraining, export

MODEL: dict[str, Any] = {
    "embed_dim": 16,
    "custom_text": True,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 4, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}
KNOWN = {"old", "young", "person", "beard", "clean-shaven", "bright", "sun", "sky"}


def recipe(**changes: Any) -> ClipRecipe:
    """A training that takes a second."""
    small = {"text_steps": 1, "image_steps": 1, "text_batch": 4, "image_batch": 4, "pool": 16, "fresh": 4, "warmup": 1}
    small |= {"save_every": 1, "model": MODEL}
    return ClipRecipe(**{**small, **changes})


def text_image_model(folder: Path) -> str:
    """Write an untrained model with saved weights to a folder; its name for `guidance.load`."""
    model = ClipTraining(recipe(worlds=("portraits",))).model
    export(model.state_dict(), MODEL, KNOWN, torch.ones(49408, dtype=torch.bool), folder)
    return f"local-dir:{folder}"


def generator(seed: int = 0, **changes: Any) -> Generator:
    """A random generator of 16² frames."""
    motion = MotionConfig(z_dim=8, v_dim=8, kernel_size=3, num_freqs=4, max_period=64.0)
    config: dict[str, Any] = {
        "resolution": 16,
        "z_dim": 8,
        "w_dim": 12,
        "channel_base": 256,
        "channel_max": 16,
        "mapping_lr_multiplier": 1.0,
        "motion": motion,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = Generator(GeneratorConfig(**{**config, **changes})).eval().requires_grad_(False)
    made.hash = model_hash(made)
    return made
