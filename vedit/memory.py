"""How the process holds on to the memory that it has freed."""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # parameters of glibc's mallopt (malloc.h)
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let the C library keep freed blocks for the next request. Returns whether it could: it must be glibc.

    By default glibc maps a large block anew for every tensor, and the system fills its pages with zeros at the first touch: at 256²
    half of a render's time. What was in use once stays with the process. It is a setting of the process that cannot be taken
    back, so a program makes it at its start (the `vedit` command does), never the library.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, NEVER))
