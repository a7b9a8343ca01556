"""Codes of the data's own clips: what holds a generator to a few real clips, beside the game or before it.

Few clips leave a game little to go by: its judges know them by heart long before the generator has found a face. So every clip gets a
z and motion codes of its own, which are learned along with the generator by drawing it again (Bojanowski et al. 2018, "Optimizing the
Latent Space of Generative Networks"); all other z and motions are the game's as before.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from stylegan_v.game_config import GameConfig, PairsConfig
from stylegan_v.game_draws import Clips, usable_clips
from stylegan_v.generator import Generator
from stylegan_v.losses import pyramid_distance
from stylegan_v.streams import stream


class Pairs(nn.Module):
    """Codes of E clips, the mirrored ones after the others: `z` [E, z_dim] and `motion_z` [E, M, C], each of mean square 1; M is the longest clip's.

    A clip's place is its item number in `ClipSampler`.
    """

    def __init__(self, cfg: GameConfig, clips: Clips, generator: Generator) -> None:
        super().__init__()
        assert cfg.pairs is not None and cfg.generator.motion is not None
        self.cfg: PairsConfig = cfg.pairs
        usable = usable_clips(cfg, clips)
        entries = len(usable) * (2 if cfg.sampling.flip else 1)
        codes = generator.num_motion_codes(max(clips.lengths[clip] for clip in usable) - 1)
        rng = stream(cfg.seed, "pairs", 0)
        self.z = nn.Parameter(torch.randn(entries, cfg.generator.z_dim, generator=rng))
        self.motion_z = nn.Parameter(torch.randn(entries, codes, cfg.generator.motion.z_dim, generator=rng))
        self.standardise()

    def draw(self, generator: Generator, items: Tensor, t: Tensor, c: Tensor | None, *, lower: bool = False) -> list[Tensor]:
        """Clips [N, T, 3, H, W] of the codes of `items` [N] at t [N, T]; with `lower` at every resolution, the lowest first."""
        w = generator.mapping.w(self.z[items], c)
        ws = w.unsqueeze(1).expand(-1, generator.num_ws, -1)
        motion_v = generator.motion(t, self.motion_z[items], c)
        return generator.synthesis.pyramid(ws, motion_v) if lower else [generator.synthesis(ws, motion_v=motion_v)]

    def distance(self, generator: Generator, items: Tensor, real: Tensor, t: Tensor, c: Tensor | None) -> Tensor:
        """How far the drawn clips are from the real ones [N, T, 3, H, W]."""
        images = self.draw(generator, items, t, c, lower=self.cfg.pyramid > 0)
        return pyramid_distance(images, real, self.cfg.pyramid, edges=self.cfg.edges, motion=self.cfg.motion, moving=self.cfg.moving)

    def rate(self, step: int, batch: int) -> float:
        """The generator's learning rate in a step before the game begins."""
        return self.cfg.lr * min(1.0, (step + 1) / 100) * self.pace(step * batch / 1000 / self.cfg.kimg)

    def code_rates(self, factor: float) -> list[float]:
        """Rates of z and motion_z, multiplied by `factor`."""
        return [self.cfg.codes_lr * factor, self.cfg.motion_lr * factor]

    def pace(self, progress: float) -> float:
        """The factor on all rates at a progress in [0, 1]: half a cosine from 1 to `lr_end`."""
        return self.cfg.lr_end + (1 - self.cfg.lr_end) * 0.5 * (1 + math.cos(math.pi * progress))

    @torch.no_grad()
    def standardise(self) -> None:
        """Bring z and every motion code back to the length that random ones have, about."""
        for codes in (self.z, self.motion_z):
            codes.copy_(functional.normalize(codes, dim=-1).mul_(codes.shape[-1] ** 0.5))
