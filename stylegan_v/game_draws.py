"""What a step of the game draws: real clips, and the inputs of generated ones. All of it is a function of seed, step and clip alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Protocol, cast

import torch
from torch import Tensor

from stylegan_v.archive import DataError
from stylegan_v.data import ClipDataset, ClipSampler, sample_indices
from stylegan_v.game_config import GameConfig
from stylegan_v.generator import Generator
from stylegan_v.ranks import Ranks
from stylegan_v.streams import stream

Batch = tuple[Tensor, Tensor, Tensor]


class Clips(Protocol):
    """Clips to train on, as `stylegan_v.data.ClipDataset` has them."""

    lengths: list[int]
    names: list[str]
    resolution: int
    c_dim: int
    fingerprint: dict[str, str]

    def label(self, clip: int) -> Tensor:
        """The label of a clip, float [c_dim]."""
        ...

    def frames(self, clip: int, indices: Sequence[int] | Tensor) -> Tensor:
        """Frames of a clip, uint8 [T, 3, H, W]."""
        ...

    def usable(self, num_frames: int, max_span: int = 32) -> list[int]:
        """The clips that are long enough."""
        ...


class Sampler(Protocol):
    """This process's share of the real clips of a step."""

    def batch(self, step: int) -> Batch:
        """Frames uint8 [N, T, 3, H, W], times float [N, T] (frames), labels [N, c_dim]."""
        ...


@dataclass(frozen=True)
class Inputs:
    """What N generated clips are made of, and `seeds` [N, 5] for the augmentation of what is judged and an image generator's noise (whole
    numbers below 2³²). An image generator's t is 0, its motion_z [N, 0, 0]."""

    z: Tensor
    t: Tensor
    motion_z: Tensor
    c: Tensor
    seeds: Tensor

    def parts(self, clips: int, device: torch.device) -> Iterator[Inputs]:
        """The inputs of so many clips at a time, seeds left on the CPU."""
        for first in range(0, len(self.z), clips):
            taken = {entry.name: getattr(self, entry.name)[first : first + clips] for entry in fields(self)}
            yield Inputs(**{name: part if name == "seeds" else part.to(device) for name, part in taken.items()})


@dataclass(frozen=True)
class InputSampler:
    """Draws inputs of generated clips: label and length of a clip of the data at random, spans as for real clips, t anywhere.

    A real clip's times are whole numbers; a generated one's have the same distances from a start that is any real number (a
    whole one where the motion codes ask for it), so that the generator learns all t and the discriminator cannot tell by the clock.
    """

    cfg: GameConfig
    clips: Clips
    usable: Sequence[int]
    codes: int  # M

    @classmethod
    def of(cls, cfg: GameConfig, clips: Clips, generator: Generator) -> InputSampler:
        """The sampler of a generator's inputs."""
        return cls(cfg, clips, usable_clips(cfg, clips), generator.num_motion_codes(cfg.span_of_times - 1))

    def batch(self, step: int, first: int, count: int) -> Inputs:
        """Inputs of clips `first`, …, `first` + `count` - 1 of a step's batch."""
        rows = [self._one(step * self.cfg.batch + clip) for clip in range(first, first + count)]
        return Inputs(*(torch.stack(column) for column in zip(*rows, strict=True)))

    def _one(self, place: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        rng = stream(self.cfg.seed, "generated", place)
        motion = self.cfg.generator.motion
        clip = self.usable[int(torch.randint(len(self.usable), (), generator=rng))]
        t = torch.zeros(1) if motion is None else self._times(self.clips.lengths[clip], rng, motion.integer_t)
        z = torch.randn(self.cfg.generator.z_dim, generator=rng)
        motion_z = torch.zeros(0, 0) if motion is None else torch.randn(self.codes, motion.z_dim, generator=rng)
        label = self.clips.label(clip) if self.cfg.generator.c_dim else torch.zeros(0)
        return z, t, motion_z, label, torch.randint(1 << 32, (5,), generator=rng)

    def _times(self, length: int, rng: torch.Generator, whole: bool) -> Tensor:
        count = self.cfg.num_frames
        if self.cfg.consecutive:
            inside = torch.arange(count).float()
        else:
            inside = sample_indices(length, count, rng, self.cfg.sampling.max_span).float()
            inside = inside - inside[0]
        room = self.cfg.span_of_times - 1 - inside[-1]
        start = torch.rand((), generator=rng) * room
        return inside + (start.round() if whole else start)


@dataclass(frozen=True)
class ConsecutiveSampler:
    """Real clips of consecutive frames, each drawn at random: place i of the endless stream depends on seed and i alone."""

    cfg: GameConfig
    clips: Clips
    usable: Sequence[int]
    ranks: Ranks

    def batch(self, step: int) -> Batch:
        """This process's share of a step's clips: frames uint8 [N, T, 3, H, W], times [N, T], labels [N, c_dim]."""
        share = self.cfg.batch // self.ranks.size
        first = step * self.cfg.batch + self.ranks.rank * share
        frames, times, labels = zip(*(self._one(place) for place in range(first, first + share)), strict=True)
        return torch.stack(frames), torch.stack(times), torch.stack(labels)

    def _one(self, place: int) -> Batch:
        rng = stream(self.cfg.seed, "consecutive", place)
        clip = self.usable[int(torch.randint(len(self.usable), (), generator=rng))]
        start = int(torch.randint(self.clips.lengths[clip] - self.cfg.num_frames + 1, (), generator=rng))
        indices = torch.arange(start, start + self.cfg.num_frames)
        frames = self.clips.frames(clip, indices)
        mirrored = self.cfg.sampling.flip and bool(torch.randint(2, (), generator=rng))
        return frames.flip(-1) if mirrored else frames, indices.float(), self.clips.label(clip)


def usable_clips(cfg: GameConfig, clips: Clips) -> list[int]:
    """The clips that are long enough for this game; raises DataError where there are none."""
    if cfg.consecutive:
        found = [clip for clip, length in enumerate(clips.lengths) if length >= cfg.num_frames]
    else:
        found = clips.usable(cfg.num_frames, cfg.sampling.max_span)
    if not found:
        longest = max(clips.lengths, default=0)
        raise DataError(f"the longest clip has {longest} frames, too few for {cfg.num_frames} frames at a time; give longer clips")
    return found


def real_sampler(cfg: GameConfig, clips: Clips, ranks: Ranks) -> Sampler:
    """The sampler of real clips that the game's judges want."""
    if cfg.consecutive:
        return ConsecutiveSampler(cfg, clips, usable_clips(cfg, clips), ranks)
    dataset = cast(ClipDataset, clips)
    return ClipSampler(dataset, cfg.num_frames, cfg.batch, cfg.seed, ranks.rank, ranks.size, cfg.sampling.flip, cfg.sampling.max_span)


class Ahead:
    """Reads the next steps' clips in `workers` threads while this one's are in use; with 0, when they are asked for."""

    def __init__(self, sampler: Sampler, workers: int) -> None:
        self._sampler, self._workers = sampler, workers
        self._pool = ThreadPoolExecutor(workers, "clips") if workers else None
        self._coming: dict[int, Future[Batch]] = {}

    def batch(self, step: int) -> Batch:
        """The clips of a step, as the sampler gives them; what it raises is raised here."""
        if self._pool is None:
            return self._sampler.batch(step)
        wanted = range(step, step + 1 + self._workers)
        for other in set(self._coming) - set(wanted):  # after a jump, for instance
            self._coming.pop(other).cancel()
        for number in wanted:
            if number not in self._coming:
                self._coming[number] = self._pool.submit(self._sampler.batch, number)
        return self._coming.pop(step).result()

    def items(self, step: int) -> Tensor:
        """Which clips those of a step are, for a sampler that knows."""
        return cast(ClipSampler, self._sampler).items(step)

    def close(self) -> None:
        """Stop reading ahead."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def to_floats(pixels: Tensor) -> Tensor:
    """Clips uint8 as float in [-1, 1], of the same shape."""
    return pixels.float().div_(127.5).sub_(1)
