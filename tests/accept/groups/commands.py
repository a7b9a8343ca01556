"""Mistakes at the command line: one clear line, a status above zero, nothing half-written."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from tests.accept.footage import write_clip
from tests.accept.shell import vedit
from tests.accept.table import Row, Setting, holds

ORDER = 20
BAR = re.compile(r"\[\d\d:\d\d<")  # a progress bar that had begun: no part of the message
WORDS = 6  # a clear line has at least so many


def run(setting: Setting) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "text.mp4").write_text("This is no video.\n")
        write_clip(folder / "clip.mkv", torch.zeros(3, 3, 64, 64))
        yield mistake("a wrong path", folder, "absent.mp4", "project", "absent.mp4")
        yield mistake("a text file named mp4", folder, "text.mp4", "project", "text.mp4")
        yield mistake("an unknown generator", folder, "nobody-9", "project", "clip.mkv", "-g", "nobody-9")
        yield mistake("an empty prompt", folder, "prompt", "edit", "--prompt", "")
        yield mistake("a missing project (edit)", folder, "project", "edit", "--prompt", "an old person")
        yield mistake("a missing project (render)", folder, "gone.vedit", "render", "gone.vedit")
        yield mistake("a missing project (upsample)", folder, "gone.vedit", "upsample", "gone.vedit", "--factor", "5")


def mistake(what: str, folder: Path, named: str, *arguments: str) -> Row:
    """Run a command that must fail; the line has to name what was wrong."""
    before = listing(folder)
    ran = vedit(*arguments, cwd=folder, timeout=300)
    said = [line for line in ran.err.splitlines() if line.strip() and not BAR.search(line)]
    faults = []
    if ran.status == 0:
        faults.append("status 0")
    if len(said) != 1:
        faults.append(f"{len(said)} lines")
    elif named.lower() not in said[0].lower() or len(said[0].split()) < WORDS or "bug in vedit" in said[0]:
        faults.append("not clear")
    if ran.out.strip():
        faults.append("output on stdout")
    if listing(folder) != before:
        faults.append("left " + ", ".join(sorted(listing(folder) - before)))
    text = said[0][:110] if said else "said nothing"
    return holds(
        what,
        "one line, non-zero, nothing written",
        "; ".join(faults) or text,
        not faults,
        said=ran.err,
        status=ran.status,
    )


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
