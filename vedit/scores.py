"""The figures by which a rendered clip is held against its source: likeness, sharpness and motion.

Frames are float [T, 3, H, W] in [-1, 1] everywhere, source and render of one shape. Likeness is measured frame by frame,
motion interval by interval, so that a render that is right on average but stands still is found out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vedit.errors import VeditError

Distance = Callable[[Tensor, Tensor], Tensor]
"""A perceptual distance: two batches [N, 3, H, W] in [-1, 1] give N distances (see `vedit.perceptual`)."""

LUMA = (0.299, 0.587, 0.114)
LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


class FramesMismatch(VeditError, ValueError):
    """Source and render cannot be compared frame by frame."""


def psnr_per_frame(source: Tensor, render: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of every frame after rounding to 8 bits, [T], in dB; inf where a frame is equal.

    >>> black = torch.full((1, 3, 8, 8), -1.0)
    >>> psnr_per_frame(black, black + 2 / 255).round(decimals=2).tolist()  # one step of 255
    [48.13]
    """
    _check(source, render)
    error = (_eight_bit(source) - _eight_bit(render)).square().flatten(1).mean(dim=1)
    return 10 * torch.log10(255.0**2 / error)


def psnr(source: Tensor, render: Tensor) -> float:
    """The median over frames of `psnr_per_frame`, in dB."""
    return float(psnr_per_frame(source, render).median())


def perceptual_per_frame(source: Tensor, render: Tensor, distance: Distance, *, batch: int = 32) -> Tensor:
    """The perceptual distance of every frame, [T], computed `batch` frames at a time."""
    _check(source, render)
    with torch.no_grad():
        return torch.cat(
            [distance(a, b) for a, b in zip(torch.split(source, batch), torch.split(render, batch), strict=True)]
        )


def perceptual(source: Tensor, render: Tensor, distance: Distance) -> float:
    """The mean over frames of `perceptual_per_frame`: with `lpips-alex` at the generator's size, the figure called LPIPS."""
    return float(perceptual_per_frame(source, render, distance).mean())


def laplacian_energy(frames: Tensor) -> Tensor:
    """Mean squared Laplacian of the luminance of every frame, [T]: how much edge there is.

    >>> laplacian_energy(torch.zeros(2, 3, 8, 8)).tolist()
    [0.0, 0.0]
    """
    luma = torch.einsum("tchw,c->thw", frames, frames.new_tensor(LUMA)).unsqueeze(1)
    return functional.conv2d(luma, frames.new_tensor(LAPLACIAN)[None, None]).square().flatten(1).mean(dim=1)


def sharpness(source: Tensor, render: Tensor) -> float:
    """Laplacian energy of the render over the source's: below 1 it is softer, above 1 harder (or noisier); nan for a flat source."""
    _check(source, render)
    return _ratio(laplacian_energy(render).sum(), laplacian_energy(source).sum())


def motion_curve(frames: Tensor) -> Tensor:
    """Mean squared difference of neighbouring frames, [T - 1], one figure per interval.

    >>> motion_curve(torch.tensor([0.0, 0.5, 0.5]).view(3, 1, 1, 1).expand(3, 3, 4, 4)).tolist()
    [0.25, 0.0]
    """
    return frames.diff(dim=0).square().flatten(1).mean(dim=1)


def motion_ratio(source: Tensor, render: Tensor) -> float:
    """Sum of the render's motion curve over the source's; nan for a source that stands still."""
    _check(source, render)
    return _ratio(motion_curve(render).sum(), motion_curve(source).sum())


def motion_correlation(source: Tensor, render: Tensor) -> float:
    """Pearson correlation of the two motion curves over the intervals; nan with fewer than two, or where a curve is constant."""
    _check(source, render)
    return pearson(motion_curve(source), motion_curve(render))


def flicker(frames: Tensor) -> float:
    """Mean squared second temporal difference: what steady motion does not have and frame-to-frame trembling does; nan below 3 frames.

    >>> flicker(torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 2, 2))  # an even ramp
    0.0
    """
    return float(frames.diff(n=2, dim=0).square().mean()) if len(frames) > 2 else math.nan


def flicker_ratio(source: Tensor, render: Tensor) -> float:
    """Flicker of the render over the source's; nan where the source has none."""
    _check(source, render)
    own, reference = flicker(render), flicker(source)
    return own / reference if reference > 0 else math.nan


def pearson(a: Tensor, b: Tensor) -> float:
    """Pearson correlation of two series [K]; nan with fewer than two values, or where one is constant.

    >>> round(pearson(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0, 6.0])), 6)
    1.0
    """
    a, b = a.double() - a.double().mean(), b.double() - b.double().mean()
    scale = float(a.norm() * b.norm())
    return float(a @ b) / scale if len(a) > 1 and scale > 0 else math.nan


def at_size(frames: Tensor, size: int) -> Tensor:
    """Frames area-resized to [T, 3, size, size], so that clips of two sizes can be compared by one figure."""
    if frames.shape[-2:] == (size, size):
        return frames
    return functional.interpolate(frames, size=(size, size), mode="area")


@dataclass(frozen=True)
class Report:
    """Every figure of one render against its source; `perceptual` maps a distance's name to its mean over frames."""

    frames: int
    size: tuple[int, int]  # height, width
    psnr: float  # dB, median over frames
    sharpness: float
    motion_ratio: float
    motion_correlation: float
    flicker: float  # ratio to the source's
    perceptual: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON: a figure that does not exist (nan, or the infinite PSNR of equal frames) is None."""
        values = dataclasses.asdict(self) | {"size": list(self.size), "perceptual": dict(self.perceptual)}
        return {name: _finite(value) for name, value in values.items()}


class Curves:
    """Every figure of a render against its source, frame by frame and interval by interval, of a clip that comes in chunks.

    Memory grows with the number of frames, not with their size. `distances` are perceptual distances by name.
    """

    def __init__(self, distances: Mapping[str, Distance] | None = None) -> None:
        self.distances = dict(distances or {})
        self.psnr: list[float] = []
        self.perceptual: dict[str, list[float]] = {name: [] for name in self.distances}
        self.sharpness: tuple[list[float], list[float]] = ([], [])  # Laplacian energy, of the source and of the render
        self.motion: tuple[list[float], list[float]] = ([], [])
        self.flicker: tuple[list[float], list[float]] = ([], [])  # mean squared second differences
        self._size = (0, 0)
        self._last: tuple[Tensor, Tensor] | None = None  # the last two frames of both, which the next chunk's differences need

    @torch.no_grad()
    def add(self, source: Tensor, render: Tensor) -> None:
        """Measure the next frames [B, 3, H, W] of both."""
        _check(source, render)
        self._size = (int(source.shape[2]), int(source.shape[3]))
        self.psnr += psnr_per_frame(source, render).tolist()
        for name, distance in self.distances.items():
            self.perceptual[name] += distance(source, render).tolist()
        before = self._last or (source[:0], render[:0])
        joined = [torch.cat([old, new]) for old, new in zip(before, (source, render), strict=True)]
        for side, (frames, old) in enumerate(zip(joined, before, strict=True)):
            self.sharpness[side].extend(laplacian_energy(frames[len(old) :]).tolist())
            self.motion[side].extend(motion_curve(frames[max(0, len(old) - 1) :]).tolist())
            self.flicker[side].extend(frames.diff(n=2, dim=0).square().flatten(1).mean(dim=1).tolist() if len(frames) > 2 else [])
        self._last = joined[0][-2:], joined[1][-2:]

    def report(self) -> Report:
        """The figures of the whole clip; raises FramesMismatch where no frame was measured."""
        if not self.psnr:
            raise FramesMismatch("found no frames to compare; measure at least one")
        sharp, motion, trembling = ([torch.tensor(side, dtype=torch.float64) for side in pair] for pair in (self.sharpness, self.motion, self.flicker))
        return Report(
            frames=len(self.psnr),
            size=self._size,
            psnr=float(torch.tensor(self.psnr, dtype=torch.float64).median()),
            sharpness=_ratio(sharp[1].sum(), sharp[0].sum()),
            motion_ratio=_ratio(motion[1].sum(), motion[0].sum()),
            motion_correlation=pearson(motion[0], motion[1]),
            flicker=_ratio(trembling[1].sum(), trembling[0].sum()),
            perceptual={name: sum(values) / len(values) for name, values in self.perceptual.items()},
        )


def report(source: Tensor, render: Tensor, distances: Mapping[str, Distance] | None = None, *, batch: int = 32) -> Report:
    """Measure a render [T, 3, H, W] against its source of the same shape; `distances` are perceptual distances by name."""
    _check(source, render)
    curves = Curves(distances)
    for parts in zip(source.split(batch), render.split(batch), strict=True):
        curves.add(*parts)
    return curves.report()


def _eight_bit(frames: Tensor) -> Tensor:
    """The values 0 … 255 a file would hold, as float64 so that a mean of squares is exact."""
    return frames.double().add(1).mul(127.5).round().clamp(0, 255)


def _ratio(own: Tensor, reference: Tensor) -> float:
    return float(own / reference) if float(reference) > 0 else math.nan


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return {name: _finite(part) for name, part in value.items()} if isinstance(value, dict) else value


def _check(source: Tensor, render: Tensor) -> None:
    if source.shape != render.shape or source.dim() != 4 or source.shape[0] == 0:
        found = f"source {list(source.shape)} and render {list(render.shape)}"
        raise FramesMismatch(
            f"found {found}, wanted two clips of one shape [T, 3, H, W]; render at the source's size and frame times"
        )
