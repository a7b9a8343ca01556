"""Inception features for FID and KID through torch-fidelity, with weights from this machine, read without executing anything."""

from __future__ import annotations

import contextlib
import io
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from stylegan_v import model_hash
from vedit.errors import VeditError
from vedit.perceptual.weights import BadWeights, read_weights
from vedit.pixels import to_pixels

REMEDY = "run `pip install 'vedit[metrics]'`, or choose --features squeeze"


class MissingExtra(VeditError, ImportError):
    """An optional package is needed and not installed."""


def installed() -> bool:
    """Whether torch-fidelity is installed."""
    return find_spec("torch_fidelity") is not None


class InceptionFeatures:
    """Features [N, 2048] of frames [N, 3, H, W] in [-1, 1]: Inception's last average pool, as FID and KID are defined by.

    torch-fidelity's network and its own enlargement to 299², which repeat the original TensorFlow graph; frames become 8-bit
    first. `name` is "inception". Raises MissingExtra, BadWeights.
    """

    name = "inception"
    width = 2048

    def __init__(self, path: Path, device: str | torch.device = "cpu") -> None:
        if not installed():
            raise MissingExtra(f"Inception features need torch-fidelity, which is not installed; {REMEDY}")
        from vedit.compat import import_torchvision

        self._device = device
        import_torchvision()
        extractor = import_module("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3
        # torch-fidelity unpickles its file with execution: it is handed one that was read safely and written again here.
        copy = io.BytesIO()
        torch.save(read_weights(path), copy)
        copy.seek(0)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                self.net = extractor("inception", ["2048"], feature_extractor_weights_path=copy).to(device)
            self.identity = f"inception {model_hash(self.net)}"
        except RuntimeError as error:  # load_state_dict's: names or shapes do not fit
            raise BadWeights(f"{path} holds no Inception of torch-fidelity's ({str(error).splitlines()[0]}); fetch it again") from error

    @torch.no_grad()
    def __call__(self, frames: Tensor) -> Tensor:
        """Features [N, 2048], float32."""
        features: Tensor = self.net(to_pixels(frames.to(self._device)).permute(0, 3, 1, 2).contiguous())[0]
        return features
