"""Improved precision and recall: which share of one set lies on the manifold of the other (Kynkäänniemi et al. 2019, eq. 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NEIGHBOURS = 3  # of the paper's figures
CHUNK = 2048  # rows on a side of the distances that are held at once: 32 MB
SLACK = 1e-12  # of the squares' size: distances that are equal but for rounding count as equal


@dataclass(frozen=True)
class PrecisionRecall:
    """`precision`: share of generated features on the real manifold; `recall`: share of real features on the generated one."""

    precision: float
    recall: float


def precision_recall(real: Tensor, fake: Tensor, *, neighbours: int = NEIGHBOURS, chunk: int = CHUNK) -> PrecisionRecall:
    """Precision and recall of features `fake` [M, K] against `real` [N, K], N and M above `neighbours`.

    A set's manifold is the union of the balls around its features that reach to their k-th nearest neighbour (themselves not
    counted). In float64; never more than `chunk` × `chunk` distances are held, and the result does not depend on it.
    """
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1:] != fake.shape[1:] or min(len(real), len(fake)) <= neighbours or neighbours < 1:
        found = f"features {list(real.shape)} and {list(fake.shape)} with {neighbours} neighbours"
        raise ValueError(f"{found} have no manifolds; pass [N, K] and [M, K] with more rows than neighbours, of which there is at least one")
    centre = real.double().mean(dim=0)  # squares of centred features lose no digits to a common offset
    real, fake = real.double() - centre, fake.double() - centre
    return PrecisionRecall(
        precision=_covered(fake, real, _radii(real, neighbours, chunk), chunk),
        recall=_covered(real, fake, _radii(fake, neighbours, chunk), chunk),
    )


def _radii(rows: Tensor, neighbours: int, chunk: int) -> Tensor:
    """Squared distance [N] of every row to its k-th nearest other row."""
    found = []
    for i, some in enumerate(rows.split(chunk)):
        nearest = rows.new_full((len(some), neighbours), torch.inf)
        for j, others in enumerate(rows.split(chunk)):
            distances = _squared(some, others)
            if i == j:
                distances.fill_diagonal_(torch.inf)
            nearest = torch.cat([nearest, distances], dim=1).topk(neighbours, dim=1, largest=False).values
        found.append(nearest[:, -1])
    return torch.cat(found)


def _covered(rows: Tensor, centres: Tensor, radii: Tensor, chunk: int) -> float:
    """Share of rows [N, K] inside a ball around any of `centres` [M, K] with squared `radii` [M]."""
    count = 0
    for some in rows.split(chunk):
        inside = torch.zeros(len(some), dtype=torch.bool, device=rows.device)
        for balls, reach in zip(centres.split(chunk), radii.split(chunk), strict=True):
            slack = SLACK * (some.square().sum(dim=1, keepdim=True) + balls.square().sum(dim=1))
            inside |= (_squared(some, balls) <= reach + slack).any(dim=1)
        count += int(inside.sum())
    return count / len(rows)


def _squared(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances [N, M] of rows."""
    squares = a.square().sum(dim=1, keepdim=True) + b.square().sum(dim=1)
    return squares.sub_(a @ b.T, alpha=2).clamp_(min=0)
