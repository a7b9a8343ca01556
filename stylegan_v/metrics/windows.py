"""Which frames of which videos a metric sees: the windows of the Fréchet video distance (StyleGAN-V, section 4; Unterthiner et al. 2018).

FVD is the Fréchet distance (`stylegan_v.metrics.frechet`) of features of clips. Real clips are one random window of each video, so
that long videos weigh no more than short ones; generated clips begin at t = 0, each of a seed of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

CLIPS = 2048  # of the paper's figures


@dataclass(frozen=True)
class Window:
    """`length` consecutive frames, of which every `stride`-th is seen."""

    length: int
    stride: int = 1

    def __post_init__(self) -> None:
        if self.length < 1 or self.stride < 1:
            raise ValueError(f"found a window of {self.length} frames at stride {self.stride}; at least 1 of each is wanted")

    def frames(self, start: int = 0) -> tuple[int, ...]:
        """The frames that are seen of a window that begins at `start`.

        >>> Window(128, 8).frames(2)[:3], len(Window(128, 8).frames())
        ((2, 10, 18), 16)
        """
        return tuple(range(start, start + self.length, self.stride))


WINDOWS = {"fvd16": Window(16), "fvd128": Window(128), "fvd128s8": Window(128, 8)}


@dataclass(frozen=True)
class Choice:
    """Some frames, ascending, of one video."""

    clip: int
    frames: tuple[int, ...]


@dataclass(frozen=True)
class Choices:
    """What was chosen, in the order of the videos; `left_out` counts videos that are shorter than the window."""

    chosen: tuple[Choice, ...]
    left_out: int = 0


def choose_windows(lengths: Sequence[int], window: Window, count: int, rng: torch.Generator) -> Choices:
    """One random window of each of up to `count` random videos of `lengths` frames, drawn by `rng`.

    Fewer videos that are long enough give fewer windows, never two of one. The choice is a function of the lengths and of the
    generator's state, and a smaller count chooses a part of what a larger one does.
    """
    order = torch.randperm(len(lengths), generator=rng).tolist()
    places = torch.rand(len(lengths), generator=rng, dtype=torch.float64).tolist()
    long_enough = [clip for clip in order if lengths[clip] >= window.length]
    chosen = [Choice(clip, window.frames(int(places[clip] * (lengths[clip] - window.length + 1)))) for clip in sorted(long_enough[:count])]
    return Choices(tuple(chosen), len(lengths) - len(long_enough))


def choose_frames(lengths: Sequence[int], count: int, rng: torch.Generator) -> Choices:
    """Up to `count` different frames of videos of `lengths` frames, as evenly over the videos as their lengths allow, drawn by `rng`.

    >>> found = choose_frames([5, 1, 3], 7, torch.Generator().manual_seed(0))
    >>> [len(choice.frames) for choice in found.chosen]
    [3, 1, 3]
    """
    order = torch.randperm(len(lengths), generator=rng).tolist()
    shares = _shares(lengths, order, count)
    chosen = []
    for clip, (length, share) in enumerate(zip(lengths, shares, strict=True)):
        frames = torch.randperm(length, generator=rng)[:share].sort().values.tolist()
        if frames:
            chosen.append(Choice(clip, tuple(frames)))
    return Choices(tuple(chosen))


def _shares(lengths: Sequence[int], order: Sequence[int], count: int) -> list[int]:
    """How many frames of each video: the largest even share that is not more than `count` in all, the rest in `order`."""
    low, high = 0, max(lengths, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sum(min(length, middle) for length in lengths) <= count else (low, middle - 1)
    shares = [min(length, low) for length in lengths]
    rest = [clip for clip in order if lengths[clip] > low][: count - sum(shares)]
    for clip in rest:
        shares[clip] += 1
    return shares
