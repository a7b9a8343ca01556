"""What the inversion's minibatches are made of."""

from __future__ import annotations

import pytest
import torch

from vedit.inversion import neighbours


@pytest.mark.parametrize("count, batch", [(48, 12), (12, 12), (13, 12), (1, 1), (200, 12)])
def test_minibatches_are_neighbours_and_reach_the_ends(count: int, batch: int) -> None:
    rng = torch.Generator().manual_seed(0)
    seen = torch.zeros(count)
    for _ in range(4000):
        index = neighbours(count, batch, rng)
        assert index.tolist() == list(range(int(index[0]), int(index[0]) + batch))
        assert 0 <= index[0] and index[-1] < count
        seen[index] += 1
    assert seen[[0, -1]].min() > 0.5 * seen.mean(), "the ends are seen too seldom"
