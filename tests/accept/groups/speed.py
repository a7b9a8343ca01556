"""The fast path against the reference at the paper's 256², its exactness, and memory and time of long renders."""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from stylegan_v import Generator
from tests.accept.shell import environment, vedit
from tests.accept.table import Row, Setting, at_least, at_most, holds, skip, stated
from vedit.bench import CONFIGS
from vedit.workspace import Workspace

ORDER = 90
ON_REQUEST = True  # half an hour, and nothing else may run beside it
BARS = {("render", "float32"): 2.2, ("render", "bfloat16"): 4.5, ("projection", "float32"): 2.2, ("projection", "bfloat16"): 4.5, ("training", "bfloat16"): 2.5}
TASKS = {"render": "render", "projection": "projection step", "training": "training step"}
EXAMPLE = Path(__file__).parents[3] / "examples" / "demo.mp4"


def run(setting: Setting) -> Iterator[Row]:
    shutil.rmtree(setting.out, ignore_errors=True)
    setting.out.mkdir(parents=True)
    yield from ratios(setting)
    yield from exactness()
    yield from long_renders(setting)
    yield from beside_each_other(setting)


def ratios(setting: Setting) -> Iterator[Row]:
    """What `vedit bench` says of the paper's 256² configuration."""
    config, repeats = ("built-in", 1) if setting.quick else ("256", 5)
    wanted = [word for task in TASKS for word in ("--task", task)]
    said = vedit("bench", "--config", config, *wanted, "--repeats", str(repeats), "--json", cwd=setting.out, check=True).out
    (setting.out / "bench.json").write_text(said)
    rows = {(row["task"], row["precision"]): row for row in json.loads(said)["rows"]}
    for (task, precision), bar in BARS.items():
        row = next((row for (name, kind), row in rows.items() if name.startswith(task) and kind == precision), None)
        if row is None or row["ratio"] is None:
            yield skip(f"{task}, {precision}", "not measured: " + ("the processor does not compute in it" if row is None else "too little free memory"))
            continue
        kernels = row["kernel_ratio"]
        beside = "" if kernels is None else f", {kernels:.2f} where the reference keeps freed memory too"
        check = f"{task}, {precision}, over the reference's {row['reference']:.2f} frames/s"
        figure = f"{row['ratio']:.2f}{beside}"
        yield stated(check, figure) if setting.quick else holds(check, f"≥ {bar:g}", figure, row["ratio"] >= bar)
        if task == "render":
            share = row["gflops"] / row["peak_gflops"]
            figure = f"{row['gflops']:.0f} of {row['peak_gflops']:.0f} GFLOP/s: {share:.2f}"
            yield holds("render, float32, of plain 3×3 convolutions", "≥ 0.5", figure, share >= 0.5) if precision == "float32" else stated(
                f"render, {precision}, of plain 3×3 convolutions", figure
            )


@torch.no_grad()
def exactness() -> Iterator[Row]:
    """The fast path's frames against the reference's, random weights of the 256² configuration."""
    torch.manual_seed(0)
    generator = Generator(CONFIGS["256"].generator).eval()
    motion = generator.cfg.motion
    assert motion is not None
    ws, t = generator.mapping(torch.randn(1, generator.cfg.z_dim)), torch.tensor([[0.0, 7.3]])
    codes = torch.randn(1, generator.num_motion_codes(8.0), motion.z_dim)
    wanted = generator.synthesis(ws, t, codes, path="reference")
    yield at_most("float32: relative error", float((generator.synthesis(ws, t, codes) - wanted).norm() / wanted.norm()), 1e-5, digits=2)
    half = generator.set_precision(torch.bfloat16).synthesis(ws, t, codes)
    error, span = (half - wanted).square().mean(), wanted.max() - wanted.min()
    yield at_least("bfloat16: PSNR of the frames' own range", float(10 * torch.log10(span**2 / error)), 40, " dB")


# A small process between: a child's peak memory begins with that of the process that started it.
WATCHED = """
import resource, subprocess, sys, time
begin = time.monotonic()
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.monotonic() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
sys.exit(status)
"""


@dataclass(frozen=True)
class Used:
    """What a command took: seconds on the clock, CPU seconds, peak bytes."""

    wall: float
    cpu: float
    peak: int


def measured(*arguments: str | Path, out: Path) -> Used:
    """Run `vedit` with a cache of its own, which is empty."""
    cache = out / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    command = [str(Path(sys.executable).parent / "vedit"), *map(str, arguments), "--quiet"]
    process = subprocess.run([sys.executable, "-c", WATCHED, *command], cwd=out, capture_output=True, text=True, env=environment(XDG_CACHE_HOME=str(cache)))
    shutil.rmtree(cache, ignore_errors=True)
    if process.returncode:
        raise RuntimeError(f"vedit {arguments[0]} ended with {process.returncode}: {process.stderr[-200:]}")
    wall, cpu, peak = map(float, process.stdout.split()[-3:])
    return Used(wall, cpu, int(peak))


def long_renders(setting: Setting) -> Iterator[Row]:
    """About 500 frames against 10,000, of the same clip."""
    project = setting.out / "clip.vedit"
    vedit("project", EXAMPLE, "-o", project, "--steps", "10", cwd=setting.out, check=True)
    frames = len(Workspace.open(project).info["times"])
    factors = (1, 3) if setting.quick else (math.ceil(500 / frames), math.ceil(10_000 / frames))
    begun, few, many = (measured("render", project, "--factor", str(factor), *only, "-o", setting.out / "long.mp4", out=setting.out) for factor, only in (
        (1, ("--end", "0.1")), (factors[0], ()), (factors[1], ())))  # fmt: skip
    growth = many.peak / few.peak - 1
    yield at_most(f"peak memory of {frames * factors[1]} frames over that of {frames * factors[0]} ({few.peak / 1e6:.0f} MB)", growth * 100, 10, " %")
    each = [(used.cpu - begun.cpu) / (frames * factor) * 1e3 for used, factor in ((few, factors[0]), (many, factors[1]))]
    yield holds("time is linear: CPU time a frame, without the start", "within 15 %", f"{each[0]:.2f} and {each[1]:.2f} ms", abs(each[1] / each[0] - 1) <= 0.15)


def beside_each_other(setting: Setting) -> Iterator[Row]:
    """Decoding, rendering, pasting back and encoding of a real clip, in turn on all cores."""
    source = (setting.data / "clips" / "person-720p.mp4").resolve()
    if not source.is_file():
        yield skip("wall time of a render with --paste-back", f"{source} is absent; set VEDIT_TEST_DATA")
        return
    project = setting.out / "person.vedit"
    vedit("project", source, "-o", project, "--steps", "10", cwd=setting.out, check=True)
    vedit("edit", project, "--prompt", "an old person", cwd=setting.out, check=True)
    begun = measured("render", project, "--paste-back", "--end", "0.1", "-o", setting.out / "short.mp4", out=setting.out)
    runs = [measured("render", project, "--paste-back", "-o", setting.out / "pasted.mp4", out=setting.out) for _ in range(setting.count(3))]
    cores = len(os.sched_getaffinity(0))
    share = statistics.median((used.wall - begun.wall) / ((used.cpu - begun.cpu) / cores) for used in runs)
    yield at_most(f"render --paste-back: wall time over CPU time / {cores}, without the start", share, 1.15)
