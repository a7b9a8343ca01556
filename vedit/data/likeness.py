"""Clips that show the same: small grey pictures of a few moments, compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MOMENTS = 8
SIDE = 16  # pixels of a small picture
NEAR = 3.0  # mean difference of two signatures, of 255, up to which clips can show the same
# What moves tells a copy from another moment of the same scene: copies at half the size, strongly compressed or at another rate correlate
# by 0.79 and more, other moments of two talking heads and a sunset by 0.34 at most (in pieces of 32 and 64 frames).
MOVES_ALIKE = 0.7
STILL = 0.5  # root mean square of what moves, of 255, below which there is only rounding
STILL_NEAR = 1.0  # NEAR for clips in which nothing moves

Signature = NDArray[np.uint8]
"""uint8 [MOMENTS, SIDE, SIDE]."""


def thumbnail(frame: Tensor) -> Tensor:
    """A frame, uint8 [3, H, W], as a small grey picture, uint8 [SIDE, SIDE]."""
    grey = frame.float().mean(dim=0)[None]
    small: Tensor = torch.nn.functional.adaptive_avg_pool2d(grey, SIDE)[0]
    return small.round().to(torch.uint8)


def signature(thumbnails: Sequence[Tensor]) -> Signature:
    """What a clip looks like at MOMENTS evenly spread moments, from the thumbnails of all its frames."""
    moments = np.linspace(0, len(thumbnails) - 1, MOMENTS).round().astype(int)
    return np.stack([thumbnails[i].numpy() for i in moments])


def near_duplicates(signatures: Sequence[Signature]) -> Iterator[tuple[int, int]]:
    """Pairs (i, j), i < j, by ascending j: clip j shows the same as i, the first clip like it that is no near-duplicate itself.

    Two means differ by no more than the mean difference, so only clips of almost one brightness are compared.
    """
    if not signatures:
        return
    rows = np.stack(signatures).reshape(len(signatures), -1)
    means = rows.mean(axis=1, dtype=np.float64)
    order = np.argsort(means, kind="stable")
    ascending = means[order]
    kept = np.ones(len(rows), dtype=bool)
    for j in range(len(rows)):
        begin, end = ascending.searchsorted(means[j] - NEAR), ascending.searchsorted(means[j] + NEAR, side="right")
        others = np.sort(order[begin:end])
        others = others[(others < j) & kept[others]]
        if not len(others):
            continue
        like = others[_alike(rows[others], rows[j])]
        if len(like):
            kept[j] = False
            yield int(like[0]), j


def _alike(rows: NDArray[np.uint8], row: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the signatures [N, P] show the same as the signature [P]."""
    ours, theirs = row.astype(np.float32), rows.astype(np.float32)
    apart = np.abs(theirs - ours).mean(axis=1)
    ours, theirs = _moving(ours[None]), _moving(theirs)
    our_size, their_size = (np.sqrt(np.square(moving).mean(axis=1)) for moving in (ours, theirs))
    still = (our_size < STILL) & (their_size < STILL)
    alike = (ours * theirs).mean(axis=1) >= MOVES_ALIKE * our_size * their_size
    found: NDArray[np.bool_] = np.where(still, apart <= STILL_NEAR, (apart <= NEAR) & alike & ~still)
    return found


def _moving(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is left of signatures [N, P] without the mean of their moments."""
    moments = rows.reshape(len(rows), MOMENTS, -1)
    moving: NDArray[np.float32] = (moments - moments.mean(axis=1, keepdims=True)).reshape(len(rows), -1)
    return moving
