"""SqueezeNet features for `fid-squeeze`: a Fréchet distance that needs a 3 MB network instead of Inception."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from vedit.perceptual.weights import fill, find_weights, read_convolutions

SIDE = 128  # pixels: every frame is brought to this size, so that generators of different sizes are measured alike


class SqueezeFeatures:
    """Features [N, 512] of frames [N, 3, H, W] in [-1, 1]: SqueezeNet 1.1's last Fire module, averaged over positions.

    Frames are resized bilinearly (antialiased when shrunk) to 128² and normalised as ImageNet is. `name` is "squeeze".
    """

    name = "squeeze"

    def __init__(self, path: Path | None = None, device: str | torch.device = "cpu") -> None:
        from vedit.compat import import_torchvision

        source = path or find_weights("squeeze")
        torchvision = import_torchvision()
        with torch.device("meta"):
            self._net = torchvision.models.squeezenet1_1(weights=None).features
        fill(self._net, read_convolutions(source), source)
        self._net.to(device)
        self._mean = torch.tensor([0.485, 0.456, 0.406], device=device).view(1, 3, 1, 1)
        self._std = torch.tensor([0.229, 0.224, 0.225], device=device).view(1, 3, 1, 1)

    @torch.no_grad()
    def __call__(self, frames: Tensor) -> Tensor:
        """Features [N, 512], float32; frames are clamped to [-1, 1] first, as pixels are."""
        images = functional.interpolate(frames.float().clamp(-1, 1), size=(SIDE, SIDE), mode="bilinear", antialias=True)
        features: Tensor = self._net((images.add(1).div(2) - self._mean) / self._std)
        return features.mean(dim=(2, 3))
