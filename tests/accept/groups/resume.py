"""Projections killed in every stage and run again: the same files, bit for bit, as of one that nobody disturbed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from stylegan_v import save_generator
from tests.accept.shell import environment
from tests.accept.table import Row, Setting, holds, skip, stated
from tests.tiny_generator import tiny_generator
from vedit import video

ORDER = 45
STAGES = ("crop", "initialise", "invert", "residuals", "tune", "report")
CLIPS = {"head-a.mp4": 0.8, "demo.mp4": 0.95}  # seconds: about 24 frames
EXAMPLES = Path(__file__).parents[3] / "examples"
KILLS = 2  # in a row, in every stage
ATTEMPTS = 8  # at such a kill: the moment is drawn, and a stage may end before it comes


@dataclass
class Killed:
    """One project that is killed again and again: its folder, the command, and what the kills left."""

    folder: Path
    command: list[str]
    lengths: dict[str, float]  # of the stages of an undisturbed run, seconds
    rng: random.Random
    moments: list[str] = field(default_factory=list)  # where the kills came: "tune 40 %"

    def kill_in(self, stage: str) -> bool:
        """Run the command and kill it in a stage, at a moment drawn evenly; False where the stage was over each time."""
        project = self.folder / "clip.vedit"
        for _ in range(ATTEMPTS):
            share = self.rng.random()
            process = started(self.command, self.folder)
            while process.poll() is None and not reached(self.folder, stage):
                time.sleep(0.01)
            time.sleep(share * self.lengths[stage])
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if current(project) == stage:
                self.moments.append(f"{stage} {share:.0%}")
                return True
            undo(self.folder, stage)  # it was quicker than in the undisturbed run
        return False


def run(setting: Setting) -> Iterator[Row]:
    yield before_renames(setting)
    for name, seconds in CLIPS.items():
        source = EXAMPLES / name if (EXAMPLES / name).is_file() else setting.data / "clips" / name
        if not source.is_file():
            yield skip(f"{name}: killed and resumed", f"{source} is absent; set VEDIT_TEST_DATA")
            continue
        yield from one_clip(setting, source.resolve(), 0.2 if setting.quick else seconds)


def before_renames(setting: Setting) -> Row:
    """A tiny generator's projections, each killed just before another of its files is renamed into place, and run again."""
    check = "a tiny generator: killed before each file is in place, run again"
    if not hasattr(os, "fork"):
        return skip(check, f"{sys.platform} has no fork")
    folder = (setting.out / "renames").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_generator(tiny_generator(), folder / "tiny.safetensors")
    mode = "chain" if setting.quick else "each"
    command = [sys.executable, "-m", "tests.killed", mode, str(EXAMPLES / "demo.mp4"), str(folder / "tiny.safetensors"), str(folder)]
    done = subprocess.run(command, cwd=EXAMPLES.parent, capture_output=True, text=True, env=environment(OMP_NUM_THREADS="1"), check=True)
    statuses: dict[str, list[int]] = json.loads(done.stdout)
    faults = [f"{name}: statuses {found}" for name, found in statuses.items() if found[-1] or set(found[:-1]) - {-signal.SIGKILL}]
    if not faults:
        faults = [f"{name}: {fault}" for name in statuses for fault in differences(folder / "whole", folder / name)]
    kills = sum(len(found) - 1 for found in statuses.values())
    figure = f"{kills} kills of {len(statuses) - 1} projects, identical files and frames, nothing left over"
    return holds(check, "as of an undisturbed run", "; ".join(faults) or figure, not faults and kills > 0, statuses=statuses)


def one_clip(setting: Setting, source: Path, seconds: float) -> Iterator[Row]:
    """An undisturbed run; one killed in every stage and run to its end from each of these places; and one killed in all of them."""
    home = setting.out / source.stem
    shutil.rmtree(home, ignore_errors=True)
    steps = "4" if setting.quick else "30"
    command = ["project", str(source), "--duration", str(seconds), "--fidelity", "max", "--steps", steps, "--seed", "0", "-o", "clip.vedit"]
    whole, lengths = undisturbed(home / "whole", command)
    yield stated(f"{source.name}: stages of an undisturbed run", ", ".join(f"{stage} {length:.1f} s" for stage, length in lengths.items()))
    broken = Killed(home / "killed", command, lengths, random.Random(0))
    (broken.folder / "clip.vedit").parent.mkdir(parents=True)
    for stage in STAGES:
        met = sum(broken.kill_in(stage) for _ in range(setting.count(KILLS)))
        place = home / f"killed-in-{stage}"
        shutil.copytree(broken.folder, place)
        rest = finished(place, command)
        last = broken.moments[-1] if met else "never"
        yield compared(f"{source.name}: killed in {stage} ({last}), run again", whole, place / "clip.vedit", rest if met else "no kill met the stage")
    rest = finished(broken.folder, command)
    yield compared(f"{source.name}: killed {len(broken.moments)} times ({', '.join(broken.moments)}), run again", whole, broken.folder / "clip.vedit", rest)


def undisturbed(folder: Path, command: list[str]) -> tuple[Path, dict[str, float]]:
    """The project of a run in one piece, and how many seconds each stage took."""
    folder.mkdir(parents=True)
    project, process = folder / "clip.vedit", started(command, folder)
    while process.poll() is None and not reached(folder, "crop"):
        time.sleep(0.01)
    begin = time.time()
    if process.wait():
        raise RuntimeError(f"vedit project failed: {last_line(folder)}")
    ends = [begin, *(mark(project, stage).stat().st_mtime for stage in STAGES)]
    return project, {stage: after - before for stage, (before, after) in zip(STAGES, pairwise(ends), strict=True)}


def mark(project: Path, stage: str) -> Path:
    """The file that is there once a stage is over."""
    return project / "report.html" if stage == "report" else project / "stages" / stage / "key"


def current(project: Path) -> str:
    """The first stage that is not over; empty for a finished project."""
    return next((stage for stage in STAGES if not mark(project, stage).exists()), "")


def reached(folder: Path, stage: str) -> bool:
    """Whether the process has come to a stage: all earlier ones are over, and its first stage's bar has begun."""
    begun = "prepare:" in (folder / "log.txt").read_text()  # the bar before is written when another begins
    return begun and all(mark(folder / "clip.vedit", earlier).exists() for earlier in STAGES[: STAGES.index(stage)])


def undo(folder: Path, stage: str) -> None:
    """Take back a stage that was over before its kill came, what followed from it, and the frames that were kept."""
    for later in STAGES[STAGES.index(stage) :]:
        mark(folder / "clip.vedit", later).unlink(missing_ok=True)
    shutil.rmtree(folder / "cache", ignore_errors=True)


def started(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """The command on its way, in a group of processes of its own, on one thread, with a log and a cache of its own."""
    with (folder / "log.txt").open("wb") as log:
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "vedit"), *command],
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=environment(OMP_NUM_THREADS="1", XDG_CACHE_HOME=str((folder / "cache").resolve())),
        )


def finished(folder: Path, command: list[str]) -> str:
    """Run to the end; empty, or how it failed."""
    status = started(command, folder).wait()
    return f"status {status}: {last_line(folder)}" if status else ""


def last_line(folder: Path) -> str:
    return (folder / "log.txt").read_text().strip().splitlines()[-1]


def compared(check: str, whole: Path, again: Path, fault: str) -> Row:
    """Whether two projects hold the same."""
    faults = [fault] if fault else differences(whole, again)
    return holds(check, "as of an undisturbed run", "; ".join(faults) or "identical files and frames, nothing left over", not faults, faults=faults)


def differences(whole: Path, again: Path) -> list[str]:
    """What of `again` is not as in `whole`: bytes of tensors, project.json, decoded frames, files that are there."""
    faults = [
        f"{name} differs"
        for name in ("latents.safetensors", "tuned.safetensors", "stages/crop/frames.npy")
        if (whole / name).read_bytes() != (again / name).read_bytes()
    ]
    told, retold = (json.loads((folder / "project.json").read_text()) for folder in (whole, again))
    faults += [f"project.json differs in {key}" for key in sorted(set(told) | set(retold)) if told.get(key) != retold.get(key)]
    shown, reshown = (list(video.read(folder / "preview.mp4")) for folder in (whole, again))
    same = len(shown) == len(reshown) and all(
        a.time == b.time and np.array_equal(a.image, b.image) for a, b in zip(shown, reshown, strict=True)
    )
    faults += [] if same else ["preview.mp4 shows other frames"]
    if (whole / "report.html").read_bytes() != (again / "report.html").read_bytes():
        faults.append("report.html differs")
    files, refiles = ({str(file.relative_to(folder)) for file in folder.rglob("*")} for folder in (whole, again))
    return faults + [f"{name} is left over" for name in sorted(refiles - files)] + [f"{name} is missing" for name in sorted(files - refiles)]
