"""Changes to measure with: a prompt's direction at strength 1, as `vedit edit` would save it, random ones, and the world's own exact ones."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_v import Generator
from vedit import directions, editing
from vedit.progress import finish

Delta = Mapping[str, Tensor]
"""A change of styles at strength 1: layer name → [I]."""


def prompt_delta(generator: Generator, prompt: str, clip: str) -> Delta:
    """What `vedit edit --prompt PROMPT` does to every moment of a clip of this generator at strength 1."""
    return finish(editing.make(generator, prompt, clip=clip)).direction


def random_deltas(generator: Generator, motion_v: Tensor, like: Delta, pairs: int, rng: torch.Generator) -> list[Delta]:
    """Random directions over the layers that `like` touches, each the way from one random content to another, and all their opposites.

    They stay among styles that the generator knows, as an edit does; with its opposite, a direction's linear part cancels in
    the mean, which then shows what *any* change of that size does to an attribute.
    """
    found: list[Delta] = []
    for _ in range(pairs):
        z = torch.randn(2, generator.cfg.z_dim, generator=rng)
        with torch.no_grad():
            styles = generator.styles(generator.mapping(z), motion_v[:1, :1].expand(2, -1, -1))
        way = {name: (styles[name][1] - styles[name][0]).flatten() for name in like}
        found += [way, {name: -value for name, value in way.items()}]
    return found


def exactly(attributes: Tensor, row: Tensor, strength: float) -> Tensor:
    """Attributes [N, A] of a world moved along a target's `row` [A] as far as a strength moves w, in standard deviations; nothing else moves.

    Contents are a world's normal numbers; attributes end where contents go on, so that one that stands near its end hardly moves.
    """
    contents = math.sqrt(2) * torch.erfinv(attributes) + strength * directions.LENGTH * F.normalize(row, dim=0)
    return torch.erf(contents / math.sqrt(2))
