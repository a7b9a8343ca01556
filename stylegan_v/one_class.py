"""A conditional generator with its class fixed: the label's share of every first layer is a constant, and goes into the bias."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from stylegan_v.checkpoint import model_hash
from stylegan_v.generator import Generator
from stylegan_v.layers import Conv1d, Linear, normalise
from stylegan_v.mapping import Mapping
from stylegan_v.motion import MotionEncoder


@torch.no_grad()
def of_class(generator: Generator, c: Tensor) -> Generator:
    """The unconditional generator (eval, frozen, on the same device) that draws what `generator` draws for the label c [c_dim].

    It has a hash of its own and `w_avg` of all classes. Raises ValueError for a label of another size.
    """
    cfg = generator.cfg
    if not cfg.c_dim or c.shape != (cfg.c_dim,):
        raise ValueError(f"found a label {list(c.shape)} for a generator with c_dim {cfg.c_dim}; wanted [{cfg.c_dim or '> 0'}]")
    single = Generator(dataclasses.replace(cfg, c_dim=0)).to(generator.device)
    kept = generator.state_dict()
    single.load_state_dict({name: kept[name] for name, value in single.state_dict().items() if kept[name].shape == value.shape}, strict=False)
    c = c.to(generator.device)
    _fold_mapping(generator.mapping, single.mapping, c)
    if cfg.motion is not None:
        _fold_motion(generator.synthesis.motion_encoder, single.synthesis.motion_encoder, c)
    single.metadata, single.hash = dict(generator.metadata), model_hash(single)
    return single.eval().requires_grad_(False)


def _fold_mapping(old: Mapping, new: Mapping, c: Tensor) -> None:
    first, single = old.fc0, new.fc0
    assert isinstance(first, Linear) and isinstance(single, Linear) and isinstance(old.embed, Linear)
    _fold(first, single, normalise(old.embed(c.unsqueeze(0)))[0])


def _fold_motion(old: MotionEncoder, new: MotionEncoder, c: Tensor) -> None:
    if old.cfg.kind == "conv":
        first, single = old.conv[0], new.conv[0]
        assert isinstance(first, Conv1d) and isinstance(single, Conv1d)
        _fold(first, single, c)
        return
    before, after, width = dict(old.rnn.named_parameters()), dict(new.rnn.named_parameters()), new.rnn.input_size
    after["weight_ih_l0"].copy_(before["weight_ih_l0"][:, :width])
    after["bias_ih_l0"].copy_(before["bias_ih_l0"] + before["weight_ih_l0"][:, width:] @ c)
    _fold_mapping(old.mapping, new.mapping, c)


def _fold(first: Linear | Conv1d, single: Linear | Conv1d, constant: Tensor) -> None:
    """Give `single` the columns of `first` for what varies, and its bias those for the `constant` that comes after them."""
    width = single.weight.shape[1]
    single.weight.copy_(first.weight[:, :width] * (first.weight_gain / single.weight_gain))
    columns = first.weight[:, width:] * first.weight_gain
    share = (columns if columns.ndim == 2 else columns.sum(dim=2)) @ constant
    assert isinstance(first.bias, nn.Parameter) and isinstance(single.bias, nn.Parameter)
    single.bias.copy_(first.bias + share / first.bias_gain)
