"""`vedit bench`: how fast this machine is."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vedit.cli.console import Console, table
from vedit.cli.options import AsJson, Quiet
from vedit.cli.parse import BadArgument

if TYPE_CHECKING:
    from vedit.bench import Report, Row

# Names are repeated here because those of vedit.bench come with PyTorch; typer takes lists of enumerations, not of literals.
Config = StrEnum("Config", ["built-in", "64", "128", "256", "1024", "all"])
Kind = StrEnum("Kind", ["render", "projection", "tuning", "training", "decode", "encode", "distance", "statistics", "clip"])

HEAD = ("generator", "task", "precision", "reference", "memory kept", "fast", "ratio", "kernels", "GFLOP/s", "peak", "memory")
NUMBERS = HEAD[3:]
NONE = "–"


def bench(
    config: Annotated[
        list[Config] | None,
        typer.Option(help="Generators: the built-ins' size, or the paper's networks at that resolution; can be repeated.", show_default="built-in"),
    ] = None,
    task: Annotated[list[Kind] | None, typer.Option(help="What to time; can be repeated.", show_default="all")] = None,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Runs of which the median counts.")] = 5,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.")] = "auto",
    markdown: Annotated[bool, typer.Option("--markdown", help="The table as GitHub markdown; the README's is made so.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Time this machine. The fast path against the plain reference, in turn; random weights. Nothing else should run meanwhile.

    \b
      vedit bench
      vedit bench --config 256 --task render --repeats 3
      vedit bench --config all --json > bench.json

    reference, memory kept and fast are frames per second (medians): the plain
    path in float32 with the C library's memory as it comes; the same with freed
    memory kept, as this program keeps it; the fast path, also with it kept.
    ratio is fast over reference, kernels is fast over memory kept. GFLOP/s are
    what rendering needs and gets, peak is what plain 3×3 convolutions get.
    memory is the most that the fast path's process held. – was not measured:
    there is no such thing, or it would not fit into this machine's memory.
    """
    from vedit.bench import CONFIGS
    from vedit.bench import bench as run

    if markdown and as_json:
        raise BadArgument("found --markdown and --json; choose one of them")
    names = tuple(CONFIGS) if "all" in (config or ()) else tuple(config or ("built-in",))
    console = Console(quiet, as_json)
    report = console.run(run(names, task, repeats=repeats, device=device))
    cells = [_cells(row) for row in report.rows]
    console.answer(report.to_dict(), *([_markdown(cells)] if markdown else [_machine(report), "", table(cells, HEAD)]))


def _machine(report: Report) -> str:
    """A line about what was timed on."""
    found = report.machine
    where = "" if found.device == "cpu" else f" and {found.device}"
    bf16 = "bfloat16 in hardware" if found.bf16 else "no bfloat16 in hardware"
    return f"{found.processor}, {found.cores} cores, {found.threads} threads{where}, {bf16}, PyTorch {found.torch}"


def _cells(row: Row) -> list[str]:
    """A row as it is printed."""
    rates = [_number(rate) for rate in (row.reference, row.reference_kept, row.fast)]
    ratios = [NONE if ratio is None else f"{ratio:.2f}×" for ratio in (row.ratio, row.kernel_ratio)]
    flops = [_number(value) for value in (row.gflops, row.peak_gflops)]
    memory = NONE if row.memory is None else f"{row.memory / 2**30:.2f} GiB"
    return [row.config, row.task, row.precision, *rates, *ratios, *flops, memory]


def _number(value: float | None) -> str:
    """Three digits, or all before the point.

    >>> _number(0.0123456), _number(12.0), _number(290.2), _number(999.9), _number(1234.56), _number(None)
    ('0.0123', '12.0', '290', '1000', '1235', '–')
    """
    if value is None:
        return NONE
    return f"{value:#.3g}".rstrip(".") if value < 999.5 else f"{value:.0f}"


def _markdown(cells: Sequence[Sequence[str]]) -> str:
    """The table as GitHub's markdown, numbers to the right."""
    line = ["---:" if name in NUMBERS else "---" for name in HEAD]
    return "\n".join(f"| {' | '.join(row)} |" for row in (HEAD, line, *cells))
