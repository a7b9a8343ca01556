"""The kernel distance of two sets of features: an unbiased squared maximum mean discrepancy (Bińkowski et al. 2018, KID)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SUBSETS, SIZE = 100, 1000  # of the paper's figures


@dataclass(frozen=True)
class KernelDistance:
    """Mean and standard deviation (nan for a single subset) over `subsets` subsets of `size` features of either set."""

    mean: float
    spread: float
    subsets: int
    size: int


def polynomial_kernel(a: Tensor, b: Tensor) -> Tensor:
    """(x·y / K + 1)³ for all pairs of rows of a [N, K] and b [M, K]: [N, M].

    >>> polynomial_kernel(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 5.0], [0.0, 1.0]])).tolist()
    [[8.0, 1.0]]
    """
    return (a @ b.T / a.shape[1] + 1) ** 3


def squared_discrepancy(a: Tensor, b: Tensor) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy of a [N, K] and b [M, K], N and M at least 2; may be negative.

    No pair of a row with itself is counted (Gretton et al. 2012, eq. 3). In float64.
    """
    _check(a, b)
    a, b = a.double(), b.double()
    return _within(a) + _within(b) - 2 * float(polynomial_kernel(a, b).mean())


def kernel_distance(a: Tensor, b: Tensor, rng: torch.Generator, *, subsets: int = SUBSETS, size: int = SIZE) -> KernelDistance:
    """KID of features a [N, K] and b [M, K]: the mean of `squared_discrepancy` over random subsets, drawn without replacement by `rng`.

    A set with fewer than `size` rows makes the subsets as small as itself; where both have no more, one subset is all there is to
    draw. Memory is that of three kernels [size, size].
    """
    _check(a, b)
    if subsets < 1 or size < 2:
        raise ValueError(f"found {subsets} subsets of {size} features; at least one of at least 2 is wanted")
    size = min(size, len(a), len(b))
    if size == len(a) == len(b):
        subsets = 1
    values = [squared_discrepancy(_subset(a, size, rng), _subset(b, size, rng)) for _ in range(subsets)]
    found = torch.tensor(values, dtype=torch.float64)
    return KernelDistance(float(found.mean()), float(found.std()) if subsets > 1 else math.nan, subsets, size)


def _within(rows: Tensor) -> float:
    kernel = polynomial_kernel(rows, rows)
    return float(kernel.sum() - kernel.diagonal().sum()) / (len(rows) * (len(rows) - 1))


def _subset(rows: Tensor, size: int, rng: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=rng)[:size].to(rows.device)]


def _check(a: Tensor, b: Tensor) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1:] != b.shape[1:] or min(len(a), len(b)) < 2:
        raise ValueError(f"features {list(a.shape)} and {list(b.shape)} cannot be compared; pass [N, K] and [M, K], N and M at least 2")
