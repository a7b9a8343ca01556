"""Perceptual distances of frames: LPIPS with real weights, CLIP features, and one that needs no download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vedit.errors import VeditError
from vedit.perceptual.protocol import Perceptual

if TYPE_CHECKING:
    import torch

__all__ = ["NAMES", "Perceptual", "UnknownDistance", "available", "load"]

NAMES = ("auto", "lpips-vgg", "lpips-alex", "lpips-squeeze", "clip", "builtin")


class UnknownDistance(VeditError, ValueError):
    """A name that is no perceptual distance."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no perceptual distance {name!r}; choose one of {', '.join(NAMES)}")


def available(name: str) -> bool:
    """Whether the distance loads without a download; raises UnknownDistance for a name that is none."""
    if name not in NAMES:
        raise UnknownDistance(name)
    from vedit.perceptual.weights import locate_weights

    if name == "clip":
        from vedit.models import ASSETS

        return (ASSETS / "clip-1" / "open_clip_model.safetensors").is_file()
    return not name.startswith("lpips-") or locate_weights(name.removeprefix("lpips-")) is not None


def load(name: str = "auto", device: str | torch.device = "cpu") -> Perceptual:
    """A perceptual distance by name, frozen, in float32 on `device`; its `.name` says which it is.

    "auto" takes lpips-alex or lpips-squeeze where their weights are on this machine, else "builtin"; it never fetches. A named
    LPIPS is fetched where it is missing. Alex goes first: forward and backward at 64² it takes half of squeeze's time.
    Raises UnknownDistance, MissingWeights, BadWeights, or GuidanceError for "clip".
    """
    if name not in NAMES:
        raise UnknownDistance(name)
    from vedit.perceptual.weights import locate_weights

    if name == "auto":
        found = [network for network in ("alex", "squeeze") if locate_weights(network)]
        name = f"lpips-{found[0]}" if found else "builtin"
    if name == "builtin":
        from vedit.perceptual.builtin import BuiltinDistance

        return BuiltinDistance(device)
    if name == "clip":
        from vedit.perceptual.clip_distance import ClipDistance

        return ClipDistance(device=device)
    from vedit.perceptual.lpips_distance import Lpips

    return Lpips(name.removeprefix("lpips-"), device=device)
