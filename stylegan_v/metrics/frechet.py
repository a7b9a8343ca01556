"""The Fréchet distance of two feature distributions, taken as Gaussians (Heusel et al. 2017, eq. 6; Dowson and Landau 1982)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


def frechet_distance(mean_a: Array, cov_a: Array, mean_b: Array, cov_b: Array) -> float:
    """|mean_a - mean_b|² + tr(A + B - 2 (A B)^½) for means [K] and covariances [K, K], in float64; never negative.

    (A B)^½ has the trace of (A^½ B A^½)^½, which is symmetric: two eigen-decompositions give it without the complex
    parts and the failures of a general matrix root where a covariance is singular (fewer samples than features).
    """
    mean_a, cov_a, mean_b, cov_b = (np.asarray(x, dtype=np.float64) for x in (mean_a, cov_a, mean_b, cov_b))
    if mean_a.shape != mean_b.shape or cov_a.shape != cov_b.shape or cov_a.shape != mean_a.shape * 2:
        found = f"means {mean_a.shape} and {mean_b.shape}, covariances {cov_a.shape} and {cov_b.shape}"
        raise ValueError(f"{found} cannot be compared; both sides need a mean [K] and a covariance [K, K]")
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ cov_b @ root).clip(min=0)
    distance = np.square(mean_a - mean_b).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * np.sqrt(cross).sum()
    return max(float(distance), 0.0)  # rounding can leave -1e-12 for equal distributions


class FeatureStatistics:
    """Mean and covariance of features that arrive in batches; sums in float64, independent of the batches' sizes to rounding."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: Array | None = None
        self._scatter: Array | None = None  # sum of (x - mean)(x - mean)^T

    def add(self, features: Tensor) -> None:
        """Count features [N, K] in."""
        batch = features.detach().cpu().to(torch.float64).numpy()
        if batch.ndim != 2:
            raise ValueError(f"features of shape {batch.shape} cannot be counted; pass [N, K]")
        if len(batch) == 0:
            return
        mean = batch.mean(axis=0)
        scatter = (batch - mean).T @ (batch - mean)
        if self._mean is None or self._scatter is None:
            self.count, self._mean, self._scatter = len(batch), mean, scatter
            return
        # Chan, Golub and LeVeque's update: no difference of large sums.
        total = self.count + len(batch)
        shift = mean - self._mean
        self._scatter = self._scatter + scatter + np.outer(shift, shift) * (self.count * len(batch) / total)
        self._mean = self._mean + shift * (len(batch) / total)
        self.count = total

    @property
    def mean(self) -> Array:
        """Mean [K]."""
        if self._mean is None:
            raise ValueError("no features have been counted; add some first")
        return self._mean

    @property
    def cov(self) -> Array:
        """Unbiased covariance [K, K]; needs two samples."""
        if self._scatter is None or self.count < 2:
            raise ValueError(f"{self.count} samples have no covariance; add at least 2")
        return self._scatter / (self.count - 1)

    def distance(self, other: FeatureStatistics) -> float:
        """Fréchet distance to another set's statistics."""
        return frechet_distance(self.mean, self.cov, other.mean, other.cov)


def statistics(batches: Iterable[Tensor], features: Callable[[Tensor], Tensor]) -> FeatureStatistics:
    """Statistics of `features` over batches: frames [N, 3, H, W] in [-1, 1] to [N, K], or clips [N, T, 3, H, W] to [N, K] (FVD)."""
    result = FeatureStatistics()
    for batch in batches:
        result.add(features(batch))
    return result
