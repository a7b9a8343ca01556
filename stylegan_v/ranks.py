"""The processes of one training: which of them this is, and sums over all of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

PATIENCE = timedelta(hours=3)  # of processes that wait while the first one measures, which for thousands of clips takes longer than torch's 10 minutes


class TooFewCards(RuntimeError):
    """More processes than a machine has graphics cards."""


class RanksDisagree(RuntimeError):
    """The processes of a training are not at the same place."""


class RankLost(ConnectionError):
    """Another process of a training is gone, or cannot be reached."""


@dataclass(frozen=True)
class Ranks:
    """This process is number `rank` of `size`, and on its machine number `local_rank` of `local_size`; a single one by default."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    def total(self, tensor: Tensor) -> Tensor:
        """The sum of `tensor` over all processes, in its place, the same bits in each of them."""
        if self.size > 1:
            with _in_touch():
                dist.all_reduce(tensor)
        return tensor

    def wait(self) -> None:
        """Return when all processes are here."""
        if self.size > 1:
            with _in_touch():
                dist.barrier()

    def agree(self, number: float) -> bool:
        """Whether all processes have the same number."""
        if self.size == 1:
            return True
        ends = torch.tensor([number, -number], dtype=torch.float64, device="cuda" if dist.get_backend() == "nccl" else "cpu")
        with _in_touch():
            dist.all_reduce(ends, dist.ReduceOp.MAX)
        return float(ends.sum()) == 0

    @torch.no_grad()
    def take_firsts(self, *modules: nn.Module) -> None:
        """Give all processes the first one's weights."""
        if self.size > 1:
            with _in_touch():
                for weight in (weight for module in modules for weight in module.parameters()):
                    dist.broadcast(weight, 0)

    @torch.no_grad()
    def check_agreement(self, *modules: nn.Module, remedy: str) -> None:
        """Raise RanksDisagree where the processes' weights are not the same, which ends a training rather than spoil it."""
        if self.size == 1:
            return
        sums = torch.stack([weight.double().sum() for module in modules for weight in module.parameters()])
        highest, lowest = sums.clone(), sums.clone()
        with _in_touch():
            dist.all_reduce(highest, dist.ReduceOp.MAX)
            dist.all_reduce(lowest, dist.ReduceOp.MIN)
        if not torch.equal(highest, lowest):
            raise RanksDisagree(f"the processes of this training hold different weights; {remedy}")


@contextmanager
def _in_touch(trouble: str = "another process of this training ended, and its own output says why") -> Iterator[None]:
    """Say it in a line where the processes' connection breaks, which torch tells by errors of its own; raises RankLost."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):  # gloo's are known by the file that they came from
            raise
        reason = re.sub(r"^\[\S*?\] *", "", " ".join(str(error).split())).partition(". ")[0][:200]  # without the place in gloo, and its advice
        raise RankLost(f"{trouble} ({reason}); mend that, and go on with --resume") from error


def started_by_torchrun() -> bool:
    """Whether torchrun's environment makes this process one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined(device: str = "cpu") -> Iterator[tuple[Ranks, str]]:
    """This process's place in the group that torchrun's environment describes, and its device; alone where there is none.

    On CUDA every process takes the card of its local number and talks through NCCL, else through gloo.
    """
    if not started_by_torchrun():
        yield Ranks(), device
        return
    cuda, local = device.startswith("cuda"), (int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    if cuda:
        if local[1] > (cards := torch.cuda.device_count()):
            raise TooFewCards(f"{local[1]} processes on a machine with {cards} CUDA devices; start one for each, or use --device cpu")
        torch.cuda.set_device(local[0])
        device = f"cuda:{local[0]}"
    with _in_touch("the processes of this training did not all meet"):
        dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), *local), device
    finally:
        dist.destroy_process_group()
