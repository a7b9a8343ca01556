"""Finding a clip in latent space: choose a start, optimise content and motion, then let smooth residuals take up the rest.

All parameters are optimised in units of their own spread under the generator's prior, so one learning rate fits them all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from stylegan_v import Generator
from stylegan_v.config import Config
from vedit.latents import LatentVideo, Spline
from vedit.perceptual import Perceptual
from vedit.progress import Progress, Task

KEPT_FEATURES = 32 << 20
"""Bytes of features kept in memory: of some 250 frames of 64². A longer clip's are computed again, for a tenth of a step's time."""


@dataclass(frozen=True)
class InversionConfig(Config):
    """Weights and lengths of the inversion. Knots are in frames of the source; `visits` is how often a stage sees each frame.

    The priors keep the content where the generator's own contents are, its rows together and its drift small, in both stages: far from
    there a clip of a real face comes back closer (by 3 dB on a talking head, by half a decibel after tuning), but an edit of it falls
    apart. Clips of the generator's own kind come back at 40 dB with them, at 44 without (`python -m tests.accept projection`).
    """

    candidates: int = 256
    motions: int = 48
    steps: int | None = None
    visits: int = 32
    batch: int = 12
    lr: float = 0.1
    residual_lr: float = 0.03
    noise: float = 0.05
    pixel: float = 5.0
    difference: float = 400.0
    content_prior: float = 1e-1
    row_prior: float = 1.0
    motion_prior: float = 2e-4
    drift_prior: float = 3e-2
    residual_prior: float = 5e-3
    content_knots: float = 8.0
    motion_knots: float = 2.0

    def __post_init__(self) -> None:
        self._require_counts("candidates", "motions", "visits", "batch")
        self._require_positive("lr", "residual_lr", "content_knots", "motion_knots")
        if self.steps is not None:
            self._require_counts("steps")

    def stage_steps(self, frames: int) -> int:
        """Steps of one stage for a clip of so many frames."""
        return self.steps or max(240, math.ceil(self.visits * frames / self.batch))


class Frames(Protocol):
    """Frames of a clip: indices [B] give [B, 3, H, W] in [-1, 1]. A tensor is some; `vedit.frame_file.FloatFrames` reads them from a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Target:
    """What is to be found: a clip's frames, their times t [T] on the generator's clock, a distance, and the frames' features.

    `features` is None for a clip of so many that they would take more than `KEPT_FEATURES`: they are computed again whenever asked for.
    """

    frames: Frames
    t: Tensor
    perceptual: Perceptual
    features: list[Tensor] | None

    @classmethod
    def of(cls, frames: Frames, t: Tensor, perceptual: Perceptual, batch: int = 16, limit: int = KEPT_FEATURES) -> Target:
        """A target with the features of all its frames, if they fit into `limit` bytes."""
        without = cls(frames, t, perceptual, None)
        first = without.at(torch.zeros(1, dtype=torch.long))
        if len(frames) * sum(layer.nbytes for layer in first) > limit:
            return without
        parts = [without.at(index) for index in torch.arange(len(frames)).split(batch)]
        return cls(frames, t, perceptual, [torch.cat(layers) for layers in zip(*parts, strict=True)])

    def distance(self, rendered: Tensor, index: Tensor) -> Tensor:
        """Perceptual distances of rendered frames [B, 3, H, W] to the frames at `index` [B]."""
        return self.perceptual.distance(self.perceptual.features(rendered), self.at(index))

    @torch.no_grad()
    def at(self, index: Tensor) -> list[Tensor]:
        """Features of the frames at `index` [B]."""
        if self.features is None:
            return self.perceptual.features(self.frames[index])
        return [layer[index] for layer in self.features]

    @property
    def interval(self) -> float:
        """The usual distance between two frames, in frames of the generator's clock."""
        return float(self.t.diff().median()) if self.t.numel() > 1 else 1.0


@dataclass(frozen=True)
class Prior:
    """Means and spreads under the generator's own distribution: of w [D], trajectory codes u [U] and motion_v [V]."""

    w_mean: Tensor
    w_std: Tensor
    u_mean: Tensor  # the last three are empty for an image generator
    u_std: Tensor
    v_std: Tensor


@torch.no_grad()
def prior(generator: Generator, seed: int, samples: int = 4096) -> Prior:
    """Measure the prior from random inputs."""
    rng = torch.Generator().manual_seed(seed)
    w = generator.mapping(torch.randn(samples, generator.cfg.z_dim, generator=rng).to(generator.device))[:, 0]
    motion = generator.cfg.motion
    if motion is None:
        none = w.new_zeros(0)
        return Prior(w.mean(0), w.std(0) + 1e-6, none, none, none)
    codes = torch.randn(64, generator.num_motion_codes(motion.distance * 16), motion.z_dim, generator=rng).to(generator.device)
    u = generator.trajectory(codes)
    t = torch.rand(64, 16, generator=rng).to(generator.device) * motion.distance * 15
    v = generator.motion(t, None, u=u).flatten(0, 1)
    u = u.flatten(0, 1)
    return Prior(w.mean(0), w.std(0) + 1e-6, u.mean(0), u.std(0) + 1e-6, v.std(0) + 1e-6)


@torch.no_grad()
def initialise(generator: Generator, target: Target, cfg: InversionConfig, seed: int) -> Task[LatentVideo]:
    """The best of N random contents (and the mean one) under random motions, then for every code the best of N motions."""
    rng = torch.Generator().manual_seed(seed)
    device, count = generator.device, len(target.frames)
    keys = torch.linspace(0, count - 1, min(6, count)).round().long()
    wanted = [target.at(key.view(1)) for key in keys]
    z = torch.randn(cfg.candidates, generator.cfg.z_dim, generator=rng).to(device)
    ws = torch.cat([generator.mapping(z), generator.mapping(z[:1], psi=0.0)])
    scores = torch.full((ws.shape[0],), float("inf"))
    codes = _random_codes(generator, cfg.motions, float(target.t.max()), rng)
    for begin in range(0, ws.shape[0], 32):
        part = ws[begin : begin + 32]
        yield Progress("initialise", begin, ws.shape[0], "contents")
        key = keys[(begin // 32) % len(keys)].expand(part.shape[0])
        chosen = None if codes is None else codes[torch.randint(cfg.motions, (part.shape[0],), generator=rng)]
        frames = _render(generator, part, target.t[key].unsqueeze(1), chosen)
        # One key frame a candidate would favour poses; the mean over all keys favours content.
        found = target.perceptual.features(frames)
        distances = [target.perceptual.distance(found, features) for features in wanted]
        scores[begin : begin + 32] = torch.stack(distances).mean(dim=0).cpu()
    best = ws[int(scores.argmin())]
    span = float(target.t.max())
    if codes is None:
        return LatentVideo(best, None, None, span)
    u, motion_z = yield from _best_motion(generator, target, best, codes)
    return LatentVideo(best, u, motion_z, span)


def _random_codes(generator: Generator, count: int, span: float, rng: torch.Generator) -> Tensor | None:
    motion = generator.cfg.motion
    if motion is None:
        return None
    return torch.randn(count, generator.num_motion_codes(span), motion.z_dim, generator=rng).to(generator.device)


def _render(generator: Generator, ws: Tensor, t: Tensor, codes: Tensor | None) -> Tensor:
    motion_v = None if codes is None else generator.motion(t, codes)
    return generator.synthesis(ws, motion_v=motion_v).flatten(0, 1).clamp(-1, 1)


def _best_motion(generator: Generator, target: Target, ws: Tensor, codes: Tensor) -> Task[tuple[Tensor, Tensor]]:
    """For every trajectory code the candidate whose frames around that code look most like the clip's."""
    assert generator.cfg.motion is not None
    distance, count = generator.cfg.motion.distance, len(target.frames)
    places = int(float(target.t.max()) // distance) + 2
    step = max(1, round(distance / 3 / max(target.interval, 1e-6)))
    keys = torch.arange(0, count, step)
    columns = []
    for part in keys.split(32):
        features = target.at(part)
        column = torch.zeros(codes.shape[0], len(part))
        for m in range(codes.shape[0]):
            yield Progress("initialise", int(part[0]) // step * codes.shape[0] + m * len(part), len(keys) * codes.shape[0], "motions")
            frames = _render(generator, ws.unsqueeze(0), target.t[part].unsqueeze(0), codes[m : m + 1])
            column[m] = target.perceptual.distance(target.perceptual.features(frames), features).cpu()
        columns.append(column)
    table = torch.cat(columns, dim=1)
    nearest = (target.t[keys].cpu() / distance).round().long()
    u = generator.trajectory(codes)
    overall = int(table.mean(dim=1).argmin())
    rows = []
    for place in range(places):
        near = table[:, nearest == place]
        rows.append(u[int(near.mean(dim=1).argmin()) if near.shape[1] else overall, place])
    return torch.stack(rows), codes[overall]


def invert(generator: Generator, target: Target, start: LatentVideo, spread: Prior, cfg: InversionConfig, seed: int) -> Task[LatentVideo]:
    """Optimise ws [L, D] and the trajectory u of the whole clip: one content, one motion."""
    ws = torch.zeros_like(start.ws, requires_grad=True)
    u = None if start.u is None else torch.zeros_like(start.u, requires_grad=True)

    def build(noise: float, rng: torch.Generator) -> tuple[LatentVideo, Tensor]:
        jitter = torch.randn(ws.shape, generator=rng).to(ws.device) * noise
        video = LatentVideo(start.ws + (ws + jitter) * spread.w_std, None, start.motion_z, start.span)
        penalty = _content_penalty(video.ws, spread, cfg)
        if u is not None and start.u is not None:
            video.u = start.u + u * spread.u_std
            penalty = penalty + cfg.motion_prior * ((video.u - spread.u_mean) / spread.u_std).square().mean()
        return video, penalty

    free = [tensor for tensor in (ws, u) if tensor is not None]
    yield from _optimise("invert", generator, target, build, free, cfg, cfg.lr, cfg.noise, seed)
    return build(0.0, torch.Generator())[0].to(generator.device)


def add_residuals(generator: Generator, target: Target, start: LatentVideo, spread: Prior, cfg: InversionConfig, seed: int) -> Task[LatentVideo]:
    """Add the two smooth residuals and optimise them together with what they correct."""
    ws = torch.zeros_like(start.ws, requires_grad=True)
    u = None if start.u is None else torch.zeros_like(start.u, requires_grad=True)
    loose = Loose.of(start, target, spread, cfg)

    def build(noise: float, rng: torch.Generator) -> tuple[LatentVideo, Tensor]:
        video, penalty = loose.build()
        video.ws = start.ws + ws * spread.w_std
        penalty = penalty + _content_penalty(video.ws, spread, cfg)
        if u is not None and start.u is not None:
            video.u = start.u + u * spread.u_std
        return video, penalty

    free = [ws, *([] if u is None else [u]), *loose.free]
    yield from _optimise("residuals", generator, target, build, free, cfg, cfg.residual_lr, 0.0, seed)
    with torch.no_grad():
        video = build(0.0, torch.Generator())[0]
    return video.to(generator.device)


def _content_penalty(ws: Tensor, spread: Prior, cfg: InversionConfig) -> Tensor:
    """How far ws [L, D] are from the generator's own contents, and its rows from each other."""
    away = ((ws - spread.w_mean) / spread.w_std).square().mean()
    return cfg.content_prior * away + cfg.row_prior * ((ws - ws.mean(dim=0)) / spread.w_std).square().mean()


@dataclass
class Loose:
    """A latent video whose residual splines are free, in units of their spread: what it already has of them, or zero."""

    start: LatentVideo
    spread: Prior
    cfg: InversionConfig  # whose priors pull them to zero
    content: Spline
    motion: Spline | None

    @classmethod
    def of(cls, start: LatentVideo, target: Target, spread: Prior, cfg: InversionConfig) -> Loose:
        """Free the residuals of `start`; knots as `cfg` says where there are none yet. An image generator's content is all that moves."""
        every = cfg.motion_knots if start.u is None else cfg.content_knots
        content = _free(start.content, start.span, every * target.interval, start.ws, spread.w_std)
        motion = None
        if start.u is not None:
            motion = _free(start.motion, start.span, cfg.motion_knots * target.interval, spread.v_std, spread.v_std)
        return cls(start, spread, cfg, content, motion)

    @property
    def free(self) -> list[Tensor]:
        """The coefficients, which take gradients."""
        return [self.content.coefs, *([] if self.motion is None else [self.motion.coefs])]

    def build(self) -> tuple[LatentVideo, Tensor]:
        """The latent video of the present coefficients, and their penalty."""
        video = dataclasses.replace(self.start, content=self.content.scaled(self.spread.w_std))
        stiff = self.cfg.residual_prior if self.motion is None else self.cfg.drift_prior
        penalty = stiff * self.content.coefs.square().mean()
        if self.motion is not None:
            video.motion = self.motion.scaled(self.spread.v_std)
            penalty = penalty + self.cfg.residual_prior * self.motion.coefs.square().mean()
        return video, penalty


def _free(found: Spline | None, span: float, spacing: float, like: Tensor, unit: Tensor) -> Spline:
    """A spline in units of `unit` whose coefficients take gradients: the one found, or zero with values shaped as `like`."""
    if found is None:
        spline = Spline.zeros(span, spacing, tuple(like.shape))
    else:
        spline = found.scaled(1 / unit)
    spline.coefs = spline.coefs.detach().to(like.device).requires_grad_()
    return spline


Build = Callable[[float, torch.Generator], tuple[LatentVideo, Tensor]]


def _optimise(
    stage: str, generator: Generator, target: Target, build: Build, free: list[Tensor], cfg: InversionConfig, lr: float, noise: float, seed: int
) -> Task[None]:
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(free, lr=lr, betas=(0.9, 0.99))
    count = len(target.frames)
    steps, batch = cfg.stage_steps(count), min(cfg.batch, count)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * schedule(step / steps)
        jitter = noise * max(0.0, 1 - step / steps / 0.75) ** 2
        video, penalty = build(jitter, rng)
        index = neighbours(count, batch, rng).to(target.t.device)
        loss, parts = frame_loss(generator, target, video, index, cfg)
        optimizer.zero_grad(set_to_none=True)
        (loss + penalty).backward()
        optimizer.step()
        yield Progress(stage, step + 1, steps, f"distance {parts:.4f}")


def neighbours(count: int, batch: int, rng: torch.Generator) -> Tensor:
    """Indices [batch] of neighbouring frames of `count`: a window slid over both ends and pushed back, so that the first and the last
    frames are seen as often as others; windows drawn inside alone would hardly ever show them."""
    begin = int(torch.randint(1 - batch, count, (1,), generator=rng))
    return torch.arange(batch) + min(max(begin, 0), count - batch)


def frame_loss(generator: Generator, target: Target, video: LatentVideo, index: Tensor, cfg: InversionConfig) -> tuple[Tensor, float]:
    """Loss of neighbouring frames: perceptual, squared error, and squared error of differences in time (against frozen motion)."""
    ws, motion_v = video.at(generator, target.t[index])
    frames = generator.synthesis(ws, motion_v=motion_v)[0]
    wanted = target.frames[index]
    distance = target.distance(frames, index).mean()
    loss = distance + cfg.pixel * (frames - wanted).square().mean()
    if len(index) > 1:
        loss = loss + cfg.difference * (frames.diff(dim=0) - wanted.diff(dim=0)).square().mean()
    return loss, float(distance.detach())


def schedule(progress: float, ramp_up: float = 0.05, ramp_down: float = 0.25) -> float:
    """Learning-rate factor at a progress in [0, 1): linear ramp up, then 1, then half a cosine down to 0.

    >>> round(schedule(0.025), 2), schedule(0.5), round(schedule(0.875), 3)
    (0.5, 1.0, 0.5)
    """
    down = min(1.0, (1 - progress) / ramp_down)
    return min(1.0, progress / ramp_up + 1e-3 if progress < ramp_up else 1.0) * (0.5 - 0.5 * math.cos(math.pi * down))
