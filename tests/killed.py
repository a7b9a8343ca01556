"""Projections that kill themselves: `python -m tests.killed chain|each CLIP GENERATOR FOLDER`, on systems that can fork.

A kill comes just before a file is renamed into place, the worst moment there is, or at a moment within a stage. `chain` kills one project
again and again, later each time; `each` gives every rename a project of its own. Prints JSON: of every project, the statuses of its runs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from stylegan_v.files import replacing
from vedit.progress import Progress, finish
from vedit.projection import project

STAGES = ("crop", "initialise", "invert", "residuals", "tune", "report")
SPENT = {"crop": "center", "duration": 0.2, "fidelity": "max", "steps": 2, "perceptual": "builtin", "device": "cpu", "precision": "fp32"}


@dataclass
class Fuse:
    """Kills its process before the `rename`-th rename (0: never), or at the `moment`-th moment of a stage."""

    rename: int = 0
    stage: str = ""
    moment: int = 0
    renames: int = 0
    moments: int = 0

    def hear(self, event: str, arguments: object) -> None:
        """Python's audit events: what is about to happen."""
        if event == "os.rename":
            self.renames += 1
            if self.renames == self.rename:
                os.kill(os.getpid(), signal.SIGKILL)

    def see(self, progress: Progress) -> None:
        """The projection's own progress."""
        self.moments += progress.stage == self.stage
        if self.moment and self.moments == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


def run(clip: str, generator: str, out: Path, fuse: Fuse) -> int:
    """Project in a fork of this process, which has not computed anything yet (and so has no threads); the fork's status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.environ["XDG_CACHE_HOME"] = f"{out}-cache"
    sys.addaudithook(fuse.hear)
    finish(project(clip, generator, out=out, **SPENT), fuse.see)  # type: ignore[arg-type]  # a table of settings
    with replacing(f"{out}.renames") as beside:
        beside.write_text(str(fuse.renames))
    os._exit(0)


def main() -> None:
    mode, clip, generator, place = sys.argv[1:]
    folder, statuses = Path(place), {}
    torch.set_num_threads(1)
    statuses["whole"] = [run(clip, generator, folder / "whole", Fuse())]
    total = int((folder / "whole.renames").read_text())
    fuses = {"renames": [Fuse(rename=number) for number in range(1, total + 1)], "stages": [Fuse(stage=stage, moment=2) for stage in STAGES]}
    if mode == "each":
        fuses = {f"rename-{fuse.rename}": [fuse] for fuse in fuses["renames"]} | {"stages": fuses["stages"]}
    for name, each in fuses.items():
        statuses[name] = []
        for fuse in [*each, Fuse()]:
            statuses[name].append(run(clip, generator, folder / name, fuse))
            if statuses[name][-1] == 0:
                break
    print(json.dumps(statuses))


if __name__ == "__main__":
    main()
