"""What a network's convolutions cost in arithmetic, and the plain convolutions that say how fast a machine can do such."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_v import Generator
from stylegan_v.synthesis import ModulatedLayer


def useful_flops(generator: Generator) -> int:
    """Floating-point operations that the convolutions of one frame need, whichever way they are computed; a product with its sum is two.

    3×3: 2·9·I·O·r² at the resolution r of the layer's output; up-sampling, a transposed convolution: 2·9·I·O·(r/2)²; ToRGB: 2·I·3·r².
    Low-pass filters, styles, motion and activations do not count.
    """
    return sum(_flops(layer) for _, _, layer in generator.synthesis.layers())


def _flops(layer: ModulatedLayer) -> int:
    places = (layer.resolution // 2 if layer.up else layer.resolution) ** 2
    return 2 * layer.weight.numel() * places


def plain_layers(generator: Generator) -> Iterator[ModulatedLayer]:
    """The layers that are 3×3 convolutions without up-sampling, `conv1` of every block."""
    return (layer for _, _, layer in generator.synthesis.layers() if not layer.rgb and not layer.up)


def plain_convolutions(generator: Generator, frames: int) -> tuple[Callable[[torch.dtype], None], int]:
    """A function that computes a plain 3×3 convolution, channels last, of the shape of every `conv1`, for so many frames, in a
    precision; and the floating-point operations that it takes for one frame."""
    rng = torch.Generator().manual_seed(0)
    layers = list(plain_layers(generator))
    pairs: dict[torch.dtype, list[tuple[Tensor, Tensor]]] = {}

    def laid_out(dtype: torch.dtype, *shape: int) -> Tensor:
        return torch.randn(shape, generator=rng).to(generator.device, dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def run(dtype: torch.dtype) -> None:
        if dtype not in pairs:
            pairs[dtype] = [
                (laid_out(dtype, frames, layer.weight.shape[1], layer.resolution, layer.resolution), laid_out(dtype, *layer.weight.shape))
                for layer in layers
            ]
        for x, kernel in pairs[dtype]:
            F.conv2d(x, kernel, padding=1)

    return run, sum(_flops(layer) for layer in layers)
