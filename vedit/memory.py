"""How the process holds on to the memory that it has freed, and how much it has used."""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8  # parameters of glibc's mallopt (malloc.h)
NEVER = 2**31 - 1
OUT_OF_MEMORY = "memory ran out; end what else uses it, or take smaller pieces, or where it was a card's another --device"


def keep_freed_memory() -> bool:
    """Let the C library keep freed blocks for the next request. Returns whether it could: it must be glibc.

    By default glibc maps a large block anew for every tensor, and the system fills its pages with zeros at the first touch: at 256²
    half of a render's time. One arena serves all threads, since those that glibc gives to further threads cannot hold large blocks.
    What was in use once stays with the process. It is a setting of the process that cannot be taken
    back, so a program makes it at its start (the `vedit` command does), never the library.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all([bool(mallopt(name, value)) for name, value in ((MMAP_MAX, 0), (TRIM_THRESHOLD, NEVER), (ARENA_MAX, 1))])


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out: the card's, torch's on the CPU, or Python's own."""
    if "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from stylegan_v.memory import ran_out as told  # imported here: commands that need no torch import none

    return told(error)


def peak_memory(device: str) -> int | None:
    """The most memory that this process has used so far, in bytes: the card's on CUDA, else the machine's; None on Windows."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
