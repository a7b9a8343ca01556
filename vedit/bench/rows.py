"""What comes out: a row for every generator, task and precision."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vedit.bench.machine import Machine


@dataclass(frozen=True)
class Row:
    """One task of one generator in one precision, `frames` a run; None is what was not measured or does not exist.

    Rates are medians, in frames per second: `fast`, with freed memory kept, as the `vedit` command keeps it; `reference`, the plain
    path in float32 with the C library's memory as it comes; `reference_kept`, the plain path with freed memory kept.
    `gflops` are the useful GFLOP/s of `fast` (see `useful_flops`), `peak_gflops` those of plain 3×3 convolutions in this precision.
    `memory` and `reference_memory`, in bytes, are the most that the process held meanwhile, or that lay on the card.
    """

    config: str
    task: str
    precision: str
    frames: int
    fast: float | None = None
    reference: float | None = None
    reference_kept: float | None = None
    gflops: float | None = None
    peak_gflops: float | None = None
    memory: int | None = None
    reference_memory: int | None = None

    @property
    def ratio(self) -> float | None:
        """Fast over reference."""
        return _ratio(self.fast, self.reference)

    @property
    def kernel_ratio(self) -> float | None:
        """Fast over reference where both keep freed memory: what the fast path is worth without that."""
        return _ratio(self.fast, self.reference_kept)

    def to_dict(self) -> dict[str, Any]:
        """All of it, ratios too, as plain data."""
        return {**asdict(self), "ratio": self.ratio, "kernel_ratio": self.kernel_ratio}


def _ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a / b


@dataclass(frozen=True)
class Report:
    """What was measured, and on what."""

    machine: Machine
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {"machine": asdict(self.machine), "rows": [row.to_dict() for row in self.rows]}
