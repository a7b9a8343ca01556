"""Flags that several commands share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no chatter: the answer, and warnings and errors on stderr.")]
AsJson = Annotated[bool, typer.Option("--json", help="The answer on stdout as one JSON object, for scripts.")]
Project = Annotated[
    Path | None,
    typer.Argument(metavar="PROJECT", help="A project folder; the newest one here if left out.", show_default=False),
]
GeneratorName = Annotated[
    str,
    typer.Option("-g", "--generator", metavar="GENERATOR", help="A name from `vedit models list` or a .safetensors file."),
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")]
Label = Annotated[int | None, typer.Option("--class", metavar="N", min=0, help="Of a generator that was trained with classes.", show_default=False)]
RenderPrecision = Annotated[
    Literal["auto", "fp32", "bf16"] | None,
    typer.Option(
        "--precision",
        help="fp32 is exact; bf16 is twice as fast where the hardware has it (auto: there only), and over 40 dB from exact.",
        show_default="fp32",
    ),
]
Blend = Annotated[
    Literal["difference", "replace", "poisson"] | None,
    typer.Option(
        help="How to paste back: add what changes, so that the source's detail stays; put the render itself there; or the render in the colours around it.",
        show_default="difference",
    ),
]
