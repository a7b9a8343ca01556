"""Streams of random numbers: every draw of a training or of a data set has one of its own."""

from __future__ import annotations

import hashlib

import torch


def stream(seed: int, *place: str | int) -> torch.Generator:
    """A stream of random numbers for one place, such as a purpose and a number: the same for the same seed and place, whatever else is drawn.

    >>> bool(torch.rand((), generator=stream(3, "order", 1)) == torch.rand((), generator=stream(3, "order", 1)))
    True
    """
    digest = hashlib.sha256(" ".join(map(str, (seed, *place))).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
