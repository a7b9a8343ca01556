"""How well a text–image model knows a world: probes of single words against true attributes, and retrieval of captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from vedit.clip_examples import ExamplePool
from vedit.guidance import Guidance


class Probe(BaseModel):
    """A prompt pair whose score must follow known attribute columns: `columns` holds the direction in attribute space."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    world: str
    prompt: str
    neutral: str
    columns: dict[str, float]


@dataclass(frozen=True)
class ProbeScore:
    """correlation: of the pair's score with the wanted direction.  pick: how often, of a frame from the upper and one from
    the lower third, the right one fits the prompt better.  leak: largest correlation with any other column, by name.
    """

    probe: Probe
    correlation: float
    pick: float
    leak: float
    leaking: str


@torch.no_grad()
def probe(guidance: Guidance, pool: ExamplePool, probes: Sequence[Probe], frames: int = 2000) -> list[ProbeScore]:
    """Scores of all probes of the pool's world on held-out frames: the pool's own seed must be one no training used."""
    images, attributes = pool.sample(frames, torch.Generator().manual_seed(pool.seed))
    vectors = torch.cat([guidance.encode_images(chunk) for chunk in images.split(100)])
    return [_probe(guidance, vectors, attributes, pool, each) for each in probes if each.world == pool.world.name]


def _probe(guidance: Guidance, vectors: Tensor, attributes: Tensor, pool: ExamplePool, each: Probe) -> ProbeScore:
    prompt, neutral = guidance.encode_texts([each.prompt, each.neutral])
    score = vectors @ (prompt - neutral)
    row = torch.tensor([each.columns.get(column, 0.0) for column in pool.world.columns])
    wanted = attributes @ row
    third = len(wanted) // 3
    order = wanted.argsort()
    pick = (score[order[-third:], None] > score[None, order[:third]]).float().mean()
    others = [(abs(_correlation(score, attributes[:, i])), c) for i, c in enumerate(pool.world.columns) if row[i] == 0]
    leak, leaking = max(others)
    return ProbeScore(each, _correlation(score, wanted), float(pick), leak, leaking)


@torch.no_grad()
def retrieval(guidance: Guidance, pool: ExamplePool, candidates: int = 64, rounds: int = 16) -> float:
    """How often a frame's own caption fits it best among those of `candidates` frames; chance is 1 / candidates.

    Captions that fit several frames count as wrong where another of them wins: 1 is out of reach.
    """
    rng = torch.Generator().manual_seed(pool.seed)
    right = 0
    for _ in range(rounds):
        images, attributes = pool.sample(candidates, rng)
        fits = guidance.encode_images(images) @ guidance.encode_texts(pool.world.captions(attributes, rng)).T
        right += int((fits.argmax(dim=1) == torch.arange(candidates)).sum())
    return right / (rounds * candidates)


def _correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1])
