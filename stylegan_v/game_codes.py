"""The first seconds of a game with pairs: motion codes that tell where in its clip each frame is, before any frame is drawn.

Motion reaches the image through the 4x4 input alone, beside a learned constant, and a mouth is a hundredth of a frame: a generator that
draws clips from random codes learns the people at once and for long takes what moves for noise. So the codes are first made to tell
each frame's principal components within its clip (of the small frames: pose, mouth, light), from which drawing them is a short way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stylegan_v.game_config import GameConfig
from stylegan_v.game_draws import Clips, to_floats, usable_clips
from stylegan_v.game_pairs import Pairs
from stylegan_v.generator import Generator
from stylegan_v.streams import stream

COMPONENTS = 12
SIZE = 16  # pixels a side of the small frames
MOST = 256  # frames looked at of a clip, more of a long one
STILL = 0.05  # components with a smaller deviation than this are noise and stay small; of frames in [-1, 1] as vectors
TOGETHER, TIMES = 32, 48  # clips and frames of each in a step
RATE, CODES_RATE, RAMP = 0.003, 0.03, 50
LOUDNESS = 0.03  # of the reading: what is read softly has to be said loudly


@dataclass(frozen=True)
class Told:
    """A moment of learning codes: `stage` is "look" (clips looked at) or "codes" (steps), `error` 1 where nothing is told yet."""

    stage: str
    done: int
    total: int
    error: float = 1.0


def components(small: Tensor) -> Tensor:
    """The first principal components [T, 12] of a clip's small frames [T, N], each of variance 1 or, where nothing moves, less."""
    left, sizes, _ = torch.linalg.svd(small - small.mean(dim=0), full_matrices=False)
    scores = (left * sizes)[:, :COMPONENTS]
    found = scores / scores.square().mean(dim=0).sqrt().clamp(min=STILL)
    return functional.pad(found, (0, COMPONENTS - found.shape[1]))


def align(pairs: Pairs, generator: Generator, cfg: GameConfig, clips: Clips) -> Iterator[Told]:
    """Learn motion codes of the clips, and the motion encoder, for `pairs.codes` steps.

    The same numbers in, the same out: nothing depends on anything but the networks, the clips and the seed.
    """
    steps, usable, device = pairs.cfg.codes, usable_clips(cfg, clips), pairs.z.device
    times, wanted = [], []
    for done, clip in enumerate(usable):
        yield Told("look", done, len(usable))
        times.append(spread(clips.lengths[clip], cfg))
        wanted.append(components(small_frames(clips, clip, times[-1])))
    labels = torch.stack([clips.label(clip) for clip in usable]).to(device) if cfg.generator.c_dim else None
    rng = stream(cfg.seed, "codes", 0)
    reading = LOUDNESS * torch.randn(cfg.generator.motion_dim, COMPONENTS, generator=rng)
    encoder = generator.synthesis.motion_encoder
    optimizer = torch.optim.Adam([{"params": list(encoder.parameters())}, {"params": [pairs.motion_z]}], betas=(0.9, 0.99))
    for step in range(steps):
        for group, rate in zip(optimizer.param_groups, (RATE, CODES_RATE), strict=True):
            group["lr"] = rate * min(1.0, (step + 1) / RAMP) * pairs.pace(step / steps)
        items = torch.randperm(len(pairs.z), generator=rng)[:TOGETHER]
        places = [item % len(usable) for item in items.tolist()]  # a mirrored clip moves as the clip does
        chosen = [torch.randint(len(times[place]), (TIMES,), generator=rng) for place in places]
        t = torch.stack([times[place][which].float() for place, which in zip(places, chosen, strict=True)])
        told = torch.stack([wanted[place][which] for place, which in zip(places, chosen, strict=True)])
        motion_v = generator.motion(t.to(device), pairs.motion_z[items.to(device)], None if labels is None else labels[places])
        loss = (motion_v @ reading.to(device) - told.to(device)).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        pairs.standardise()
        yield Told("codes", step + 1, steps, float(loss.detach()))


def spread(length: int, cfg: GameConfig) -> Tensor:
    """Frames of a clip to look at, int64, evenly chosen where it is long: but for no motion code fewer than 16."""
    motion = cfg.generator.motion
    assert motion is not None
    most = max(MOST, 16 * length // motion.distance)
    return torch.linspace(0, length - 1, min(length, most)).round().long()


def small_frames(clips: Clips, clip: int, chosen: Tensor) -> Tensor:
    """Frames of a clip as vectors [T, N] of few pixels, in [-1, 1]; a few are read at a time, since they may be large."""
    parts = (to_floats(clips.frames(clip, part)) for part in chosen.split(TOGETHER))
    return torch.cat([functional.adaptive_avg_pool2d(part, min(SIZE, part.shape[-1])).flatten(1) for part in parts])
