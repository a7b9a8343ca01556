"""What a training would do, before it is begun: sizes, and time and memory as measured on a few of its steps."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stylegan_v.game import Game
from stylegan_v.game_config import GameConfig
from stylegan_v.game_fit import shares
from stylegan_v.ranks import Ranks
from stylegan_v.training import Trainer
from vedit.memory import peak_memory
from vedit.progress import Progress, Task
from vedit.training import PairedWorld, Recipe, RecipeError, begun_from
from vedit.training_game import GameRecipe, fitting_clips, whole
from vedit.training_watch import TrainingWarning
from vedit.worlds import world

FEW = 4  # clips
TRIED = 4  # steps of every stage; the first, which fills caches, does not count


@dataclass(frozen=True)
class StagePlan:
    """One stage: its length, frames that it sees, and seconds that it would take at the rate measured."""

    steps: int
    frames: int
    adversarial: bool
    seconds: float


@dataclass(frozen=True)
class Plan:
    """Parameters of the networks, the stages, and the most memory in use while they were tried, in bytes (None: this system does not tell)."""

    generator_parameters: int
    discriminator_parameters: int
    stages: tuple[StagePlan, ...]
    memory: int | None

    @property
    def seconds(self) -> float:
        """Of all stages; sheets, scores and checkpoints come on top."""
        return sum(stage.seconds for stage in self.stages)


def plan(recipe: Recipe, device: str = "cpu") -> Task[Plan]:
    """Try a few steps of every stage of a recipe on random weights; nothing is written. Warns where what it begins with is not there."""
    _look_for_beginnings(recipe)
    stages = []
    for index, stage in enumerate(recipe.train.stages):
        yield Progress("plan", index, len(recipe.train.stages), f"stage {index}")
        cfg = replace(recipe.train, stages=(replace(stage, steps=TRIED),))
        trainer = Trainer(cfg, PairedWorld(world(recipe.world), cfg.generator.resolution), device)
        begin, frames = 0.0, 0
        for event in trainer.run():
            if device == "cuda":
                torch.cuda.synchronize()
            if event.step == 1:
                begin = time.perf_counter()
            frames = event.frames
        seconds = (time.perf_counter() - begin) / (TRIED - 1) * stage.steps
        stages.append(StagePlan(stage.steps, frames // TRIED * stage.steps, bool(stage.adversarial), seconds))
    judge = trainer.discriminator
    sizes = [sum(weight.numel() for weight in network.parameters()) if network else 0 for network in (trainer.generator, judge)]
    yield Progress("plan", len(stages), len(stages))
    return Plan(sizes[0], sizes[1], tuple(stages), peak_memory(device))


def _look_for_beginnings(recipe: Recipe | GameRecipe) -> None:
    """Warn of files that the run would begin with, and that are not there: it may be another machine that trains."""
    for key in ("begin_with", "begin_discriminator"):
        if name := getattr(recipe, key, ""):
            try:
                begun_from(recipe.name, key, name)
            except RecipeError as error:
                warnings.warn(str(error), TrainingWarning, stacklevel=3)


@dataclass(frozen=True)
class GamePlan:
    """A game on clips: sizes of its networks, steps, clips of a step, and what one process was measured to take.

    `tried` is how many clips were tried at a time, a micro-batch; `seconds` of the whole run on `device` follow from it, with the steps of
    R1 in their share, and if `processes` hinder each other nowhere. `memory` in bytes, of one process.
    """

    generator_parameters: int
    discriminator_parameters: int
    steps: int
    batch: int
    tried: int
    device: str
    processes: int
    seconds: float
    memory: int | None

    def sizes(self) -> str:
        """A line on the networks."""
        return f"parameters: generator {self.generator_parameters:,}, discriminator {self.discriminator_parameters:,}"

    def summary(self) -> str:
        """A line on the costs."""
        hours = self.seconds / 3600
        long = f"{hours:.1f} h" if hours < 72 else f"{hours / 24:.0f} days"
        memory = "" if self.memory is None else f" and {self.memory / 2**30:.1f} GiB a process"
        each = "one process" if self.processes == 1 else f"{self.processes} processes"
        return (
            f"{self.steps:,} steps of {self.batch} clips: about {long}{memory} for {each} on {self.device}, "
            f"measured on micro-batches of {self.tried} clips that hold noise; reading clips, sheets and figures come on top"
        )


def plan_game(recipe: GameRecipe, device: str = "cpu", processes: int = 1) -> Task[GamePlan]:
    """Try steps of a game without R1 and with it, a micro-batch each, on clips of noise; nothing is written.

    A data set, where the recipe names one, is read through to see that it fits; RecipeError or DataError where it does not; a warning where
    what it begins with is not there. On the CPU at most four clips make up that micro-batch, and the memory of a whole one is extrapolated
    from two sizes.
    """
    _look_for_beginnings(recipe)
    _, micro = shares(recipe.game, Ranks(0, processes))  # raises where the batch does not divide
    tried = min(micro, _fitting(recipe.game, FEW)) if device == "cpu" else micro
    if recipe.data.path:
        with fitting_clips(recipe) as clips:
            yield from whole(clips, recipe, Ranks())
    yield Progress("plan", 0, TRIED)
    less, beside = _fitting(recipe.game, tried // 2), 0
    if tried < micro:
        _trial(recipe.game, less, device, 1)
        beside = peak_memory(device) or 0
    times = []
    game = _trial(recipe.game, tried, device, 0)
    for event in game.run(TRIED):
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter())
        yield Progress("plan", event.step, TRIED)
    # steps 0 and 2 had R1; step 0 filled caches
    plain = times[1] - times[0]
    lazy = times[2] - times[1]
    extra = max(0.0, lazy - plain) / recipe.game.r1_interval if recipe.game.gamma else 0.0
    parts = recipe.game.batch / (tried * processes)
    alone = math.ceil(recipe.game.pairs_kimg * 1000 / recipe.game.batch)  # steps before the game
    sizes = [sum(weight.numel() for weight in network.parameters()) for network in (game.generator, game.judges)]
    seconds = (min(plain, times[3] - times[2]) + extra) * parts * (recipe.game.total_steps - alone)
    memory = peak_memory(device)
    if alone:
        seconds += _seconds_alone(recipe.game, tried, device) * parts * alone
    if memory is not None and tried < micro:
        memory += round((memory - beside) / (tried - less) * (micro - tried))
    return GamePlan(sizes[0], sizes[1], recipe.game.total_steps, recipe.game.batch, tried, device, processes, seconds, memory)


def _fitting(cfg: GameConfig, most: int) -> int:
    """The largest number of clips up to `most` (1 at least) that divides into the groups of the minibatch standard deviation."""
    groups = [judge.mbstd_group_size for judge in (cfg.discriminator, cfg.image_discriminator) if judge is not None]
    return next(count for count in range(max(1, most), 0, -1) if all(count % min(group, count) == 0 for group in groups))


def _trial(cfg: GameConfig, clips: int, device: str, steps: int, alone: bool = False) -> Game:
    """A game of so many clips of noise a step, every second one with R1, after so many steps; with `alone` pairs without the game."""
    ada = replace(cfg.ada, p=0.2)
    kimg = (TRIED + 1) * clips / 1000  # long enough, however short the recipe's is
    pairs = None if cfg.pairs is None else replace(cfg.pairs, codes=0, kimg=kimg if alone else 0.0)
    tried = replace(cfg, batch=clips, micro_batch=0, head_start=0.0, r1_interval=2, r1_gamma=cfg.gamma, ema_kimg=1.0, ada=ada, kimg=kimg, pairs=pairs)
    game = Game(tried, Noise(tried), device=device)
    for _ in game.run(steps):
        pass
    return game


def _seconds_alone(cfg: GameConfig, clips: int, device: str) -> float:
    """Of one step of pairs before the game."""
    game, times = _trial(cfg, clips, device, 1, alone=True), []
    for _ in game.run(TRIED):
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter())
    return (times[-1] - times[0]) / (len(times) - 1)


class Noise:
    """Clips of noise that fit a game, so that it can be tried without data."""

    def __init__(self, cfg: GameConfig) -> None:
        self.path = "noise"
        self.names, self.lengths = ["noise"], [max(cfg.num_frames, cfg.sampling.max_span + 1)]
        self.resolution, self.c_dim = cfg.generator.resolution, cfg.generator.c_dim
        self.fingerprint: dict[str, str] = {}  # of files, and there are none

    def label(self, clip: int) -> Tensor:
        """A label of zeros."""
        return torch.zeros(self.c_dim)

    def frames(self, clip: int, indices: Sequence[int] | Tensor) -> Tensor:
        """Noise, uint8 [T, 3, H, W]."""
        rng = torch.Generator().manual_seed(clip)
        return torch.randint(256, (len(indices), 3, self.resolution, self.resolution), dtype=torch.uint8, generator=rng)

    def usable(self, num_frames: int, max_span: int = 32) -> list[int]:
        """The one clip there is."""
        return [0]
