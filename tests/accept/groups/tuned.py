"""The first 96 frames of real clips with --fidelity max: likeness, motion, CPU time; the levels below it beside them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.accept import footage
from tests.accept.rendered import cropped_source, float_frames
from tests.accept.shell import vedit
from tests.accept.table import Row, Setting, at_least, at_most, holds, skip, stated
from vedit.workspace import Workspace

ORDER = 55
FRAMES = 96
MINUTES = 12.0


@dataclass(frozen=True)
class Bars:
    """What a clip should reach; None where nothing is asked."""

    psnr: float
    lpips: float
    correlation: float
    ratio: tuple[float, float] | None = None
    sharpness: tuple[float, float] | None = None


FACE = Bars(35, 0.001, 0.9, (0.7, 1.3), (0.8, 1.2))
SKY = Bars(27, 0.01, 0.7)
CLIPS: Mapping[str, Bars] = {"head-a.mp4": FACE, "head-b.mp4": FACE, "clouds-960.mp4": SKY, "sunset-640.mp4": SKY}


def run(setting: Setting) -> Iterator[Row]:
    for name in setting.chosen(list(CLIPS)):
        source, bars = (setting.data / "clips" / name).resolve(), CLIPS[name]
        if not source.is_file():
            yield skip(f"{name}: --fidelity max", f"{source} is absent; set VEDIT_TEST_DATA")
            continue
        folder = setting.out / source.stem
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        only = ["--duration", "0.4", "--steps", "10"] if setting.quick else ["--duration", str((FRAMES - 0.5) / 30)]
        before = os.times()
        vedit("project", source, "-o", folder / "clip.vedit", "--fidelity", "max", *only, cwd=folder, check=True)
        after = os.times()
        minutes = (after.children_user - before.children_user + after.children_system - before.children_system) / 60
        yield at_most(f"{name}: CPU time of the projection", minutes, MINUTES, " min")
        yield from judged(name, Workspace.open(folder / "clip.vedit"), bars, folder)


def judged(name: str, workspace: Workspace, bars: Bars, folder: Path) -> Iterator[Row]:
    """What project.json says of the tuned clip against the bars, and of the levels below."""
    footage.strip(folder / "strip.png", [cropped_source(workspace), float_frames(workspace, 1)])
    found: dict[str, dict[str, Any]] = workspace.info["levels"]
    best = found["max"]
    yield at_least(f"{name}: PSNR", best["psnr"], bars.psnr, " dB")
    alex = best["perceptual"].get("lpips-alex")
    if alex is None:
        yield skip(f"{name}: LPIPS (alex)", "weights are absent; set VEDIT_MODEL_PATH")
    else:
        squeeze = best["perceptual"].get("lpips-squeeze", float("nan"))
        yield at_most(f"{name}: LPIPS (alex; squeeze {squeeze:.4f})", alex, bars.lpips)
    yield at_least(f"{name}: motion correlation", best["motion_correlation"], bars.correlation)
    for what, key, bar in (("motion ratio", "motion_ratio", bars.ratio), ("sharpness", "sharpness", bars.sharpness)):
        if bar is None:
            yield stated(f"{name}: {what}", f"{best[key]:.2f}")
        else:
            yield holds(f"{name}: {what}", f"{bar[0]:g} to {bar[1]:g}", f"{best[key]:.2f}", bar[0] <= best[key] <= bar[1])
    for level in ("latent", "balanced"):
        row = found[level]
        lpips = ", ".join(f"{key} {value:.4f}" for key, value in row["perceptual"].items())
        yield stated(f"{name}: {level}", f"PSNR {row['psnr']:.1f} dB, {lpips}, motion correlation {row['motion_correlation']:.2f}")
