"""CLIP's image tower as a perceptual distance: it holds what a picture shows, not where every pixel is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vedit import guidance
from vedit.perceptual.protocol import Features, SquaredDistance


class ClipDistance(SquaredDistance):
    """1 - cosine of image embeddings of a text–image model (any name that `vedit.guidance.load` takes); `name` is "clip"."""

    name = "clip"

    def __init__(self, model: str = "builtin", device: str | torch.device = "cpu") -> None:
        self._guidance = guidance.load(model, device)

    def embed(self, frames: Tensor) -> Features:
        """The unit embedding [N, E] over √2: squared differences of unit vectors are 2 (1 - cosine)."""
        return [self._guidance.encode_images(frames) / math.sqrt(2)]
