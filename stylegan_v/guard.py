"""What keeps numbers that are not finite out of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stylegan_v.game_config import GuardConfig
from stylegan_v.ranks import Ranks

LARGEST = 1e5  # what an infinite element of a gradient becomes in half precision


class TrainingDiverged(ArithmeticError):
    """A training met numbers that are not finite again and again, and going back did not help."""


class Guard:
    """Counts steps that were left out; `rate` is what all learning rates are multiplied by."""

    def __init__(self, cfg: GuardConfig) -> None:
        self.cfg = cfg
        self.rate = 1.0
        self.streak = self.skipped = self.repaired = self.retreats = 0

    def note(self, good: bool) -> bool:
        """Count a step; True where the run should go back to its last good state."""
        self.streak = 0 if good else self.streak + 1
        self.skipped += not good
        return self.streak >= self.cfg.patience

    def retreat(self, step: int, there: bool) -> None:
        """Count a step back and lower the rate; raises TrainingDiverged where that was done often enough, or no state is `there`."""
        trouble = f"losses or gradients were not finite for {self.streak} steps in a row before step {step}"
        if not there:
            raise TrainingDiverged(f"{trouble}, and no state has been saved yet; lower the rate (lr, before the game pairs.lr), or compute in fp32")
        if self.retreats >= self.cfg.retreats:
            raise TrainingDiverged(f"{trouble}, after going back {self.retreats} times; begin again with a lower lr, a higher r1_gamma or in fp32")
        self.retreats += 1
        self.rate *= self.cfg.rate_factor
        self.streak = 0

    def state_dict(self) -> dict[str, Any]:
        """All counts, as plain data."""
        return {key: getattr(self, key) for key in ("rate", "streak", "skipped", "repaired", "retreats")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.rate = float(state["rate"])
        self.streak, self.skipped, self.repaired, self.retreats = (int(state[key]) for key in ("streak", "skipped", "repaired", "retreats"))


def settle(params: Sequence[nn.Parameter], figures: Tensor, ranks: Ranks, guard: Guard, *, mend: bool) -> tuple[bool, Tensor, float]:
    """Sum gradients and `figures` [K] over all processes: whether a step may be taken, the summed figures, the gradients' norm.

    Every process comes to the same answer. With `mend` (half precision) elements of a gradient that are not finite are replaced, which the
    guard counts, and only figures that are not finite forbid the step.
    """
    grads = [param.grad for param in params if param.grad is not None]
    flat = torch.cat([*(grad.flatten() for grad in grads), figures.detach()])
    flat = ranks.total(flat)
    summed, figures = flat[: -len(figures)], flat[-len(figures) :]
    norm = float(summed.norm())
    good = bool(figures.isfinite().all())
    if good and norm - norm != 0:  # infinite or not a number
        finite = bool(summed.isfinite().all())  # the norm alone may have left the range
        good = finite or mend
        if mend and not finite:
            guard.repaired += 1
            summed.nan_to_num_(0.0, LARGEST, -LARGEST)
            norm = float(summed.norm())
    if good:
        for grad, whole in zip(grads, summed.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(whole.view_as(grad))
    return good, figures, norm
