"""Clips that show the same: small grey pictures of a few moments, compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MOMENTS = 8
SIDE = 16  # pixels of a small picture
NEAR = 1.5  # mean difference of two signatures, of 255, up to which clips are near-duplicates
FAR = 12.0  # the same of any one moment

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
        apart = (
            np.abs(rows[others].astype(np.int16) - rows[j].astype(np.int16))
            .reshape(len(others), MOMENTS, -1)
            .mean(axis=2)
        )
        like = others[(apart.mean(axis=1) <= NEAR) & (apart.max(axis=1) <= FAR)]
        if len(like):
            kept[j] = False
            yield int(like[0]), j
