"""How much memory work takes, measured, and an estimate that keeps a run from being begun that would not fit."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from stylegan_v import GeneratorConfig
from vedit.bench.sizes import Size


def peak_of(run: Callable[[], object], device: str) -> int | None:
    """Run it, and tell the most memory in use meanwhile, in bytes: the card's on CUDA, else all that this process holds; None off Linux.

    Memory that was freed earlier is handed back first, so that only this run counts.
    """
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated()
    hand_back()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew (proc(5))
    except OSError:
        run()
        return None
    run()
    return _kilobytes("/proc/self/status", "VmHWM")


def hand_back() -> None:
    """Hand freed memory back to the system, where the C library can."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def room(device: str) -> int | None:
    """Bytes that are free, the card's on CUDA; None where the system does not tell."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    return _kilobytes("/proc/meminfo", "MemAvailable")


def _kilobytes(path: str, name: str) -> int | None:
    """The value of a line such as `VmHWM:   1234 kB`, in bytes."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    values = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(values[0]) * 1024 if values else None


def activations(cfg: GeneratorConfig, frames: int) -> int:
    """Bytes of what the generator's 3×3 layers put out for so many frames, in float32."""
    return sum(4 * frames * cfg.channels(resolution) * resolution**2 * (1 if resolution == 4 else 2) for resolution in cfg.resolutions)


# Peak memory in units of `activations`, as measured at 256² and 1024²: the reference with the C library's memory as it comes, the
# fast path in float32, and the reference with freed memory kept, which fits less well into what was freed.
NEEDS = {
    "render": (1.3, 1.2, 2.6),
    "projection": (6.0, 7.0, 9.0),
    "tuning": (6.0, 7.0, 9.5),
    "training": (8.0, 10.5, 15.5),
    "statistics": (1.5, 2.0, 2.6),
}
BASE = 400 << 20  # bytes: a process with PyTorch and what the work imports


def needed(task: str, size: Size, *, fast: bool, kept: bool) -> int:
    """An estimate of the memory of a task, bytes."""
    plain, quick, clinging = NEEDS.get(task, (0.0, 0.0, 0.0))
    frames = size.samples if task == "statistics" else size.frames
    return BASE + round((quick if fast else clinging if kept else plain) * activations(size.generator, frames))
