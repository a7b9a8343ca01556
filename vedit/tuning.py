"""Pivotal tuning: the generator itself is fitted to one clip, around latents that stay as they are (Roich et al. 2021).

Only convolution and ToRGB weights move. Mapping, style affines and motion encoder do not, and a locality term holds the tuned
generator to the base at random latents, so that a direction found for the base means the same afterwards.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from stylegan_v import Generator
from stylegan_v.config import Config
from vedit.errors import VeditError
from vedit.inversion import InversionConfig, Target, frame_loss, neighbours, schedule
from vedit.latents import LatentVideo
from vedit.perceptual import Perceptual
from vedit.progress import Progress, Task

TUNED = re.compile(r"synthesis\.b\d+\.(conv\d|torgb)\.weight")


class TuningError(VeditError, ValueError):
    """A stored difference does not belong to its generator."""


@dataclass(frozen=True)
class TuningConfig(Config):
    """Lengths and weights. Without `steps` tuning ends on a plateau: when a `window` of steps gains less than `gain` of the distance."""

    steps: int | None = None
    most: int = 800
    window: int = 80
    gain: float = 0.04
    batch: int = 12
    lr: float = 2e-3
    locality: float = 1.0
    locality_pixel: float = 5.0
    locality_batch: int = 4

    def __post_init__(self) -> None:
        self._require_counts("most", "window", "batch", "locality_batch")
        self._require_positive("lr", "gain")
        if self.steps is not None:
            self._require_counts("steps")


def tune(
    generator: Generator, target: Target, latents: LatentVideo, loss: InversionConfig, cfg: TuningConfig, seed: int
) -> Task[dict[str, Tensor]]:
    """Fit a copy of the generator to the clip; returns the difference of its weights by name (see `tuned`)."""
    copied = copy.deepcopy(generator)
    weights = trainable(copied)
    optimizer = torch.optim.Adam(weights.values(), lr=cfg.lr, betas=(0.9, 0.99))
    rng = torch.Generator().manual_seed(seed + 1)
    count = target.frames.shape[0]
    batch, steps = min(cfg.batch, count), cfg.steps or cfg.most
    begun, stop = 0.0, steps
    distances: list[float] = []
    step = 0
    while step < stop:
        # A plateau ends in the same soft landing as a run of given length.
        optimizer.param_groups[0]["lr"] = cfg.lr * min(schedule(step / steps), schedule(1 - (stop - step) / steps))
        index = neighbours(count, batch, rng).to(target.t.device)
        fit, distance = frame_loss(copied, target, latents, index, loss)
        far = locality(generator, copied, target.perceptual, cfg, rng)
        optimizer.zero_grad(set_to_none=True)
        (fit + cfg.locality * far).backward()
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
        return {name: (weight - base[name]).contiguous() for name, weight in weights.items()}


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
