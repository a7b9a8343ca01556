"""Rows of the acceptance table, and the table itself."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from stylegan_v.files import replacing

Verdict = Literal["pass", "FAIL", "stated", "skip"]


@dataclass(frozen=True)
class Setting:
    """Where a group reads and writes: `out` is the group's own folder, `data` the real clips and golden files."""

    out: Path
    data: Path
    beside: tuple[Path, ...] = ()  # further generator files to measure next to the built-in ones
    clip: str = "builtin"  # the text–image model that reads the prompts
    quick: bool = False  # fewer samples: to try the machinery, not to state figures
    only: str = ""  # measure clips alone whose names contain this

    def chosen(self, names: Sequence[str]) -> list[str]:
        """The clips to measure, of those a group has."""
        return [name for name in names if self.only in name]

    def count(self, full: int, quick: int = 1) -> int:
        return quick if self.quick else full

    @property
    def steps(self) -> int | None:
        """Steps of a projection's stages: vedit's own choice, or a few."""
        return 20 if self.quick else None


@dataclass(frozen=True)
class Row:
    """One line: what was measured, the bar, the figure, and whether it is met (`stated`: there is no bar)."""

    check: str
    bar: str
    figure: str
    verdict: Verdict
    details: dict[str, Any] = field(default_factory=dict)
    group: str = ""
    seconds: float = 0.0

    @property
    def command(self) -> str:
        return f"python -m tests.accept {self.group}"


def at_least(
    check: str, values: float | Sequence[float], bar: float, unit: str = "", *, digits: int = 3, **details: Any
) -> Row:
    """A row that passes when every value reaches the bar; the smallest is the figure, the median stands beside it."""
    low, shown = _spread(values, min, unit, digits)
    return Row(check, f"≥ {bar:g}{unit}", shown, _verdict(low >= bar), {**details, "values": _listed(values)})


def at_most(
    check: str, values: float | Sequence[float], bar: float, unit: str = "", *, digits: int = 3, **details: Any
) -> Row:
    """A row that passes when no value exceeds the bar; the largest is the figure, the median stands beside it."""
    high, shown = _spread(values, max, unit, digits)
    return Row(check, f"≤ {bar:g}{unit}", shown, _verdict(high <= bar), {**details, "values": _listed(values)})


def holds(check: str, bar: str, figure: str, ok: bool, **details: Any) -> Row:
    """A row whose verdict the caller knows."""
    return Row(check, bar, figure, _verdict(ok), details)


def stated(check: str, figure: str, **details: Any) -> Row:
    """A figure without a bar."""
    return Row(check, "", figure, "stated", details)


def skip(check: str, reason: str, **details: Any) -> Row:
    """A check that could not be made here, and why."""
    return Row(check, "", reason, "skip", details)


def _verdict(ok: bool) -> Verdict:
    return "pass" if ok else "FAIL"


def _listed(values: float | Sequence[float]) -> list[float]:
    return [float(values)] if isinstance(values, (int, float)) else [float(value) for value in values]


def _spread(values: float | Sequence[float], pick: Any, unit: str, digits: int) -> tuple[float, str]:
    listed = _listed(values)
    if any(math.isnan(value) for value in listed):
        return math.nan, "nan among " + ", ".join(f"{value:.{digits}g}" for value in listed)
    extreme = pick(listed)
    shown = f"{extreme:.{digits}g}{unit}"
    if len(listed) > 1:
        shown += f" (worst of {len(listed)}; median {sorted(listed)[len(listed) // 2]:.{digits}g})"
    return extreme, shown


def lines(rows: Sequence[Row]) -> list[str]:
    """The table as text, one line a row, columns aligned."""
    cells = [("group", "check", "bar", "figure", "verdict", "seconds", "command")]
    cells += [(r.group, r.check, r.bar, r.figure, r.verdict, f"{r.seconds:.0f}", r.command) for r in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def save_group(rows: Sequence[Row], folder: Path, commit: str) -> None:
    """Write one group's rows (strict JSON: nan and inf become null) beside its pictures."""
    values = [_plain(asdict(row) | {"command": row.command, "commit": commit}) for row in rows]
    _write(folder / "rows.json", json.dumps(values, indent=1, allow_nan=False))


def collect(out: Path, names: Sequence[str]) -> None:
    """Write `table.md` and `table.json` of all groups measured into `out` so far, this time or earlier."""
    files = [out / name / "rows.json" for name in names]
    rows = [row for file in files if file.is_file() for row in json.loads(file.read_text())]
    text = "| check | bar | figure | verdict | command | commit |\n|---|---|---|---|---|---|\n"
    for row in rows:
        text += "| {check} | {bar} | {figure} | {verdict} | `{command}` | {commit} |\n".format(**row)
    _write(out / "table.json", json.dumps(rows, indent=1, allow_nan=False))
    _write(out / "table.md", text)


def _write(path: Path, text: str) -> None:
    with replacing(path) as beside:
        beside.write_text(text)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value if isinstance(value, (str, int, bool)) or value is None else str(value)
