"""LPIPS (Zhang et al. 2018, version 0.1) with cached features: the lpips package's networks and heads, weights from the search path."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from vedit.perceptual.protocol import Features, SquaredDistance
from vedit.perceptual.weights import fill, find_weights, read_convolutions

SMALLEST = {"alex": 32, "squeeze": 32, "vgg": 16}  # pixels on a side below which the last layer has no position left


class Lpips(SquaredDistance):
    """LPIPS of one network; equals `lpips.LPIPS(net=...)` to float32 rounding at sizes that network takes.

    Each layer's features are of unit length at every position, so that with the heads' weights w >= 0 the distance
    sum_l mean_hw w_l (f_a - f_b)^2 is a plain squared difference of sqrt(w_l / HW) f. Smaller frames are enlarged bilinearly first.
    """

    def __init__(self, network: str = "alex", path: Path | None = None, device: str | torch.device = "cpu") -> None:
        source = path or find_weights(network)
        self.name = f"lpips-{network}"
        self._smallest = SMALLEST[network]
        trunk, scaling, heads = _build(network, source)
        self._trunk, self._scaling = trunk.to(device), scaling.to(device)
        self._roots = [head.sqrt().to(device) for head in heads]

    def embed(self, frames: Tensor) -> Features:
        """Scaled features, one tensor [N, C·H·W] per layer."""
        if min(frames.shape[2:]) < self._smallest:
            scale = self._smallest / min(frames.shape[2:])
            size = [round(scale * side) for side in frames.shape[2:]]
            frames = functional.interpolate(frames, size=size, mode="bilinear", align_corners=False)
        layers = self._trunk(self._scaling(frames))
        return [_scaled(layer, root) for layer, root in zip(layers, self._roots, strict=True)]


def _scaled(layer: Tensor, root: Tensor) -> Tensor:
    """Unit vectors over channels times the heads' roots, [N, C·H·W]; the constant keeps the gradient finite where a layer is dark."""
    length = layer.square().sum(dim=1, keepdim=True).add(1e-10).sqrt()
    positions = layer.shape[2] * layer.shape[3]
    return (layer / length * (root / positions**0.5)).flatten(1)


def _build(network: str, source: Path) -> tuple[torch.nn.Module, torch.nn.Module, list[Tensor]]:
    """The lpips package's convolutions with weights from `source`, its input scaling, and its heads' weights [1, C, 1, 1]."""
    from vedit.compat import import_torchvision

    import_torchvision()
    import lpips

    # On the meta device no random weights are drawn, which would cost seconds and disturb the global generator.
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips passes torchvision's old `pretrained` argument
        model = lpips.LPIPS(net=network, pnet_rand=True, pretrained=False, verbose=False)
    convolutions = read_convolutions(source)
    numbered = {
        name: name.split(".", 1)[1] for name in model.net.state_dict()
    }  # "slice2.3.weight" is "features.3.weight"
    fill(model.net, {name: convolutions[own] for name, own in numbered.items() if own in convolutions}, source)
    heads = torch.load(
        Path(lpips.__file__).parent / "weights" / "v0.1" / f"{network}.pth", map_location="cpu", weights_only=True
    )
    return model.net, model.scaling_layer, [heads[f"lin{layer}.model.1.weight"] for layer in range(model.L)]
