"""Convolution weights of the networks that distances and metrics are built on, found through the registry and read safely."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vedit import models
from vedit.errors import VeditError

REGISTERED = {"alex": "alexnet", "squeeze": "squeezenet1_1", "vgg": "vgg16"}  # LPIPS's names: the registry's


class MissingWeights(VeditError, FileNotFoundError):
    """The weights of a network are not on this machine and could not be fetched."""


class BadWeights(VeditError, ValueError):
    """A weight file cannot be read, or holds another network."""


def locate_weights(network: str) -> Path | None:
    """Path of the weights of alex, squeeze or vgg on this machine, or None; never fetches."""
    return models.locate(REGISTERED[network])


def find_weights(network: str) -> Path:
    """Path of the weights of alex, squeeze or vgg, fetched from upstream if need be; raises MissingWeights."""
    try:
        return models.find(REGISTERED[network])
    except (models.MissingModel, models.DownloadFailed) as error:
        raise MissingWeights(str(error)) from error


def read_convolutions(path: Path) -> dict[str, Tensor]:
    """Tensors of a network's convolution stack by name without the prefix `features.`; classifier layers are left out. Raises BadWeights."""
    return {
        name.removeprefix("features."): value.float()
        for name, value in read_weights(path).items()
        if name.startswith("features.")
    }


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a weight file by name: safetensors, or PyTorch's own (tensors only: nothing in it is executed). Raises BadWeights."""
    try:
        tensors = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise BadWeights(f"{path} is not a readable weight file ({type(error).__name__}); fetch it again") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise BadWeights(f"{path} holds no plain dictionary of tensors; fetch it again")
    return tensors


def fill(module: torch.nn.Module, tensors: dict[str, Tensor], source: Path) -> None:
    """Give `module` (built on the meta device) its tensors, all of them and of the right shapes; raises BadWeights."""
    wanted = module.state_dict()
    wrong = [name for name, value in wanted.items() if name not in tensors or tensors[name].shape != value.shape]
    if wrong:
        shape = list(wanted[wrong[0]].shape)
        raise BadWeights(f"{source} lacks {wrong[0]} of shape {shape}: it belongs to another network")
    module.load_state_dict({name: tensors[name] for name in wanted}, assign=True)
    module.requires_grad_(False).eval()
