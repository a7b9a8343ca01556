"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from vedit.devices import pick_precision


@dataclass(frozen=True)
class Machine:
    """Processor and cores that this process may use, PyTorch and its threads, the device of the networks, and whether it computes in bfloat16."""

    processor: str
    cores: int
    torch: str
    threads: int
    device: str
    bf16: bool

    @classmethod
    def here(cls, device: str) -> Machine:
        """This machine."""
        name = torch.cuda.get_device_name(0) if device == "cuda" else device
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        bf16 = pick_precision("auto", device) == torch.bfloat16
        return cls(_processor(), cores, torch.__version__, torch.get_num_threads(), name, bf16)


def _processor() -> str:
    """The processor's name as Linux gives it, elsewhere as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
