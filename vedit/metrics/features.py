"""What metrics compare: features of frames and of clips by name, with weights found through the registry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from stylegan_v import model_hash
from vedit import models
from vedit.errors import VeditError
from vedit.metrics import inception
from vedit.metrics.i3d_network import FEWEST, I3D, SIDE
from vedit.perceptual.builtin import BuiltinDistance, filter_bank
from vedit.perceptual.squeeze_features import AlexFeatures, SqueezeFeatures, TrunkFeatures
from vedit.perceptual.weights import MissingWeights, fill, locate_weights, read_weights

FRAME_FEATURES = ("inception", "squeeze", "alex", "builtin")  # the first that is on this machine is "auto"
CLIP_FEATURES = ("i3d", "squeeze", "alex", "builtin")
NAMES = ("auto", "inception", "i3d", "squeeze", "alex", "builtin")
STANDARD = {"fid": "inception", "kid": "inception", "fvd16": "i3d", "fvd128": "i3d", "fvd128s8": "i3d"}
BUILTIN_SIDE = 64  # pixels
BLANK = torch.zeros(1, 3, 64, 64)  # what a trunk's channels are counted with
CHUNK = 32  # frames of a clip that go through a network at a time


class FeaturesError(VeditError, ValueError):
    """Features that do not exist, or that cannot see what a metric needs."""


class Features(Protocol):
    """Rows [N, width] of frames [N, 3, H, W], or of clips [N, T, 3, H, W], in [-1, 1]; a row depends on its frame or clip alone.

    `identity` tells features apart: two with the same one give the same rows.
    """

    name: str
    width: int
    identity: str

    def __call__(self, pictures: Tensor, /) -> Tensor:
        """Rows [N, width], float32."""


class Trunk(Protocol):
    """A network that gives maps of a middle and of its last layer."""

    @property
    def name(self) -> str:
        """What its features are called."""

    def maps(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [N, C, h, w] of frames [N, 3, H, W]: where things are, and what they are."""


class BuiltinTrunk:
    """The built-in distance's three bands at 64² as maps; needs no weights. `name` is "builtin"."""

    name = "builtin"

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self._distance, self._device = BuiltinDistance(device), device
        self._channels = 2 * len(filter_bank())  # every filter, rectified by sign

    @torch.no_grad()
    def maps(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """The strength of the energies near, [N, 70, 16, 16]; all bands' means, [N, 210, 1, 1]."""
        frames = frames.to(self._device, torch.float32).clamp(-1, 1)
        images = functional.interpolate(frames, size=(BUILTIN_SIDE, BUILTIN_SIDE), mode="bilinear", antialias=True)
        bands = [band.unflatten(1, (self._channels, -1)) for band in self._distance.features(images)]
        # The distance scales a band by 1 / √positions, so that squared differences sum to means; taken back here.
        bands = [band * band.shape[2] ** 0.5 for band in bands]
        middle = bands[1].unflatten(2, (BUILTIN_SIDE // 4, -1))
        return middle, torch.cat([band.mean(dim=2) for band in bands], dim=1)[:, :, None, None]


class FrameFeatures:
    """Rows of frames: the means over positions of a trunk's last maps."""

    def __init__(self, trunk: Trunk, identity: str) -> None:
        self.trunk, self.name = trunk, trunk.name
        self.identity = f"{identity} frames"
        self.width = trunk.maps(BLANK)[1].shape[1]

    def __call__(self, frames: Tensor) -> Tensor:
        """Rows [N, width] of frames [N, 3, H, W]."""
        return self.trunk.maps(frames)[1].mean(dim=(2, 3))


class MotionFeatures:
    """Rows of clips that know what is seen and how it moves, from a trunk that sees single frames.

    The first part is the mean over the clip's frames of the last maps' means over positions; the second the mean, over positions
    and neighbouring frames, of the absolute change of the middle maps: nothing for a clip that stands still. Which way time runs
    is not seen.
    """

    def __init__(self, trunk: Trunk, identity: str) -> None:
        self.trunk, self.name = trunk, trunk.name
        self.identity = f"{identity} clips"
        self.width = sum(maps.shape[1] for maps in trunk.maps(BLANK))

    def __call__(self, clips: Tensor) -> Tensor:
        """Rows [N, width] of clips [N, T, 3, H, W], T at least 2."""
        if clips.shape[1] < 2:
            raise FeaturesError(f"found clips of {clips.shape[1]} frame; motion needs at least 2")
        return torch.stack([self._row(clip) for clip in clips])

    def _row(self, clip: Tensor) -> Tensor:
        looks = moved = before = None
        for frames in clip.split(CHUNK):
            middle, last = self.trunk.maps(frames)
            path = middle if before is None else torch.cat([before, middle])
            seen, change = last.mean(dim=(2, 3)).sum(dim=0), path.diff(dim=0).abs().mean(dim=(2, 3)).sum(dim=0)
            looks, moved = (seen, change) if looks is None or moved is None else (looks + seen, moved + change)
            before = middle[-1:]
        assert looks is not None and moved is not None
        return torch.cat([looks / len(clip), moved / (len(clip) - 1)])


class I3DFeatures:
    """Logits [N, 400] of clips [N, T, 3, H, W] in [-1, 1], T at least 9: what FVD is defined by (Unterthiner et al. 2018). `name` is "i3d".

    Frames are clamped and resized bilinearly to 224² as they are, without a crop.
    """

    name = "i3d"
    width = 400

    def __init__(self, network: I3D, device: str | torch.device = "cpu") -> None:
        self.net, self._device = network.eval().requires_grad_(False).to(device), device
        self.identity = f"i3d {model_hash(network)}"

    @classmethod
    def load(cls, path: Path, device: str | torch.device = "cpu") -> I3DFeatures:
        """With the weights of a file of tensors (safetensors or .pt); raises BadWeights."""
        with torch.device("meta"):
            network = I3D()
        # Files of PyTorch 0.3 lack this count, which is of no use without training.
        counts = {name: torch.zeros((), dtype=torch.long) for name in network.state_dict() if name.endswith("num_batches_tracked")}
        fill(network, counts | read_weights(path), path)
        return cls(network, device)

    @staticmethod
    def prepared(clips: Tensor) -> Tensor:
        """Clips [N, T, 3, H, W] as the network sees them: [N, 3, T, 224, 224] in [-1, 1]."""
        frames = clips.flatten(0, 1).float().clamp(-1, 1)
        frames = functional.interpolate(frames, size=(SIDE, SIDE), mode="bilinear", antialias=True)
        return frames.unflatten(0, clips.shape[:2]).transpose(1, 2)

    @torch.no_grad()
    def __call__(self, clips: Tensor) -> Tensor:
        """Logits [N, 400]."""
        if clips.shape[1] < FEWEST:
            raise FeaturesError(f"found clips of {clips.shape[1]} frames; I3D sees at least {FEWEST}")
        return torch.cat([self.net(self.prepared(clip[None].to(self._device))) for clip in clips])


def available(name: str) -> bool:
    """Whether the features load without a download."""
    if name == "inception":
        return inception.installed() and models.locate("inception") is not None
    if name == "i3d":
        return models.locate("i3d") is not None
    return name == "builtin" or locate_weights(name) is not None


def pick(wanted: Sequence[str], known: Sequence[str], metrics: Sequence[str]) -> str:
    """The name in `wanted` that is among `known`; for "auto" the best that is on this machine. Raises FeaturesError for `metrics`."""
    for name in wanted:
        if name not in NAMES:
            raise FeaturesError(f"there are no features {name!r}; choose from {', '.join(NAMES)}")
    for name in wanted:
        if name == "auto":
            return next(name for name in known if available(name))
        if name in known:
            return name
    sees = "clips" if "i3d" in known else "single frames"
    raise FeaturesError(f"{', '.join(metrics)} needs features of {sees}, and {', '.join(wanted)} gives none; add one of {', '.join(known)} after a comma")


def load_frame_features(name: str, device: str = "cpu") -> Features:
    """Features of frames by name, fetched where they are missing; raises FeaturesError, MissingExtra, MissingWeights, BadWeights."""
    if name != "inception":
        return FrameFeatures(*_trunk(name, device))
    if not inception.installed():
        raise inception.MissingExtra(f"Inception features need torch-fidelity, which is not installed; {inception.REMEDY}")
    return inception.InceptionFeatures(_found("inception"), device)


def load_clip_features(name: str, device: str = "cpu") -> Features:
    """Features of clips by name, fetched where they are missing; raises as `load_frame_features`."""
    return I3DFeatures.load(_found("i3d"), device) if name == "i3d" else MotionFeatures(*_trunk(name, device))


def figure_name(metric: str, features: str) -> str:
    """A figure's name: the metric's own with the features it is defined by, else with theirs after a dash.

    >>> figure_name("fid", "inception"), figure_name("fid", "squeeze"), figure_name("recall", "inception")
    ('fid', 'fid-squeeze', 'recall-inception')
    """
    return metric if STANDARD.get(metric) == features else f"{metric}-{features}"


def _trunk(name: str, device: str) -> tuple[Trunk, str]:
    """A trunk and its identity."""
    if name == "builtin":
        return BuiltinTrunk(device), name
    known: dict[str, type[TrunkFeatures]] = {"squeeze": SqueezeFeatures, "alex": AlexFeatures}
    if name not in known:
        raise FeaturesError(f"there are no features {name!r} of frames; choose from {', '.join(FRAME_FEATURES)}")
    trunk = known[name](device=device)
    return trunk, f"{name} {model_hash(trunk.net)}"


def _found(name: str) -> Path:
    try:
        return models.find(name)
    except (models.MissingModel, models.DownloadFailed) as error:
        raise MissingWeights(str(error)) from error
