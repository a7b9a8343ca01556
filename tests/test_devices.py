"""Devices and precisions are chosen by what the machine computes in, and what it lacks is refused."""

from __future__ import annotations

import pytest
import torch

from vedit.devices import DeviceError, pick_device, pick_precision


@pytest.mark.parametrize(("tiles", "wanted"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_processor_computes_in_bfloat16_only_with_matrix_units(tiles: bool, wanted: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles, raising=False)
    assert pick_precision("auto", "cpu") == wanted
    assert (pick_precision("fp32", "cpu"), pick_precision("bf16", "cpu")) == (torch.float32, torch.bfloat16)


def test_a_torch_that_cannot_tell_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert pick_precision("auto", "cpu") == torch.float32


def test_what_is_not_there_is_refused() -> None:
    assert pick_device("cpu") == "cpu" and pick_device() in ("cpu", "cuda", "mps")
    with pytest.raises(DeviceError, match="no device 'tpu'"):
        pick_device("tpu")
    with pytest.raises(DeviceError, match="no precision 'fp8'"):
        pick_precision("fp8", "cpu")
