"""The training loop: a paired warm start, then the adversarial game, both resumable to the bit.

Every random draw of a step comes from a generator seeded by (seed, step), so the loop's state is weights, optimisers and
the step counter alone, and an interrupted run goes on as if nothing had happened.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from stylegan_v.config import Config, ConfigError, DiscriminatorConfig, GeneratorConfig
from stylegan_v.discriminator import Discriminator
from stylegan_v.files import replacing
from stylegan_v.generator import Generator
from stylegan_v.losses import discriminator_logistic, generator_logistic, pyramid_distance, r1_penalty

MAX_SPAN = 32  # frames
MAX_SEED = 1 << 43  # a million times as much, and the step, fit into 63 bits


class Source(Protocol):
    """Paired data: what belongs to z [N, z_dim], t [N, T] (frames) and motion_z [N, M, C]."""

    def labels(self, z: Tensor, t: Tensor, motion_z: Tensor) -> tuple[Tensor, Tensor]:
        """Attributes [N, A] and motion [N, T, P] of these inputs, each about in [-1, 1]."""
        ...

    def __call__(self, z: Tensor, t: Tensor, motion_z: Tensor) -> Tensor:
        """The clips [N, T, 3, H, W] in [-1, 1] of these inputs, on their device."""
        ...


@dataclass(frozen=True)
class StageConfig(Config):
    """One stage of training. `clips` × `frames` frames a step; `adversarial` 0 makes it a plain paired warm start.

    `edges` and `motion` weigh the paired distance of differences in the frame and between a clip's frames, `moving` that of places that
    change, `squared` blends from L1 to squared error (see `paired_distance`).
    `pyramid` weighs the paired distance of the image at every lower resolution, which the generator sums up on its way: there
    colours, shapes and the place of things are learned soonest. `resolution` stops at a lower one altogether, at a fraction of
    the cost. `codes` weighs a linear reading of attributes from w and of motion from motion_v: a stage of it alone (`paired` 0) sets up
    mapping and motion encoder within minutes, without rendering a frame. `codes_lr` times the rate is theirs.

    The learning rate ramps up over `ramp_steps`, then falls on a cosine to `lr_end` times itself; `beta1` is the
    generator's, the discriminator's is 0.
    """

    steps: int
    clips: int = 16
    frames: int = 1
    lr: float = 0.003
    lr_end: float = 0.1
    beta1: float = 0.0
    ramp_steps: int = 100
    paired: float = 1.0
    edges: float = 0.5
    motion: float = 0.0
    moving: float = 0.0
    squared: float = 0.0
    adversarial: float = 0.0
    codes: float = 0.0
    codes_lr: float = 1.0
    pyramid: float = 0.0
    resolution: int | None = None
    discriminator_lr: float = 0.002
    r1_gamma: float = 0.5
    r1_interval: int = 16
    ema_kimg: float = 2.0

    def __post_init__(self) -> None:
        self._require_counts("steps", "clips", "frames", "r1_interval", most=1 << 40)
        self._require_counts("ramp_steps", least=0)
        self._require_positive("lr", "discriminator_lr", "ema_kimg")
        for key in ("paired", "edges", "motion", "moving", "adversarial", "codes", "codes_lr", "pyramid", "r1_gamma"):
            self._require(0 <= getattr(self, key) < 1e9, key, "a number from 0 to below 1e9")
        for key in ("squared", "lr_end"):
            self._require(0 <= getattr(self, key) <= 1, key, "a number from 0 to 1")
        self._require(0 <= self.beta1 < 1, "beta1", "a number from 0 to below 1")
        self._require(self.frames <= MAX_SPAN + 1, "frames", f"at most {MAX_SPAN + 1}, which a span of {MAX_SPAN} frames holds")
        if self.resolution is not None:
            self._require_resolution()
        self._require(self.paired > 0 or self.codes > 0, "paired", "a positive number, unless codes are trained")
        self._require(self.adversarial == 0 or self.resolution is None, "resolution", "none in an adversarial stage")
        self._require(self.adversarial == 0 or self.frames > 1, "frames", "at least 2 in an adversarial stage")
        self._require((self.motion == 0 and self.moving == 0) or self.frames > 1, "frames", "at least 2 where motion is weighed")

    def rate(self, step: int) -> float:
        """Learning rate of the generator at a step of this stage."""
        ramp = min(1.0, (step + 1) / max(1, self.ramp_steps))
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.lr * ramp * (self.lr_end + (1 - self.lr_end) * cosine)

    def rates(self, step: int) -> tuple[float, float]:
        """Learning rates of the image layers and of the codes (mapping, motion encoder, probes)."""
        return self.rate(step), self.rate(step) * self.codes_lr


def _stage(index: int, values: Any) -> StageConfig:
    """A stage of plain data, if it is not one already."""
    if isinstance(values, StageConfig):
        return values
    if not isinstance(values, Mapping):
        raise ConfigError("is no table of a stage", f"stages.{index}")
    try:
        return StageConfig.from_dict(values)
    except ConfigError as error:
        raise error.below(f"stages.{index}") from None


@dataclass(frozen=True)
class TrainConfig(Config):
    """A whole run: networks, stages, precision, seed; `max_t` is the span of times (frames) that training sees.

    `quiet_waves` starts the motion encoder's periods and phases at those of time itself instead of at random: random phases drown
    the motion codes in noise, and paired training then stays blind to motion for long."""

    generator: GeneratorConfig
    stages: tuple[StageConfig, ...]
    discriminator: DiscriminatorConfig | None = None
    seed: int = 0
    max_t: int = 256
    quiet_waves: bool = False
    precision: Literal["fp32", "bf16"] = "bf16"

    def __post_init__(self) -> None:
        self._table("generator", GeneratorConfig)
        self._table("discriminator", DiscriminatorConfig)
        object.__setattr__(self, "stages", tuple(_stage(index, stage) for index, stage in enumerate(self.stages)))
        self._require(self.precision in ("fp32", "bf16"), "precision", "'fp32' or 'bf16'")
        self._require_counts("seed", least=0, most=MAX_SEED)
        self._require(len(self.stages) > 0, "stages", "one at least")
        self._check_networks()
        for index, stage in enumerate(self.stages):
            try:
                self._check_stage(stage)
            except ConfigError as error:
                raise error.below(f"stages.{index}") from None
        longest = max(stage.frames for stage in self.stages)
        least = 1 if longest == 1 else _spans(longest)[0] + 1
        self._require_counts("max_t")
        self._require(self.max_t >= least, "max_t", f"at least {least}, which a stage of {longest} frames a clip needs")

    def _check_networks(self) -> None:
        needs = any(stage.adversarial for stage in self.stages)
        self._require(not needs or self.discriminator is not None, "discriminator", "a table, since a stage is adversarial")
        motion: Any = self.generator.motion
        self._require(motion is not None, "generator.motion", "a table: what a generator is trained on moves")
        self._require(motion.kind == "conv", "generator.motion.kind", "'conv', since the motion of a clip is told by the codes around a moment")
        self._require(self.generator.c_dim == 0, "generator.c_dim", "0, since no clip has a class here")
        if self.discriminator is not None:
            self._require(self.discriminator.c_dim == 0, "discriminator.c_dim", "0, since no clip has a class here")
            resolution = self.generator.resolution
            self._require(self.discriminator.resolution == resolution, "discriminator.resolution", f"{resolution} as the generator has")

    def _check_stage(self, stage: StageConfig) -> None:
        """What a stage asks for, and the networks cannot do; raises ConfigError with its key within the stage."""
        highest = self.generator.resolution
        stage._require(stage.resolution is None or stage.resolution <= highest, "resolution", f"at most the generator's, {highest}")
        if stage.adversarial and self.discriminator is not None:
            shown = self.discriminator.num_frames
            stage._require(stage.frames == shown, "frames", f"{shown} as the discriminator has (num_frames), since the stage is adversarial")

    @property
    def total_steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: int) -> tuple[int, StageConfig, int]:
        """Index, settings and step within the stage of a step of the run."""
        for index, stage in enumerate(self.stages):
            if step < stage.steps:
                return index, stage, step
            step -= stage.steps
        raise IndexError(f"the run ends after {self.total_steps} steps")


@dataclass
class TrainEvent:
    """What happened in one step: losses by name (floats), frames seen so far in the run."""

    step: int
    stage: int
    frames: int
    losses: dict[str, float] = field(default_factory=dict)


class Trainer:
    """Networks, optimisers and the loop. `run` yields a TrainEvent a step; `save` and `load` keep the whole state."""

    def __init__(self, cfg: TrainConfig, source: Source, device: str = "cpu") -> None:
        self.cfg, self.source, self.device = cfg, source, torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(cfg.seed)
            self.generator = Generator(cfg.generator).to(self.device)
            self.probes = Probes(cfg.generator, *variances_of(source, cfg.generator)).to(self.device)
            self.discriminator = Discriminator(cfg.discriminator).to(self.device) if cfg.discriminator else None
            if cfg.quiet_waves and cfg.generator.motion:
                quieten(self.generator)
        self.ema = copy.deepcopy(self.generator).eval().requires_grad_(False)
        dtype = torch.bfloat16 if cfg.precision == "bf16" else torch.float32
        self.generator.set_precision(dtype)
        if self.discriminator:
            self.discriminator.compute_dtype = dtype
        self.optimizer = _adam(*self._groups(), lr=cfg.stages[0].lr)
        self.d_optimizer = _adam(list(self.discriminator.parameters()), lr=cfg.stages[-1].discriminator_lr) if self.discriminator else None
        self.step = 0
        self.frames = 0

    def run(self, until: int | None = None) -> Iterator[TrainEvent]:
        """Train to step `until` (the end by default), yielding after every step."""
        until = self.cfg.total_steps if until is None else min(until, self.cfg.total_steps)
        while self.step < until:
            index, stage, inner = self.cfg.stage_at(self.step)
            z, t, motion_z = self._draw(stage)
            if stage.paired or stage.adversarial:
                losses = self._update(stage, inner, z, t, motion_z)
                self.frames += stage.clips * stage.frames
            else:
                losses = self._align(stage, inner, z, t, motion_z)
            self._average(stage, inner)
            self.step += 1
            yield TrainEvent(self.step, index, self.frames, losses)

    def _groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Parameters of the image layers, and those of the codes."""
        named = list(self.generator.named_parameters())
        codes = [p for name, p in named if name.startswith(("mapping.", "synthesis.motion_encoder."))]
        images = [p for name, p in named if not name.startswith(("mapping.", "synthesis.motion_encoder."))]
        return images, [*codes, *(p for p in self.probes.parameters() if p.requires_grad)]

    def _draw(self, stage: StageConfig) -> tuple[Tensor, Tensor, Tensor]:
        rng = torch.Generator().manual_seed(self.cfg.seed * 1_000_003 + self.step)
        motion = self.cfg.generator.motion
        assert motion is not None
        z = torch.randn(stage.clips, self.cfg.generator.z_dim, generator=rng)
        t = sample_times(stage.clips, stage.frames, self.cfg.max_t, rng)
        codes = self.generator.synthesis.motion_encoder.num_codes(self.cfg.max_t)
        motion_z = torch.randn(stage.clips, codes, motion.z_dim, generator=rng)
        return z.to(self.device), t.to(self.device), motion_z.to(self.device)

    def _read(self, w: Tensor, motion_v: Tensor, z: Tensor, t: Tensor, motion_z: Tensor) -> Tensor:
        """How badly attributes can be read from w and motion from motion_v, by one linear layer each."""
        return self.probes(w, motion_v, *self.source.labels(z, t, motion_z))

    def _align(self, stage: StageConfig, inner: int, z: Tensor, t: Tensor, motion_z: Tensor) -> dict[str, float]:
        """One step of mapping and motion encoder alone."""
        loss = self._read(self.generator.mapping.w(z), self.generator.motion(t, motion_z), z, t, motion_z)
        _step(self.optimizer, stage.codes * loss, stage.rates(inner), stage.beta1)
        return {"codes": loss.item()}

    def _update(self, stage: StageConfig, inner: int, z: Tensor, t: Tensor, motion_z: Tensor) -> dict[str, float]:
        """One step of the generator against the paired clips and, in an adversarial stage, the discriminator."""
        real = self.source(z, t, motion_z)
        w = self.generator.mapping.w(z)
        with torch.no_grad():
            self.generator.mapping.w_avg.lerp_(w.mean(dim=0), 0.005)
        ws = w.unsqueeze(1).expand(-1, self.generator.num_ws, -1)
        motion_v = self.generator.motion(t, motion_z)
        images = self.generator.synthesis.pyramid(ws, motion_v, stage.resolution)
        fake = images[-1]
        weights = {"edges": stage.edges, "motion": stage.motion, "squared": stage.squared, "moving": stage.moving}
        paired = pyramid_distance(images, real, stage.pyramid, **weights)
        loss, losses = stage.paired * paired, {"paired": paired.item()}
        if stage.codes:
            codes = self._read(w, motion_v, z, t, motion_z)
            loss, losses = loss + stage.codes * codes, losses | {"codes": codes.item()}
        if stage.adversarial:
            assert self.discriminator is not None
            self.discriminator.requires_grad_(False)
            game = generator_logistic(self.discriminator(fake, t))
            self.discriminator.requires_grad_(True)
            loss = loss + stage.adversarial * game
            losses["generator"] = game.item()
        _step(self.optimizer, loss, stage.rates(inner), stage.beta1)
        if stage.adversarial:
            losses |= self._judge(stage, inner, fake.detach(), real, t)
        return losses

    def _judge(self, stage: StageConfig, inner: int, fake: Tensor, real: Tensor, t: Tensor) -> dict[str, float]:
        """One step of the discriminator; R1 every `r1_interval` steps, weighted up for its laziness."""
        assert self.discriminator is not None and self.d_optimizer is not None
        lazy = inner % stage.r1_interval == 0
        real = real.requires_grad_(lazy)
        real_logits = self.discriminator(real, t)
        loss = discriminator_logistic(real_logits, self.discriminator(fake, t))
        losses = {"discriminator": loss.item(), "real": real_logits.mean().item()}
        if lazy:
            penalty = r1_penalty(real_logits, real)
            losses["r1"] = penalty.item()
            loss = loss + penalty * (stage.r1_gamma / 2 * stage.r1_interval)
        _step(self.d_optimizer, loss, [stage.discriminator_lr * stage.rate(inner) / stage.lr], beta1=0.0)
        return losses

    @torch.no_grad()
    def _average(self, stage: StageConfig, inner: int) -> None:
        seen = (inner + 1) * stage.clips * stage.frames
        half_life = min(stage.ema_kimg * 1000, seen * 0.05)
        keep = 0.5 ** (stage.clips * stage.frames / max(half_life, 1e-8))
        if not (stage.paired or stage.adversarial):
            keep = 0.0  # nothing to smooth yet
        pairs = zip(self.ema.parameters(), self.generator.parameters(), strict=True)
        old, new = map(list, zip(*pairs, strict=True))
        torch._foreach_lerp_(old, new, 1 - keep)
        for kept, buffer in zip(self.ema.buffers(), self.generator.buffers(), strict=True):
            kept.copy_(buffer)

    def save(self, path: Path) -> None:
        """Write the whole state beside `path` and rename it there."""
        state: dict[str, Any] = {"config": self.cfg.to_dict(), "step": self.step, "frames": self.frames}
        for name, part in self._parts().items():
            state[name] = part.state_dict()
        with replacing(path) as beside:
            torch.save(state, beside)

    def load(self, path: Path) -> None:
        """Go back to a saved state; raises ValueError where it belongs to another configuration."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        if TrainConfig.from_dict(state["config"]) != self.cfg:
            raise ValueError(f"{path} was made with other settings; choose another output folder or restore the recipe")
        self.step, self.frames = state["step"], state["frames"]
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"generator": self.generator, "ema": self.ema, "optimizer": self.optimizer, "probes": self.probes}
        if self.discriminator is not None:
            parts |= {"discriminator": self.discriminator, "d_optimizer": self.d_optimizer}
        return parts


class Probes(nn.Module):
    """The linear readings of attributes [N, A] from w and of motion [N, T, P] from motion_v; used in training only.

    Motion is read with a small gain, so that the encoder has to say it loudly: at 4×4 it competes with the learned constant. Errors are
    measured against the variances of what is read [A] and [P]: a blink is rare, and would hardly count beside a head that always sways.
    """

    attribute_weights: Tensor
    motion_weights: Tensor

    def __init__(self, cfg: GeneratorConfig, attributes: Tensor, motions: Tensor) -> None:
        super().__init__()
        self.content = nn.Linear(cfg.w_dim, len(attributes))
        self.motion = nn.Linear(cfg.motion_dim, len(motions))
        nn.init.normal_(self.motion.weight, std=0.02)
        self.motion.weight.requires_grad_(False)
        self.register_buffer("attribute_weights", attributes.mean() / attributes)
        self.register_buffer("motion_weights", motions.mean() / motions)

    def forward(self, w: Tensor, motion_v: Tensor, attributes: Tensor, motion: Tensor) -> Tensor:
        """The mean squared errors of both readings, weighted, added up; of w [N, D], motion_v [N, T, V], attributes [N, A], motion [N, T, P]."""
        of_content = ((self.content(w) - attributes).square() * self.attribute_weights).mean()
        return of_content + ((self.motion(motion_v) - motion).square() * self.motion_weights).mean()


def variances_of(source: Source, cfg: GeneratorConfig, clips: int = 2048, frames: int = 4) -> tuple[Tensor, Tensor]:
    """Variances of the attributes [A] and motions [P] that a source names, over some clips drawn from a stream of their own."""
    assert cfg.motion is not None
    rng = torch.Generator().manual_seed(0)
    z, codes = torch.randn(clips, cfg.z_dim, generator=rng), 2 * cfg.motion.kernel_size + 8
    t = torch.rand(clips, frames, generator=rng) * cfg.motion.distance
    attributes, motion = source.labels(z, t, torch.randn(clips, codes, cfg.motion.z_dim, generator=rng))
    return attributes.var(dim=0), motion.flatten(0, 1).var(dim=0)


def quieten(generator: Generator) -> None:
    """Set periods and phases to those of time itself: rate 1, phase 0 for every motion code."""
    encoder = generator.synthesis.motion_encoder.time_encoder
    with torch.no_grad():
        encoder.periods_predictor.weight.zero_()
        encoder.phase_predictor.weight.zero_()


def sample_times(clips: int, frames: int, max_t: int, rng: torch.Generator) -> Tensor:
    """Fractional times [clips, frames] in [0, max_t): a span of a power of two up to 32, its ends and points between (section 4)."""
    if frames == 1:
        return torch.rand(clips, 1, generator=rng) * (max_t - 1)
    choices = [span for span in _spans(frames) if span < max_t]
    span = torch.tensor(choices)[torch.randint(len(choices), (clips, 1), generator=rng)].float()
    inside = torch.rand(clips, frames, generator=rng).sort(dim=1).values
    inside[:, 0], inside[:, -1] = 0, 1
    return torch.rand(clips, 1, generator=rng) * (max_t - 1 - span) + inside * span


def _spans(frames: int) -> list[int]:
    """The powers of two that the first and the last of so many frames may lie apart."""
    return [1 << i for i in range(MAX_SPAN.bit_length()) if frames - 1 <= 1 << i]


def _adam(*groups: list[nn.Parameter], lr: float) -> torch.optim.Adam:
    return torch.optim.Adam([{"params": group} for group in groups], lr=lr, betas=(0.0, 0.99), eps=1e-8, fused=True)


def _step(optimizer: torch.optim.Optimizer, loss: Tensor, rates: Sequence[float], beta1: float) -> None:
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"], group["betas"] = rate, (beta1, 0.99)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
