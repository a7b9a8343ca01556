"""What every procedural world shares: attributes as functions of z, motion as a function of motion_z, drawing from both.

*Paired* clips follow the generator's own inputs: attributes are a fixed smooth function of z, motion at t a fixed smooth
function of the few motion codes that the motion encoder sees around t. *Unpaired* clips draw attributes and motion themselves.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Attribute:
    """One attribute of a world: a scalar (one column) or a colour (three: two of the chroma plane, one of lightness).

    Every column lies in [-1, 1] and is uniform there. A colour's hue is never a column: `a` and `b` are a plane, so that
    "purple" is a direction in it.
    """

    name: str
    kind: Literal["scalar", "colour"] = "scalar"
    meaning: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns this attribute occupies."""
        return (self.name,) if self.kind == "scalar" else tuple(f"{self.name}.{part}" for part in ("a", "b", "light"))


@dataclass(frozen=True)
class Motion:
    """One motion channel: `sway` wanders smoothly in [-1, 1]; `syllable` opens and closes fast in [0, 1]; `blink` is a rare short 1."""

    name: str
    kind: Literal["sway", "syllable", "blink"] = "sway"
    gain: float = 1.0


class World(ABC):
    """A procedural world. Subclasses name their attributes and motions, draw, and caption."""

    name: ClassVar[str]
    fps: ClassVar[float] = 25.0
    attributes: ClassVar[tuple[Attribute, ...]]
    motions: ClassVar[tuple[Motion, ...]]
    z_dim: ClassVar[int] = 64
    motion_z_dim: ClassVar[int] = 32
    kernel_size: ClassVar[int] = 5  # of each of the motion encoder's two convolutions: a code sees 2 (k - 1) + 1 = 9 inputs
    distance: ClassVar[int] = 16  # frames between two motion codes

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all attribute columns, in the order of an attribute row."""
        return tuple(column for attribute in self.attributes for column in attribute.columns)

    def attributes_from_z(self, z: Tensor) -> Tensor:
        """Attributes [N, A] in [-1, 1] of contents z [N, z_dim]: column k is the normal cdf of the k-th normalised coordinate."""
        z = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)  # the mapping network sees the same sphere
        return torch.erf(z[:, : len(self.columns)] / math.sqrt(2))

    def motion_from_codes(self, t: Tensor, motion_z: Tensor) -> Tensor:
        """Motion [N, T, P] at frames t [N, T] >= 0 from codes motion_z [N, M, motion_z_dim]; reads codes [l, l + 2 (k - 1)] for l = floor(t / d) only."""
        return motion_curves(self.motions, t / self.distance, motion_z, first=self.kernel_size - 3)

    def random_attributes(self, n: int, rng: torch.Generator) -> Tensor:
        """Attributes [n, A] drawn independently and uniformly (unpaired mode)."""
        return torch.rand(n, len(self.columns), generator=rng) * 2 - 1

    def random_motion(self, t: Tensor, rng: torch.Generator) -> Tensor:
        """Motion [N, T, P] at frames t [N, T] with a tempo and phase of its own for every clip (unpaired mode)."""
        n = t.shape[0]
        tempo = self.distance * (0.6 + torch.rand(n, 1, generator=rng))
        position = t / tempo + torch.rand(n, 1, generator=rng)
        codes = torch.randn(n, int(position.max().item()) + 12, self.motion_z_dim, generator=rng)
        return motion_curves(self.motions, position, codes, first=self.kernel_size - 3)

    def clips(self, z: Tensor, t: Tensor, motion_z: Tensor, size: int) -> Tensor:
        """Paired clips [N, T, 3, size, size] in [-1, 1] of contents z [N, z_dim] and motions motion_z [N, M, mz_dim] at frames t [N, T]."""
        return self.draw_clips(self.attributes_from_z(z), self.motion_from_codes(t, motion_z), size)

    def draw_clips(self, attributes: Tensor, motion: Tensor, size: int) -> Tensor:
        """Clips [N, T, 3, size, size] from attributes [N, A] and motion [N, T, P]."""
        n, frames = motion.shape[:2]
        rows = attributes.repeat_interleave(frames, dim=0)
        return self.draw(rows, motion.flatten(0, 1), size).unflatten(0, (n, frames))

    @abstractmethod
    def draw(self, attributes: Tensor, motion: Tensor, size: int) -> Tensor:
        """Frames [F, 3, size, size] in [-1, 1] from attributes [F, A] and motion [F, P], antialiased, at any size."""

    @abstractmethod
    def captions(self, attributes: Tensor, rng: torch.Generator) -> list[str]:
        """One caption per attribute row [N, A], in varied words, naming some of what is clearly visible."""

    def column(self, values: Tensor, name: str) -> Tensor:
        """The column `name` of attributes [..., A], shaped [...]."""
        return values[..., self.columns.index(name)]


def motion_curves(motions: tuple[Motion, ...], position: Tensor, codes: Tensor, first: int) -> Tensor:
    """Curves [N, T, P] at positions [N, T] (in code spacings) through codes [N, M, C]; channel p follows code coordinates p, P + p.

    `first` is the offset of the window's first code that is read. Within the interval [l, l + 1] the codes l + first - 1 …
    l + first + 4 are read, no others, so that codes appended later change nothing earlier.
    """
    count = len(motions)
    left = position.floor()
    alpha = (position - left).unsqueeze(-1)
    smooth = codes.new_tensor([0.3, 0.9, 0.3])  # a short bump over neighbouring codes, unit energy
    smooth = smooth / smooth.norm()
    knots = sum(smooth[i] * codes[:, i : codes.shape[1] - 2 + i] for i in range(3))  # [N, M - 2, C]; knots[m] is centred on code m + 1
    assert isinstance(knots, Tensor)

    def at(offset: int) -> Tensor:
        index = (left.long() + first - 1 + offset).unsqueeze(-1).expand(-1, -1, codes.shape[2])
        return knots.gather(1, index)

    before, here, after, beyond = (at(offset) for offset in range(4))
    curves = []
    for p, motion in enumerate(motions):
        own, other = slice(p, p + 1), slice(count + p, count + p + 1)
        if motion.kind == "sway":
            value = torch.tanh(motion.gain * _catmull_rom(before[..., own], here[..., own], after[..., own], beyond[..., own], alpha))
        elif motion.kind == "syllable":
            value = torch.sigmoid(1.5 * here[..., own]) * (1 - torch.cos(2 * math.pi * alpha)) / 2
            value = value + torch.sigmoid(1.5 * here[..., other]) * (1 - torch.cos(4 * math.pi * alpha)) / 2
            value = (motion.gain * value).clamp(max=1.0)
        else:
            value = torch.sigmoid(6 * (here[..., own] - 0.4)) * ((1 - torch.cos(2 * math.pi * alpha)) / 2) ** 4 * motion.gain
        curves.append(value)
    return torch.cat(curves, dim=-1)


def _catmull_rom(p0: Tensor, p1: Tensor, p2: Tensor, p3: Tensor, x: Tensor) -> Tensor:
    """The cubic through p1 (x = 0) and p2 (x = 1) whose slope at each is half the difference of its neighbours."""
    return p1 + 0.5 * x * (p2 - p0 + x * (2 * p0 - 5 * p1 + 4 * p2 - p3 + x * (3 * (p1 - p2) + p3 - p0)))
