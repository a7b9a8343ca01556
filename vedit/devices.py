"""Which device and which precision to compute with."""

from __future__ import annotations

import torch

from vedit.errors import VeditError


class DeviceError(VeditError, ValueError):
    """A device was asked for that this machine does not have."""


def pick_device(name: str = "auto") -> str:
    """`auto` is cuda, mps or cpu, the first there is; a name is checked. Raises DeviceError."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, there in present.items() if there)
    if name not in present:
        raise DeviceError(f"there is no device {name!r}; choose auto, cpu, cuda or mps")
    if not present[name]:
        raise DeviceError(f"this machine has no {name}; choose --device auto or cpu")
    return name


def pick_precision(name: str, device: str) -> torch.dtype:
    """`auto` is bfloat16 where the hardware computes in it, else float32."""
    if name == "fp32":
        return torch.float32
    if name == "bf16":
        return torch.bfloat16
    if name != "auto":
        raise DeviceError(f"there is no precision {name!r}; choose auto, fp32 or bf16")
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if device == "cpu" and _cpu_multiplies_bf16() else torch.float32


def _cpu_multiplies_bf16() -> bool:
    """Whether the processor has matrix units (AMX): with AVX-512's bfloat16 alone, convolutions take twice as long as in float32."""
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(tiles and tiles())
