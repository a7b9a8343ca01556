"""Pivotal tuning: the generator itself is fitted to one clip, around its content and motion codes (after Roich et al. 2021).

Only convolution and ToRGB weights move, and with them the clip's two smooth residuals, which were found for a generator that
could not show what this one can: with them still, a talking head kept half of its motion. Mapping, style affines and motion
encoder stay, and a locality term holds the tuned generator to the base at random latents, so that a direction found for the
base means the same afterwards.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from stylegan_v import Generator
from stylegan_v.config import Config
from vedit.errors import VeditError
from vedit.inversion import InversionConfig, Loose, Prior, Target, frame_loss, neighbours, schedule
from vedit.latents import LatentVideo, Spline
from vedit.perceptual import Perceptual
from vedit.progress import Progress, Task

TUNED = re.compile(r"synthesis\.b\d+\.(conv\d|torgb)\.weight")


class TuningError(VeditError, ValueError):
    """A stored difference does not belong to its generator."""


@dataclass(frozen=True)
class TuningConfig(Config):
    """Lengths and weights. Without `steps` every frame is seen `visits` times, in `least` to `most` steps, unless tuning ends sooner, on
    a plateau: when a `window` of steps gains less than `gain` of the distance.

    The residuals' knots are halved first until they are no more than `content_knots` and `motion_knots` frames of the source apart: what
    the generator learns of the clip wants finer residuals to tell its frames apart. Before, with a weaker generator, such knots only
    make the clip tremble. The locality term is formed every `locality_interval` steps, weighted up."""

    steps: int | None = None
    visits: int = 400
    least: int = 500
    most: int = 4800
    window: int = 400
    gain: float = 0.02
    batch: int = 12
    lr: float = 4e-3
    residual_lr: float = 0.02
    locality: float = 1.0
    locality_pixel: float = 5.0
    locality_batch: int = 4
    locality_interval: int = 2
    content_knots: float = 2.0
    motion_knots: float = 1.0

    def __post_init__(self) -> None:
        self._require_counts("visits", "least", "most", "window", "batch", "locality_batch", "locality_interval")
        self._require_positive("lr", "residual_lr", "gain", "content_knots", "motion_knots")
        if self.steps is not None:
            self._require_counts("steps")

    def length(self, frames: int) -> int:
        """Steps for a clip of so many frames."""
        return self.steps or min(self.most, max(self.least, math.ceil(self.visits * frames / self.batch)))


def tune(
    generator: Generator, target: Target, start: LatentVideo, spread: Prior, loss: InversionConfig, cfg: TuningConfig, seed: int
) -> Task[tuple[LatentVideo, dict[str, Tensor]]]:
    """Fit a copy of the generator to the clip; returns the latents with their residuals moved, and the difference of its weights by
    name (see `tuned`)."""
    copied = copy.deepcopy(generator)
    finer = dataclasses.replace(
        start, content=_finer(start.content, cfg.content_knots * target.interval), motion=_finer(start.motion, cfg.motion_knots * target.interval)
    )
    weights, loose = trainable(copied), Loose.of(finer, target, spread, loss)
    groups = [{"params": list(weights.values()), "base": cfg.lr}, {"params": loose.free, "base": cfg.residual_lr}]
    optimizer = torch.optim.Adam(groups, lr=cfg.lr, betas=(0.9, 0.99))
    rng = torch.Generator().manual_seed(seed + 1)
    count = len(target.frames)
    batch, steps = min(cfg.batch, count), cfg.length(count)
    begun, stop, far = 0.0, steps, torch.zeros(())
    distances: list[float] = []
    step = 0
    while step < stop:
        # A plateau ends in the same soft landing as a run of given length.
        factor = min(schedule(step / steps), schedule(1 - (stop - step) / steps))
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * factor
        index = neighbours(count, batch, rng).to(target.t.device)
        latents, penalty = loose.build()
        fit, distance = frame_loss(copied, target, latents, index, loss)
        total = fit + penalty
        if step % cfg.locality_interval == 0:
            far = locality(generator, copied, target.perceptual, cfg, rng)
            total = total + cfg.locality * cfg.locality_interval * far
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        step += 1
        distances.append(distance)
        if cfg.steps is None and stop == steps and step % cfg.window == 0:
            mean = sum(distances[-cfg.window :]) / cfg.window
            if begun and mean > (1 - cfg.gain) * begun:
                stop = min(steps, step + cfg.window)
            begun = mean
        yield Progress("tune", step, stop, f"distance {distance:.4f}, away from the base {far.item():.4f}")
    base = dict(generator.named_parameters())
    with torch.no_grad():
        difference = {name: (weight - base[name]).contiguous() for name, weight in weights.items()}
        return loose.build()[0].to(generator.device), difference


def _finer(spline: Spline | None, spacing: float) -> Spline | None:
    """The same spline with knots no more than `spacing` apart."""
    while spline is not None and spline.spacing > spacing * (1 + 1e-6):
        spline = spline.halved()
    return spline


def trainable(generator: Generator) -> dict[str, Tensor]:
    """The weights that tuning moves, by name, with gradients switched on for them alone."""
    generator.requires_grad_(False)
    found: dict[str, Tensor] = {name: weight.requires_grad_() for name, weight in generator.named_parameters() if TUNED.fullmatch(name)}
    if not found:
        raise TuningError("this generator has no convolution weights that could be tuned")
    return found


def locality(
    base: Generator, moved: Generator, perceptual: Perceptual, cfg: TuningConfig, rng: torch.Generator
) -> Tensor:
    """Mean distance of the two generators' frames at random contents and moments: perceptual, and squared error."""
    count, motion = cfg.locality_batch, base.cfg.motion
    z = torch.randn(count, base.cfg.z_dim, generator=rng).to(base.device)
    t = motion_z = None
    if motion is not None:
        t = (torch.rand(count, 1, generator=rng) * 2 * motion.distance).to(base.device)
        motion_z = torch.randn(count, base.num_motion_codes(2 * motion.distance), motion.z_dim, generator=rng).to(
            base.device
        )
    with torch.no_grad():
        ws = base.mapping(z)
        wanted = base.synthesis(ws, t, motion_z).flatten(0, 1).clamp(-1, 1)
        features = perceptual.features(wanted)
    found = moved.synthesis(ws, t, motion_z).flatten(0, 1)
    return (
        perceptual.distance(perceptual.features(found), features).mean()
        + cfg.locality_pixel * (found - wanted).square().mean()
    )


def tuned(generator: Generator, difference: Mapping[str, Tensor]) -> Generator:
    """A copy of the generator with a stored difference added; it keeps the base's hash, to which statistics and edits belong."""
    copied = copy.deepcopy(generator)
    weights = dict(copied.named_parameters())
    for name, change in difference.items():
        fits = TUNED.fullmatch(name) and name in weights and weights[name].shape == change.shape
        if not fits or not change.is_floating_point() or not bool(change.isfinite().all()):
            raise TuningError(f"the stored tuning does not fit its generator at {name!r}; project the clip again")
        with torch.no_grad():
            weights[name].add_(change.to(weights[name]))
    return copied
