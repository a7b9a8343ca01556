"""Directions in style space to measure with: a prompt's at strength 1, as `vedit edit` would save it, and random ones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from stylegan_v import Generator
from vedit import editing
from vedit.progress import finish

Delta = Mapping[str, Tensor]
"""A change of styles at strength 1: layer name → [I]."""


def prompt_delta(generator: Generator, prompt: str, clip: str) -> Delta:
    """What `vedit edit --prompt PROMPT` does to every moment of a clip of this generator at strength 1."""
    return finish(editing.make(generator, prompt, clip=clip)).direction


def random_delta(generator: Generator, ws: Tensor, motion_v: Tensor, like: Delta, rng: torch.Generator) -> Delta:
    """A random direction over the layers that `like` touches, every channel as wide as its style varies over ws [N, L, D]."""
    with torch.no_grad():
        styles = generator.styles(ws, motion_v)
    spread = {name: styles[name].flatten(0, 1).std(dim=0) for name in like}
    return {name: 0.3 * value * torch.randn(value.shape, generator=rng) for name, value in spread.items()}
