"""Features of ImageNet's small networks for distances of distributions: `fid-squeeze` needs 3 MB instead of Inception."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from vedit.perceptual.weights import fill, find_weights, read_convolutions

SIDE = 128  # pixels: every frame is brought to this size, so that generators of different sizes are measured alike


class TrunkFeatures:
    """Features [N, K] of frames [N, 3, H, W] in [-1, 1]: the last maps of a network's convolutions, averaged over positions.

    Frames are resized bilinearly (antialiased when shrunk) to 128² and normalised as ImageNet is.
    """

    name: ClassVar[str]
    architecture: ClassVar[str]  # torchvision's name
    middle: ClassVar[int]  # the layer whose maps still tell where things are
    last: ClassVar[int]

    def __init__(self, path: Path | None = None, device: str | torch.device = "cpu") -> None:
        from vedit.compat import import_torchvision

        source = path or find_weights(self.name)
        torchvision = import_torchvision()
        with torch.device("meta"):
            self.net = getattr(torchvision.models, self.architecture)(weights=None).features
        fill(self.net, read_convolutions(source), source)
        self.net.to(device)
        self._mean = torch.tensor([0.485, 0.456, 0.406], device=device).view(1, 3, 1, 1)
        self._std = torch.tensor([0.229, 0.224, 0.225], device=device).view(1, 3, 1, 1)

    @torch.no_grad()
    def maps(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [N, C, h, w] of the middle and of the last layer, float32; frames are clamped to [-1, 1] first, as pixels are."""
        frames = frames.to(self._mean.device, torch.float32).clamp(-1, 1)
        images = functional.interpolate(frames, size=(SIDE, SIDE), mode="bilinear", antialias=True)
        middle = self.net[: self.middle + 1]((images.add(1).div(2) - self._mean) / self._std)
        return middle, self.net[self.middle + 1 : self.last + 1](middle)

    def __call__(self, frames: Tensor) -> Tensor:
        """Features [N, K], float32."""
        return self.maps(frames)[1].mean(dim=(2, 3))


class SqueezeFeatures(TrunkFeatures):
    """SqueezeNet 1.1: 512 features of its last Fire module; 256 maps of 15² in the middle. `name` is "squeeze"."""

    name, architecture, middle, last = "squeeze", "squeezenet1_1", 7, 12


class AlexFeatures(TrunkFeatures):
    """AlexNet: 256 features of its last convolution; 192 maps of 15² in the middle. `name` is "alex"."""

    name, architecture, middle, last = "alex", "alexnet", 4, 11
