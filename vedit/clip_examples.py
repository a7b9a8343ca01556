"""(image, caption) pairs of the worlds for training a text–image model: drawn, kept in a pool, varied in looks and words."""

from __future__ import annotations

import random
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_v import Generator, load_generator
from vedit.guidance import STOP_WORDS, words
from vedit.worlds.base import World

NEUTRAL = {
    "portraits": (
        "a person",
        "a face",
        "a portrait",
        "a photo of a person",
        "a picture of a face",
        "someone",
        "a person talking",
        "a head",
    ),
    "skies": (
        "a sky",
        "the sky",
        "a landscape",
        "a photo of the sky",
        "a picture of a sky",
        "a scene",
        "a view",
        "sky over a landscape",
    ),
}
_OPENINGS = """a photo of; a picture of; an image of; a video of; this is; here is; a frame of; we see; it shows; a photograph of;
a shot of; look at; a clip of; make it; show me""".replace("\n", " ").split("; ")


class ExamplePool:
    """Frames of a world with their attributes: a ring of `capacity`, `fresh` of them drawn anew at every step.

    What a step draws depends on the seed and the step alone, so that a resumed training sees the same frames. From step
    `generator_from` on, `share` of them come from the generator checkpoint `generator`, made for the world (paired: its
    attributes are known functions of z); the file is not needed before.
    """

    def __init__(
        self,
        world: World,
        size: int,
        capacity: int,
        fresh: int,
        seed: int,
        generator: str | Path | None = None,
        share: float = 0.0,
        generator_from: int = 0,
    ) -> None:
        if capacity % fresh:
            raise ValueError(f"a pool of {capacity} frames cannot be renewed in steps of {fresh}; take a multiple")
        self.world, self.size, self.fresh, self.seed = world, size, fresh, seed
        self.path, self.share, self.generator_from = generator, share, generator_from
        self.images = torch.zeros(capacity, 3, size, size, dtype=torch.uint8)
        self.attributes = torch.zeros(capacity, len(world.columns))

    @cached_property
    def generator(self) -> Generator:
        """The generator that frames are taken from."""
        assert self.path is not None
        return load_generator(self.path)

    def fill(self, step: int) -> None:
        """Draw all that the pool holds just before `step`."""
        for earlier in range(step - len(self.images) // self.fresh, step):
            self.renew(earlier)

    def renew(self, step: int) -> None:
        """Replace the oldest frames by those of `step` (which may be negative)."""
        rng = torch.Generator().manual_seed(self.seed * 1_000_003 + step + 500_000)
        own = self.path is not None and step >= self.generator_from
        frames, attributes = self._draw(self.fresh, rng, self.share if own else 0.0)
        start = step * self.fresh % len(self.images)
        self.images[start : start + self.fresh] = frames.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        self.attributes[start : start + self.fresh] = attributes

    def sample(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """n different frames [n, 3, S, S] in [-1, 1] and their attributes [n, A]."""
        index = torch.randperm(len(self.images), generator=rng)[:n]
        return self.images[index].float().div(127.5).sub(1), self.attributes[index]

    def _draw(self, n: int, rng: torch.Generator, share: float) -> tuple[Tensor, Tensor]:
        own = round(n * share)
        paired = (n - own) // 2
        counts = {self._drawn_paired: paired, self._drawn_freely: n - own - paired, self._generated: own}
        parts = [draw(count, rng) for draw, count in counts.items() if count]
        return torch.cat([frames for frames, _ in parts]), torch.cat([attributes for _, attributes in parts])

    def _drawn_freely(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        attributes = self.world.random_attributes(n, rng)
        motion = self.world.random_motion(torch.rand(n, 1, generator=rng) * 64, rng)
        return self.world.draw_clips(attributes, motion, self.size)[:, 0], attributes

    def _drawn_paired(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        z, t, motion_z = random_inputs(self.world, n, rng)
        return self.world.clips(z, t, motion_z, self.size)[:, 0], self.world.attributes_from_z(z)

    @torch.no_grad()
    def _generated(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        z, t, motion_z = random_inputs(self.world, n, rng)
        frames = self.generator.synthesis(self.generator.mapping(z), t, motion_z)[:, 0]
        if frames.shape[-1] != self.size:
            frames = F.interpolate(
                frames, size=(self.size, self.size), mode="bilinear", antialias=True, align_corners=False
            )
        return frames.float(), self.world.attributes_from_z(z)


def random_inputs(world: World, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """z [n, z_dim], one time t [n, 1] within two code spacings, and the motion codes that it reads [n, M, motion_z_dim]."""
    z = torch.randn(n, world.z_dim, generator=rng)
    t = torch.rand(n, 1, generator=rng) * 2 * world.distance
    codes = 4 + 2 * (world.kernel_size - 1)
    return z, t, torch.randn(n, codes, world.motion_z_dim, generator=rng)


def reword(caption: str, rng: random.Random) -> str:
    """A caption with another opening now and then, or without some of its small words, so that wording matters little."""
    pieces = caption.split()
    if rng.random() < 0.3:
        pieces = [piece for piece in pieces if piece.lower() not in STOP_WORDS or rng.random() < 0.5] or pieces
    if rng.random() < 0.25:
        pieces = [rng.choice(_OPENINGS), *pieces]
    return " ".join(pieces)


class CaptionedRows:
    """Attribute rows with a caption each, so chosen that no telling word is rare.

    A world speaks of what it shows: "blond" stands in one caption of three hundred and would be learnt that slowly. Of `drafts`
    times as many pairs as are wanted those with seldom words are kept more readily. The choice looks at captions only, so
    that what a caption says about the attributes stays as it is. A word is telling where the mean attributes of its captions
    are far from zero. One draft keeps every pair.
    """

    SURVEYED = 6000  # captions that are drawn to count words
    MOST = 250.0  # the rarest words are not taken for rarer than one in so many captions, or synonyms would crowd out the rest

    def __init__(self, world: World, seed: int, drafts: int = 1, neutral_share: float = 0.04) -> None:
        self.world, self.drafts, self.neutral_share = world, drafts, neutral_share
        self.weights = self._seldom_words(seed) if drafts > 1 else {}

    def _seldom_words(self, seed: int) -> dict[str, float]:
        """How many captions there are for one that has the word, for every telling word."""
        rng = torch.Generator().manual_seed(seed)
        attributes = self.world.random_attributes(self.SURVEYED, rng)
        rows: dict[str, list[int]] = {}
        for i, caption in enumerate(self.world.captions(attributes, rng)):
            for word in set(words(caption)):
                rows.setdefault(word, []).append(i)
        return {
            word: min(self.MOST, self.SURVEYED / len(found))
            for word, found in rows.items()
            if len(found) >= 8 and float(attributes[found].mean(0).abs().max()) > 0.25
        }

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, list[str]]:
        """Attributes [n, A] and a caption of each, reworded; some say no more than what world it is."""
        attributes = self.world.random_attributes(n * self.drafts, rng)
        draw = random.Random(int(torch.randint(2**31, (1,), generator=rng)))
        texts = self.world.captions(attributes, rng)
        if self.drafts > 1:
            weights = [max((self.weights.get(word, 1.0) for word in words(text)), default=1.0) for text in texts]
            kept = torch.multinomial(torch.tensor(weights).square(), n, generator=rng)
            attributes, texts = attributes[kept], [texts[i] for i in kept.tolist()]
        return attributes, [self._said(text, draw) for text in texts]

    def _said(self, caption: str, draw: random.Random) -> str:
        if draw.random() < self.neutral_share:
            return draw.choice(NEUTRAL[self.world.name])
        return reword(caption, draw)
