"""The adversarial game on clips (StyleGAN-V, and MoCoGAN's pair of judges), in one process or many, resumable to the bit.

Every draw of a step is a function of (seed, step, clip), so the state is weights, optimisers and a few counters, and as many processes
as one likes see the same clips, inputs and augmentations. Gradients are summed over them explicitly, micro-batch by micro-batch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from stylegan_v import game_state
from stylegan_v.augment import AdaController, Augment
from stylegan_v.discriminator import Discriminator
from stylegan_v.files import appears
from stylegan_v.game_codes import Told, align
from stylegan_v.game_config import GameConfig
from stylegan_v.game_draws import Ahead, Clips, Inputs, InputSampler, real_sampler, to_floats
from stylegan_v.game_fit import check_clips, shares
from stylegan_v.game_judges import judge_clips, make_judges
from stylegan_v.game_pairs import Pairs
from stylegan_v.generator import Generator
from stylegan_v.guard import Guard, settle
from stylegan_v.losses import discriminator_logistic, generator_logistic, r1_penalty
from stylegan_v.mocogan import ImageDiscriminator, VideoDiscriminator
from stylegan_v.ranks import Ranks, RanksDisagree

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SHARED = "the run's folder has to be one that all machines share"
W_AVG_SPEED = 0.005  # w_avg keeps 0.995 of itself a step
FOR_GENERATOR, FOR_FAKE, FOR_REAL, FOR_R1, FOR_NOISE = range(5)  # columns of Inputs.seeds


@dataclass(frozen=True)
class Real:
    """A micro-batch of real clips: frames uint8 [N, T, 3, H, W], times [N, T], labels [N, c_dim], and with pairs which clips they are [N]."""

    frames: Tensor
    t: Tensor
    c: Tensor | None
    items: Tensor | None


@dataclass
class GameEvent:
    """What happened in one step: clips seen so far, figures by name (floats; `r1` only in steps that have it)."""

    step: int
    clips: int
    figures: dict[str, float] = field(default_factory=dict)
    skipped: bool = False


class Game:
    """Networks, optimisers and the loop. `run` yields a GameEvent a step; `save` and `load` keep the whole state.

    `workers` threads read clips ahead. Raises DataError where the clips do not fit the networks.
    """

    def __init__(self, cfg: GameConfig, clips: Clips, *, ranks: Ranks | None = None, device: str = "cpu", workers: int = 0) -> None:
        self.cfg, self.clips, self.ranks, self.device = cfg, clips, ranks or Ranks(), torch.device(device)
        self.share, self.micro = shares(cfg, self.ranks)
        check_clips(cfg, clips)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(cfg.seed)
            self.generator = Generator(cfg.generator).to(self.device)
            self.judges = make_judges(cfg).to(self.device)
        self.ema = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self._set_precision()
        self._freeze()
        self.pairs = None if cfg.pairs is None else Pairs(cfg, clips, self.generator).to(self.device)
        self.optimizer = self._generator_optimizer()
        self.judge_optimizer = self._judge_optimizer()
        self.augment, self.ada = Augment(cfg.augment), AdaController(cfg.ada.target, cfg.ada.interval, cfg.ada.kimg, cfg.ada.p)
        self.guard = Guard(cfg.guard)
        self.inputs = InputSampler.of(cfg, clips, self.generator)
        self.real = Ahead(real_sampler(cfg, clips, self.ranks), workers)
        self.step = 0
        self.codes_learned = self.pairs is None
        self.began_good = False  # with somebody's average of generators: it is kept, and gives way slowly
        self.last_good: Path | None = None

    def run(self, until: int | None = None) -> Iterator[GameEvent]:
        """Train to step `until` (the end by default), yielding after every step; raises TrainingDiverged."""
        for _ in self.learn_codes():
            pass
        until = self.cfg.total_steps if until is None else min(until, self.cfg.total_steps)
        while self.step < until:
            good, figures = self._play()
            if good:
                self._average()
            self.step += 1
            event = GameEvent(self.step, self.step * self.cfg.batch, figures, skipped=not good)
            if self.guard.note(good):
                self._retreat()
            yield event

    def learn_codes(self) -> Iterator[Told]:
        """What a game with pairs begins with (see `stylegan_v.game_codes`), the average's motion encoder too; nothing where that was done."""
        if self.codes_learned or self.pairs is None:
            return
        if self.pairs.cfg.codes:
            yield from align(self.pairs, self.generator, self.cfg, self.clips)
            self.ranks.take_firsts(self.pairs, self.generator)
            self.ema.synthesis.motion_encoder.load_state_dict(self.generator.synthesis.motion_encoder.state_dict())
        self.codes_learned = True

    @property
    def healthy(self) -> bool:
        """Whether the last step was taken; a state of one that was not is not worth keeping."""
        return self.guard.streak == 0

    @property
    def usable(self) -> bool:
        """Whether the weights are worth keeping although the last step was not taken: some step was, and they are finite."""
        networks = (self.generator, self.ema, self.judges, *self._codes())
        finite = all(bool(weight.isfinite().all()) for network in networks for weight in network.parameters())
        return finite and self.guard.skipped < self.step

    def save(self, path: Path) -> None:
        """Write the whole state beside `path` and rename it there; it becomes the state that the guard goes back to.

        All processes call it, the first one writes; raises RanksDisagree where their weights have drifted apart.
        """
        self.check_agreement("go on from the last saved state with --resume")
        if self.ranks.first:
            game_state.save(self, path)
        self.ranks.wait()
        if self.last_good != path and not self.ranks.agree(appears(path)):
            raise RanksDisagree(f"{path} was written, and not all processes see it: {SHARED}")
        self.last_good = path

    def check_agreement(self, remedy: str) -> None:
        """Raise RanksDisagree unless all processes are at the same step with the same weights."""
        if not self.ranks.agree(self.step):
            raise RanksDisagree(f"the processes of this training are at different steps, this one at {self.step}: {SHARED}")
        self.ranks.check_agreement(self.generator, self.ema, self.judges, *self._codes(), remedy=remedy)

    def load(self, path: Path) -> None:
        """Go back to a saved state; raises ValueError where it belongs to another configuration or other clips."""
        game_state.load(self, path)
        self.last_good = path

    def close(self) -> None:
        """Stop reading clips ahead."""
        self.real.close()

    def _play(self) -> tuple[bool, dict[str, float]]:
        """One step of both sides; whether all of it was taken, and its figures."""
        parts = list(self.inputs.batch(self.step, self.ranks.rank * self.share, self.share).parts(self.micro, self.device))
        real, seen = list(self._real()), self.step * self.cfg.batch / 1000
        if seen < self.cfg.pairs_kimg:
            good, figures = self._move_pairs(parts, real)
            return good, figures | {"rate": self.guard.rate}
        ahead = seen < self.cfg.pairs_kimg + self.cfg.head_start
        good, fakes, figures = (True, self._show(parts), {}) if ahead else self._move_generator(parts, real)
        if good:
            good, more = self._move_judges(parts, fakes, real)
            figures |= more
        if good and self.cfg.gamma and self.step % self.cfg.r1_interval == 0:
            good, more = self._regularise(parts, real)
            figures |= more
        return good, figures | {"p": self.ada.p, "sign": self.ada.sign, "rate": self.guard.rate}

    def _real(self) -> Iterator[Real]:
        """The real clips of a step, in micro-batches."""
        tensors = [tensor.split(self.micro) for tensor in self.real.batch(self.step)]
        items = [None] * len(tensors[0]) if self.pairs is None else self.real.items(self.step).split(self.micro)
        for frames, t, c, which in zip(*tensors, items, strict=True):
            label = c.to(self.device) if self.cfg.generator.c_dim else None
            yield Real(frames.to(self.device), t.to(self.device), label, None if which is None else which.to(self.device))

    @torch.no_grad()
    def _show(self, parts: Sequence[Inputs]) -> list[Tensor]:
        """The generator's clips, for judges that have a head start."""
        return [self._frames(self._contents(part), part) for part in parts]

    def _contents(self, part: Inputs) -> Tensor:
        """w [N, D]."""
        return self.generator.mapping.w(part.z, part.c if self.cfg.generator.c_dim else None)

    def _move_pairs(self, parts: Sequence[Inputs], real: Sequence[Real]) -> tuple[bool, dict[str, float]]:
        """A step of the generator and the clips' own codes before the game; w_avg follows random z as it does later."""
        assert self.pairs is not None
        self.optimizer.zero_grad(set_to_none=True)
        apart = sum_of(self._draw_again(clips, 1.0) for clips in real)
        with torch.no_grad():
            w_sum = sum_of(self._contents(part).float().sum(dim=0) for part in parts) / self.cfg.batch
        good, figures, norm = self._settle(self._moving(), torch.cat([apart.view(1), w_sum]))
        if good:
            rate = self.pairs.rate(self.step, self.cfg.batch)
            self._take(self.optimizer, [rate, *self.pairs.code_rates(rate / self.pairs.cfg.lr)], beta1=0.9)
            self.generator.mapping.w_avg.lerp_(figures[1:], W_AVG_SPEED)
            self.pairs.standardise()
        return good, {"paired": float(figures[0]), "generator_gradient": norm}

    def _draw_again(self, real: Real, weight: float) -> Tensor:
        """This micro-batch's share of the distance of drawn clips to the real ones; its gradient, times `weight`, is added."""
        assert self.pairs is not None and real.items is not None
        apart = self.pairs.distance(self.generator, real.items, to_floats(real.frames), real.t, real.c) * (len(real.t) / self.cfg.batch)
        (apart * weight).backward()
        return apart.detach()

    def _move_generator(self, parts: Sequence[Inputs], real: Sequence[Real]) -> tuple[bool, list[Tensor], dict[str, float]]:
        """The generator's step; its clips are kept for the other side."""
        self.optimizer.zero_grad(set_to_none=True)
        fakes, sums, w_sum = [], torch.zeros(2, device=self.device), torch.zeros(self.cfg.generator.w_dim, device=self.device)
        with self._judges_resting():
            for part, clips in zip(parts, real, strict=True):
                w = self._contents(part)
                fake = self._frames(w, part)
                loss = sum_of(generator_logistic(logits) for logits in self._judge(fake, part.t, part.c, part.seeds[:, FOR_GENERATOR]))
                weight = len(part.z) / self.cfg.batch
                (loss * weight).backward()
                sums[0] += loss.detach() * weight
                w_sum += w.detach().float().sum(dim=0) / self.cfg.batch
                fakes.append(fake.detach())
                if self.pairs is not None:
                    sums[1] += self._draw_again(clips, self.pairs.cfg.weight)
        good, figures, norm = self._settle(self._moving(), torch.cat([sums, w_sum]))
        named = {"generator": float(figures[0]), "generator_gradient": norm}
        rates = [self.cfg.lr * self.cfg.generator_lr_factor]
        if self.pairs is not None:
            named["paired"] = float(figures[1])
            rates += self.pairs.code_rates(self.pairs.cfg.lr_end)
        if good:
            self._take(self.optimizer, rates)
            self.generator.mapping.w_avg.lerp_(figures[2:], W_AVG_SPEED)
            if self.pairs is not None:
                self.pairs.standardise()
        return good, fakes, named

    def _move_judges(self, parts: Sequence[Inputs], fakes: Sequence[Tensor], real: Sequence[Real]) -> tuple[bool, dict[str, float]]:
        """The discriminators' step on the generator's clips and the real ones, and the controller's look at the logits."""
        self.judge_optimizer.zero_grad(set_to_none=True)
        sums, seen = torch.zeros(3, device=self.device), []
        for part, fake, clips in zip(parts, fakes, real, strict=True):
            of_fake = self._judge(fake, part.t, part.c, part.seeds[:, FOR_FAKE])
            of_real = self._judge(to_floats(clips.frames), clips.t, clips.c, part.seeds[:, FOR_REAL])
            loss = sum_of(discriminator_logistic(a, b) for a, b in zip(of_real, of_fake, strict=True))
            weight = len(clips.t) / self.cfg.batch
            (loss * weight).backward()
            sums += torch.stack([loss.detach(), of_real[0].detach().mean(), of_fake[0].detach().mean()]).float() * weight
            seen.append(of_real[0].detach())
        good, figures, norm = self._settle(self.judges.parameters(), sums)
        if good:
            self._take(self.judge_optimizer, self._judge_rates())
            if self.cfg.ada.target:
                self.ada.update(torch.cat(seen), self.ranks.total)
        names = ("discriminator", "real", "fake")
        return good, dict(zip(names, figures.tolist(), strict=True)) | {"discriminator_gradient": norm}

    def _regularise(self, parts: Sequence[Inputs], real: Sequence[Real]) -> tuple[bool, dict[str, float]]:
        """R1 as a step of its own, weighted up for its laziness."""
        self.judge_optimizer.zero_grad(set_to_none=True)
        sums = torch.zeros(1, device=self.device)
        for part, clips in zip(parts, real, strict=True):
            frames = to_floats(clips.frames).requires_grad_(True)
            judged = zip(self.judges, self._judge(frames, clips.t, clips.c, part.seeds[:, FOR_R1]), strict=True)
            penalty = sum_of(self._penalty(name, logits, frames) for name, logits in judged)
            weight = len(clips.t) / self.cfg.batch
            (penalty * (self.cfg.gamma / 2 * self.cfg.r1_interval * weight)).backward()
            sums[0] += penalty.detach() * weight
        good, figures, _ = self._settle(self.judges.parameters(), sums)
        if good:
            self._take(self.judge_optimizer, self._judge_rates())
        return good, {"r1": float(figures[0])}

    def _penalty(self, name: str, logits: Tensor, frames: Tensor) -> Tensor:
        """R1 of one judge, averaged over the frames that it sees, of which MoCoGAN's for images sees one; of patches' logits the mean counts."""
        penalty = r1_penalty(logits.reshape(len(frames), -1).mean(dim=1), frames)
        return penalty * self.cfg.num_frames if name == "image" else penalty

    def _frames(self, w: Tensor, part: Inputs) -> Tensor:
        """Clips [N, T, 3, H, W] of contents w [N, D]."""
        ws = w.unsqueeze(1).expand(-1, self.generator.num_ws, -1)
        if self.cfg.still:  # one stream of noise a micro-batch, which is the same in any number of processes
            noise = torch.Generator().manual_seed(int(part.seeds[0, FOR_NOISE]))
            return cast(Tensor, self.generator.synthesis(ws, noise=noise))
        return cast(Tensor, self.generator.synthesis(ws, motion_v=self.generator.motion(part.t, part.motion_z, part.c)))

    def _judge(self, frames: Tensor, t: Tensor, c: Tensor | None, seeds: Tensor) -> list[Tensor]:
        """Logits [N] (patches apart: [N, P]) of every judge on augmented clips."""
        if self.ada.p:
            frames = self.augment.apply(frames, self.augment.draw_for(seeds.tolist(), self.ada.p))
        return judge_clips(self.judges, frames, t, c, seeds)

    def _settle(self, params: Iterable[nn.Parameter], figures: Tensor) -> tuple[bool, Tensor, float]:
        return settle(list(params), figures, self.ranks, self.guard, mend=self.cfg.precision == "fp16")

    def _take(self, optimizer: torch.optim.Optimizer, rates: Sequence[float], beta1: float = 0.0) -> None:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"], group["betas"] = rate * self.guard.rate, (beta1, group["betas"][1])
        optimizer.step()

    @torch.no_grad()
    def _average(self) -> None:
        """Move the average of the generators on: a half-life in clips, shorter in the beginning unless that was a good one."""
        half_life = self.cfg.ema_half_life
        if not self.began_good:
            half_life = min(half_life, (self.step + 1) * self.cfg.batch * self.cfg.ema_ramp)
        keep = 0.5 ** (self.cfg.batch / half_life)
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.generator.parameters()), 1 - keep)
        for kept, buffer in zip(self.ema.buffers(), self.generator.buffers(), strict=True):
            kept.copy_(buffer)

    def _retreat(self) -> None:
        """Go back to the last saved state with a lower rate; the guard's own counts go on, and are kept with it, for a run may be killed now."""
        self.guard.retreat(self.step, self.last_good is not None)
        counts = self.guard.state_dict()
        assert self.last_good is not None
        self.load(self.last_good)
        self.guard.load_state_dict(counts)
        self.save(self.last_good)

    @contextmanager
    def _judges_resting(self) -> Iterator[None]:
        """Judges without gradients of their own while the generator moves."""
        moving = [param for param in self.judges.parameters() if param.requires_grad]
        for param in moving:
            param.requires_grad_(False)
        try:
            yield
        finally:
            for param in moving:
                param.requires_grad_(True)

    def _set_precision(self) -> None:
        dtype = DTYPES[self.cfg.precision]
        self.generator.set_precision(dtype, self.cfg.generator.num_fp16_res or None)
        for judge in self.judges.values():
            if isinstance(judge, Discriminator):
                judge.set_precision(dtype, judge.cfg.num_fp16_res or None)
            else:
                assert isinstance(judge, ImageDiscriminator | VideoDiscriminator)
                judge.compute_dtype = dtype

    def _freeze(self) -> None:
        for judge in self.judges.values():
            if isinstance(judge, Discriminator):
                for resolution in judge.resolutions[: self.cfg.freeze]:
                    getattr(judge, f"b{resolution}").requires_grad_(False)

    def _codes(self) -> list[Pairs]:
        """The clips' own codes, where there are any."""
        return [] if self.pairs is None else [self.pairs]

    def _moving(self) -> list[nn.Parameter]:
        """What the generator's steps move: its weights, and the clips' own codes."""
        return [weight for module in (self.generator, *self._codes()) for weight in module.parameters()]

    def _generator_optimizer(self) -> torch.optim.Adam:
        groups = [{"params": list(self.generator.parameters())}, *({"params": [codes]} for pairs in self._codes() for codes in pairs.parameters())]
        return torch.optim.Adam(groups, lr=self.cfg.lr * self.cfg.generator_lr_factor, betas=(0.0, 0.99), eps=1e-8, fused=True)

    def _judge_optimizer(self) -> torch.optim.Adam:
        """Adam with betas made up for the steps of R1."""
        groups = [{"params": [param for param in judge.parameters() if param.requires_grad]} for judge in self.judges.values()]
        return torch.optim.Adam(groups, lr=self.cfg.lr, betas=(0.0, 0.99 ** self._laziness), eps=1e-8, fused=True)

    @property
    def _laziness(self) -> float:
        return self.cfg.r1_interval / (self.cfg.r1_interval + 1) if self.cfg.gamma else 1.0

    def _judge_rates(self) -> list[float]:
        factors = [self.cfg.video_lr_factor if isinstance(judge, VideoDiscriminator) else 1.0 for judge in self.judges.values()]
        return [self.cfg.lr * self._laziness * factor for factor in factors]


def sum_of(tensors: Iterable[Tensor]) -> Tensor:
    """The sum of at least one tensor, all of one shape."""
    return torch.stack(list(tensors)).sum(dim=0)
