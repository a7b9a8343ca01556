"""A generator of one's own: from real clips to a small generator to a project of one of them, by the three commands of the README."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.accept import footage
from tests.accept.rendered import cropped_source, float_frames
from tests.accept.shell import vedit
from tests.accept.table import Row, Setting, skip, stated
from vedit.workspace import Workspace

ORDER = 94
ON_REQUEST = True  # an hour
RECIPE = Path(__file__).parents[3] / "recipes" / "laptop-64.toml"
KINDS = {"heads": ("head-a.mp4", "head-b.mp4", "person-720p.mp4"), "landscapes": ("clouds-960.mp4", "sunset-640.mp4")}
OPTIONS = {
    "heads": (["--crop", "face"], []),
    "landscapes": ([], ["--set", "begin_with=skies-2", "--set", "game.pairs.kimg=20", "--set", "game.kimg=4"]),
}
QUICK = ["--set", "game.pairs.codes=20", "--set", "game.pairs.kimg=0.08", "--set", "game.kimg=0.08", "--set", "game.head_start=0"]


def run(setting: Setting) -> Iterator[Row]:
    for kind in setting.chosen(list(KINDS)):
        clips = [setting.data / "clips" / name for name in KINDS[kind]]
        if not all(clip.is_file() for clip in clips):
            yield skip(f"{kind}: clips to generator to project", f"{clips[0].parent} is absent; set VEDIT_TEST_DATA")
            continue
        folder = setting.out / kind
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "clips").mkdir(parents=True)
        for clip in clips:
            shutil.copyfile(clip, folder / "clips" / clip.name)
        yield from trained(setting, kind, folder)
        for clip in clips:
            yield projected(kind, folder, clip.name)


def trained(setting: Setting, kind: str, folder: Path) -> Iterator[Row]:
    """The first two commands: what came of each."""
    crop, changes = OPTIONS[kind]
    ran = vedit("data", "prepare", "clips", "-o", "clips.zip", "--size", "64", "--fps", "25", *crop, "--json", cwd=folder, check=True)
    yield stated(f"{kind}: data prepare", f"{ran.seconds:.0f} s", answer=json.loads(ran.out))
    changes = changes + (QUICK if setting.quick else [])
    ran = vedit("train", RECIPE, "--data", "clips.zip", "--out", "run", "--device", "cpu", "-q", *changes, cwd=folder, timeout=3 * 3600, check=True)
    lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    steps = max(line["step"] for line in lines if "step" in line)
    yield stated(f"{kind}: train laptop-64", f"{steps} steps, {ran.seconds / 60:.0f} min", warnings=ran.err.splitlines())


def projected(kind: str, folder: Path, name: str) -> Row:
    """The third command, for one of the clips: five seconds at balanced."""
    project = folder / f"{Path(name).stem}.vedit"
    generator = folder / "run" / "laptop-64.safetensors"
    vedit("project", Path("clips") / name, "-g", generator, "-o", project, "--duration", "5", "-q", cwd=folder, check=True)
    workspace = Workspace.open(project)
    footage.strip(folder / f"{project.stem}.png", [cropped_source(workspace), float_frames(workspace, 1)])
    found = workspace.info["levels"]["balanced"]
    figure = f"PSNR {found['psnr']:.1f} dB, motion correlation {found['motion_correlation']:.2f}, motion ratio {found['motion_ratio']:.2f}"
    return stated(f"{kind}: project {name} at balanced, five seconds", figure, sharpness=found["sharpness"])
