"""Eight sampled clips and eight held-out world clips, projected without tuning."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from tests.accept import footage
from tests.accept.projecting import project_frames
from tests.accept.table import Row, Setting, at_least, at_most, skip, stated
from vedit import models, scores

ORDER = 40
FRAMES = 48
DISTANCES = ("lpips-alex", "lpips-squeeze")


def run(setting: Setting) -> Iterator[Row]:
    name = models.GENERATOR_OF["portraits"]
    generator = models.load_generator(name)
    sampled = [footage.sampled_clip(generator, seed, setting.count(FRAMES, 12)) for seed in range(setting.count(8))]
    reports, seconds = project_all(setting, "sampled", sampled, name)
    yield at_least(
        f"{len(reports)} clips sampled from {name}: PSNR",
        [r.psnr for r in reports],
        32,
        " dB",
        reports=dicts(reports),
        cpu_seconds=seconds,
    )
    yield lpips_row(f"{len(reports)} clips sampled from {name}", reports, 0.003)
    yield at_least(
        f"{len(reports)} clips sampled from {name}: motion correlation",
        [r.motion_correlation for r in reports],
        0.9,
    )
    yield stated(f"{len(reports)} clips sampled from {name}", summary(reports))
    yield stated("CPU-seconds a clip of 48 frames", f"{sum(seconds) / len(seconds):.0f}")
    drawn = [footage.world_clip("portraits", seed, setting.count(FRAMES, 12)) for seed in range(setting.count(8))]
    reports, seconds = project_all(setting, "portraits", drawn, name)
    yield at_least(
        f"{len(reports)} held-out clips of the world portraits: PSNR",
        [r.psnr for r in reports],
        26,
        " dB",
        reports=dicts(reports),
        cpu_seconds=seconds,
    )
    yield stated(f"{len(reports)} held-out clips of the world portraits", summary(reports))
    drawn = [footage.world_clip("skies", seed, setting.count(FRAMES, 12)) for seed in range(setting.count(4))]
    reports, seconds = project_all(setting, "skies", drawn, models.GENERATOR_OF["skies"])
    yield stated(
        f"{len(reports)} held-out clips of the world skies",
        summary(reports),
        reports=dicts(reports),
        cpu_seconds=seconds,
    )


def project_all(
    setting: Setting, part: str, clips: list[Tensor], generator: str
) -> tuple[list[scores.Report], list[float]]:
    """A report and the CPU-seconds of every clip; sources and renders in alternating rows of `strip.png`."""
    folder = setting.out / part
    distances, reports, seconds, rows = footage.distances(*DISTANCES), [], [], []
    for number, clip in enumerate(clips):
        found = project_frames(folder / str(number), clip, generator, steps=setting.steps)
        reports.append(scores.report(clip, found.render, distances))
        seconds.append(found.seconds)
        rows += [clip, found.render]
    footage.strip(folder / "strip.png", rows)
    return reports, seconds


def lpips_row(check: str, reports: list[scores.Report], bar: float) -> Row:
    if any("lpips-alex" not in report.perceptual for report in reports):
        return skip(f"{check}: LPIPS", "AlexNet's weights are absent; set VEDIT_MODEL_PATH")
    return at_most(f"{check}: LPIPS (alex, 64²)", [report.perceptual["lpips-alex"] for report in reports], bar)


def summary(reports: list[scores.Report]) -> str:
    """Medians of all figures in one line."""

    def median(values: list[float]) -> float:
        return sorted(values)[len(values) // 2]

    text = f"PSNR {median([r.psnr for r in reports]):.1f} dB, correlation {median([r.motion_correlation for r in reports]):.2f}"
    text += f", motion ratio {median([r.motion_ratio for r in reports]):.2f}, sharpness {median([r.sharpness for r in reports]):.2f}"
    for name in reports[0].perceptual:
        text += f", {name} {median([r.perceptual[name] for r in reports]):.4f}"
    return text


def dicts(reports: list[scores.Report]) -> list[dict[str, object]]:
    return [report.to_dict() for report in reports]
