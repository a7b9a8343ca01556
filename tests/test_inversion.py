"""What the inversion's minibatches are made of, and where its contents stay."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tests.test_tuning import clip_of
from tests.tiny_generator import tiny_generator
from vedit.inversion import InversionConfig, add_residuals, invert, neighbours, prior
from vedit.latents import LatentVideo
from vedit.progress import Task, finish


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


@pytest.mark.parametrize("stage", [invert, add_residuals])
def test_both_stages_hold_the_content_to_the_generators_own(stage: Callable[..., Task[LatentVideo]]) -> None:
    generator = tiny_generator(resolution=32)
    target, latents = clip_of(generator)
    spread = prior(generator, 0)

    def away(content_prior: float) -> float:
        cfg = InversionConfig(steps=40, content_prior=content_prior)
        ws = finish(stage(generator, target, latents, spread, cfg, 0)).ws
        return float(((ws - spread.w_mean) / spread.w_std).square().mean())

    assert away(10.0) < 0.8 * away(0.0)
