"""I3D: Inception with its filters inflated to three dimensions (Carreira and Zisserman 2017, section 2.5 and figure 3).

Layers carry the names that the published weights have, so that those load as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 400  # of Kinetics
SIDE = 224  # pixels
FEWEST = 9  # frames, of which the average pool before the logits still gets two

Triple = tuple[int, int, int]

# Figure 3: convolutions (channels, kernel, stride), max pools (kernel, stride), Inception modules. A module's six numbers are the
# channels of GoogLeNet (Szegedy et al. 2015, table 1): 1×1; 1×1 before 3×3, 3×3; 1×1 before the second 3×3, that; 1×1 after the pool.
STEM: dict[str, tuple[int, Triple, Triple] | tuple[Triple, Triple]] = {
    "Conv3d_1a_7x7": (64, (7, 7, 7), (2, 2, 2)),
    "MaxPool3d_2a_3x3": ((1, 3, 3), (1, 2, 2)),
    "Conv3d_2b_1x1": (64, (1, 1, 1), (1, 1, 1)),
    "Conv3d_2c_3x3": (192, (3, 3, 3), (1, 1, 1)),
    "MaxPool3d_3a_3x3": ((1, 3, 3), (1, 2, 2)),
}
MODULES: dict[str, tuple[int, int, int, int, int, int] | tuple[Triple, Triple]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "MaxPool3d_4a_3x3": ((3, 3, 3), (2, 2, 2)),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "MaxPool3d_5a_2x2": ((2, 2, 2), (2, 2, 2)),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


class I3D(nn.Module):
    """The RGB stream: clips [N, 3, T, 224, 224] in [-1, 1], T at least 9, to class logits [N, 400], averaged over time."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        channels = 3
        for name, layer in STEM.items():
            if len(layer) == 3:
                self.add_module(name, Unit(channels, *layer))
                channels = layer[0]
            else:
                self.add_module(name, MaxPool(*layer))
        for name, shape in MODULES.items():
            if len(shape) == 6:
                self.add_module(name, Mixed(channels, shape))
                channels = shape[0] + shape[2] + shape[4] + shape[5]
            else:
                self.add_module(name, MaxPool(*shape))
        self.features = (*STEM, *MODULES)
        self.logits = Unit(channels, classes, (1, 1, 1), plain=True)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [N, classes]."""
        x = clips
        for name in self.features:
            x = self.get_submodule(name)(x)
        x = functional.avg_pool3d(x, (2, 7, 7), stride=1)
        return self.logits(x).mean(dim=(2, 3, 4))


class Unit(nn.Module):
    """Convolution with padding "same", batch normalisation, ReLU; `plain` has a bias and neither of the two."""

    def __init__(self, channels: int, out: int, kernel: Triple, stride: Triple = (1, 1, 1), *, plain: bool = False) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels, out, kernel, stride, bias=plain)
        self.bn = None if plain else nn.BatchNorm3d(out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, T, H, W] to [N, out, T', H', W']."""
        x = self.conv3d(_padded(x, self.conv3d.kernel_size, self.conv3d.stride))
        return x if self.bn is None else self.bn(x).relu()


class MaxPool(nn.Module):
    """Maximum with padding "same"; zeros at the edge, which is no more than any value after a ReLU."""

    def __init__(self, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, T, H, W] to [N, C, T', H', W']."""
        return functional.max_pool3d(_padded(x, self.kernel, self.stride), self.kernel, self.stride)


class Mixed(nn.Module):
    """An Inception module: four branches side by side."""

    def __init__(self, channels: int, shape: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, three_in, three, second_in, second, pooled = shape
        self.b0 = Unit(channels, one, (1, 1, 1))
        self.b1a, self.b1b = Unit(channels, three_in, (1, 1, 1)), Unit(three_in, three, (3, 3, 3))
        self.b2a, self.b2b = Unit(channels, second_in, (1, 1, 1)), Unit(second_in, second, (3, 3, 3))
        self.b3a, self.b3b = MaxPool((3, 3, 3), (1, 1, 1)), Unit(channels, pooled, (1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, T, H, W] to [N, C', T, H, W]."""
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))]
        return torch.cat(branches, dim=1)


def _padded(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """`x` with zeros around it so that a side of n gives ⌈n / stride⌉; the odd one of them stands at the end, as where the network was trained."""
    missing = [max(k - (s if n % s == 0 else n % s), 0) for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
    return functional.pad(x, [side for total in reversed(missing) for side in (total // 2, total - total // 2)])
