"""Devices and precisions are chosen by what the machine computes in, and what it lacks is refused."""

from __future__ import annotations

import pytest
import torch

from tests.tiny_generator import tiny_generator
from vedit import sampling
from vedit.devices import DeviceError, pick_device, pick_precision
from vedit.latents import LatentVideo, Spline, knots


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


def test_times_stay_where_they_are_and_frames_come_from_the_generators_device() -> None:
    """The meta device refuses to be mixed with another, as a card would."""
    generator = tiny_generator().to("meta")
    t = torch.arange(5, dtype=torch.float64)
    (frames,) = sampling.sample(generator, sampling.content_of(generator, 0), 1, t)
    assert frames.device.type == "meta" and frames.shape[0] == 5
    span, cfg = 4.0, generator.cfg
    assert cfg.motion is not None
    motion_z = sampling.motion_codes_of(generator, 1, 40)
    splines = [Spline(torch.zeros(knots(span, 2.0), *shape, device="meta"), 2.0, span) for shape in ((generator.num_ws, cfg.w_dim), (cfg.motion_dim,))]
    ws = sampling.content_of(generator, 0)[0]
    latents = LatentVideo(ws, generator.trajectory(motion_z)[0], motion_z[0], span, *splines)
    ws, motion_v = latents.at(generator, t)
    assert motion_v is not None and (ws.device.type, motion_v.device.type) == ("meta", "meta")
    assert ws.shape[1] == motion_v.shape[1] == 5
