"""What a perceptual distance is: frames become features once, and two sets of features have a distance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

Features = list[Tensor]
"""One tensor [N, K] per layer or band; rows belong to frames, so that they can be cached, indexed and concatenated."""


@runtime_checkable
class Perceptual(Protocol):
    """A differentiable distance of frames. Frames are [N, 3, H, W] in [-1, 1]; distances are [N], float32, zero for equal frames."""

    name: str

    def features(self, frames: Tensor) -> Features:
        """Features of frames [N, 3, H, W]; take those of a target once, without gradient, and reuse them."""

    def distance(self, a: Features, b: Features) -> Tensor:
        """Distances [N] of features row by row; one row against N is broadcast."""

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances [N] of frames a and b, both [N, 3, H, W]."""


class SquaredDistance(ABC):
    """A perceptual distance whose features are scaled so that the distance is the plain sum of their squared differences."""

    name: str

    @abstractmethod
    def embed(self, frames: Tensor) -> Features:
        """Features [N, K] per layer of float32 frames [N, 3, H, W] in [-1, 1]."""

    def features(self, frames: Tensor) -> Features:
        """Features of frames [N, 3, H, W] in [-1, 1], in float32 whatever precision the frames or autocast have."""
        if frames.ndim != 4 or frames.shape[1] != 3:
            raise ValueError(f"frames of shape {list(frames.shape)} have no perceptual features; pass [N, 3, H, W]")
        with torch.autocast(frames.device.type, enabled=False):
            return self.embed(frames.float())

    def distance(self, a: Features, b: Features) -> Tensor:
        """Distances [N]: squared differences summed over all layers."""
        return torch.stack([(x - y).square().sum(dim=1) for x, y in zip(a, b, strict=True)]).sum(dim=0)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances [N] of frames a and b, [N, 3, H, W]; one frame against N is broadcast."""
        return self.distance(self.features(a), self.features(b))
