"""What a training would do, before it is begun: sizes, and time and memory as measured on a few of its steps."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace

import torch

from stylegan_v.training import Trainer
from vedit.progress import Progress, Task
from vedit.training import PairedWorld, Recipe
from vedit.worlds import world

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
    """Try a few steps of every stage of a recipe on random weights; nothing is written."""
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


def peak_memory(device: str) -> int | None:
    """The most memory that this process has used so far, in bytes: the card's on CUDA, else the machine's; None on Windows."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
