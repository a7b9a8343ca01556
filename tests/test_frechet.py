"""Laws of the Fréchet distance and of the statistics it is taken from."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from stylegan_v.metrics.frechet import FeatureStatistics, frechet_distance, statistics


def gaussian(seed: int, features: int = 12, samples: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rows = np.random.default_rng(seed).normal(size=(samples, features)) @ np.random.default_rng(seed + 1).normal(
        size=(features, features)
    )
    return rows.mean(axis=0), np.cov(rows, rowvar=False)


def test_distance_to_itself_is_zero() -> None:
    assert frechet_distance(*gaussian(0), *gaussian(0)) < 1e-9


def test_distance_is_symmetric_and_positive() -> None:
    a, b = gaussian(0), gaussian(5)
    assert frechet_distance(*a, *b) == pytest.approx(frechet_distance(*b, *a), rel=1e-9)
    assert frechet_distance(*a, *b) > 1


def test_distance_equals_the_formula_with_a_general_matrix_root() -> None:
    (mean_a, cov_a), (mean_b, cov_b) = gaussian(1), gaussian(7)
    expected = np.square(mean_a - mean_b).sum() + np.trace(cov_a + cov_b - 2 * np.real(sqrtm(cov_a @ cov_b)))
    assert frechet_distance(mean_a, cov_a, mean_b, cov_b) == pytest.approx(expected, rel=1e-8)


def test_one_dimension_has_its_closed_form() -> None:
    one = np.ones((1, 1))
    assert frechet_distance(np.zeros(1), 4 * one, np.array([3.0]), 25 * one) == pytest.approx(9 + (2 - 5) ** 2)


def test_singular_covariances_are_no_trouble() -> None:
    few = gaussian(3, features=30, samples=5)
    assert frechet_distance(*few, *few) < 1e-6
    assert np.isfinite(frechet_distance(*few, *gaussian(4, features=30, samples=6)))


def test_statistics_do_not_depend_on_the_batches() -> None:
    rows = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) + 100
    once, often = FeatureStatistics(), FeatureStatistics()
    once.add(rows)
    for batch in rows.split([1, 20, 0, 29]):
        often.add(batch)
    assert often.count == once.count == 50
    np.testing.assert_allclose(often.mean, rows.double().mean(dim=0).numpy(), rtol=1e-12)
    np.testing.assert_allclose(often.cov, np.cov(rows.double().numpy(), rowvar=False), rtol=1e-9)
    assert once.distance(often) < 1e-9


def test_statistics_run_the_features_they_are_given() -> None:
    frames = torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    result = statistics(frames.split(3), lambda batch: batch.mean(dim=(2, 3)))
    np.testing.assert_allclose(result.mean, frames.mean(dim=(0, 2, 3)).numpy(), rtol=1e-6)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="covariances"):
        frechet_distance(np.zeros(3), np.eye(3), np.zeros(4), np.eye(4))
    with pytest.raises(ValueError, match="at least 2"):
        _ = FeatureStatistics().cov
