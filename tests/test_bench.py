"""The benchmark runs every task on both paths, counts what they need, and says how they compare. No time is tested."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from stylegan_v import Generator, GeneratorConfig
from stylegan_v.ops.resample import filter2d, upsample_image
from tests.commands import Vedit, one_line_error
from tests.tiny_generator import tiny_generator
from vedit import perceptual
from vedit.bench import CONFIGS, TASKS, BenchError, Size, bench, useful_flops
from vedit.bench.flops import plain_convolutions
from vedit.bench.measuring import cases, fitting
from vedit.bench.memory import needed, peak_of
from vedit.bench.process import Process
from vedit.bench.tasks import COMPARED, Place, _by
from vedit.cli.bench import Config, Kind
from vedit.progress import finish

TINY = Size(tiny_generator().cfg, frames=2, samples=3, film=4)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """A process to be asked."""
    with Process(Place("cpu", tmp_path), keep=True) as running:
        running.up()
        yield running


def test_every_task_is_timed_both_ways_where_there_are_two(vedit: Vedit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIGS, "built-in", TINY)
    ran = vedit("bench", "--repeats", "1", "--device", "cpu", "--json", "--quiet")
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said["machine"]["cores"] >= 1 and said["machine"]["torch"] == torch.__version__ and said["machine"]["processor"]
    precisions = ["float32", "bfloat16"] if said["machine"]["bf16"] else ["float32"]
    twice = ["render", "projection step", "tuning step", "training step", "statistics"]
    rows = {(row["task"], row["precision"]): row for row in said["rows"]}
    once = {("decode", "uint8"), ("encode", "uint8"), (f"distance {perceptual.load().name}", "float32"), ("CLIP builtin", "float32")}
    assert set(rows) == {(task, kind) for task in twice for kind in precisions} | once
    for (task, _), row in rows.items():
        assert row["config"] == "built-in" and row["fast"] > 0 and row["frames"] in (2, 3, 4)
        assert (row["reference"] is None) == (task not in twice) == (row["ratio"] is None)
        if row["reference"]:
            assert row["ratio"] == row["fast"] / row["reference"]
        if row["reference_kept"]:
            assert row["kernel_ratio"] == row["fast"] / row["reference_kept"]
        assert row["memory"] is None or row["memory"] > 1 << 20
        assert (row["gflops"] is not None) == (row["peak_gflops"] is not None) == (task == "render")
        if task == "render":
            assert row["gflops"] == pytest.approx(row["fast"] * useful_flops(tiny_generator()) / 1e9)


def test_the_table_for_the_readme_is_markdown(vedit: Vedit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIGS, "built-in", TINY)
    ran = vedit("bench", "--task", "encode", "--task", "decode", "--repeats", "1", "--markdown", "--quiet")
    assert ran.returncode == 0, ran.stderr
    head, line, *rows = (row.strip("|").split("|") for row in ran.stdout.splitlines())
    assert set("".join(line)) == set(" -:") and [row[1].strip() for row in rows] == ["decode", "encode"]
    assert all(len(row) == len(head) == len(line) for row in rows)


def test_what_the_command_offers_is_what_there_is() -> None:
    assert [*CONFIGS, "all"] == list(Config) and list(TASKS) == list(Kind)


def test_what_is_not_known_is_said_with_what_is(vedit: Vedit) -> None:
    with pytest.raises(BenchError, match="no configuration '32' .* built-in, 64"):
        finish(bench(("32",)))
    with pytest.raises(BenchError, match="no task 'paint' .* render, "):
        finish(bench(tasks=("paint",)))
    assert "--markdown and --json" in one_line_error(vedit("bench", "--markdown", "--json"))


def convolution_flops(counter: FlopCounterMode) -> int:
    counts = counter.get_flop_counts()["Global"]
    return sum(count for operation, count in counts.items() if "convolution" in str(operation))


@pytest.mark.parametrize("frames", [1, 3])
def test_needed_operations_are_those_of_the_reference_without_its_filters(frames: int) -> None:
    """PyTorch's own count of the plain path, less what it counts for the depthwise filters."""
    generator = tiny_generator(resolution=32)
    cfg = generator.cfg
    with torch.no_grad(), FlopCounterMode(display=False) as whole:
        motion_v = torch.randn(1, frames, cfg.motion_dim)
        generator.synthesis(torch.randn(1, generator.num_ws, cfg.w_dim), motion_v=motion_v, path="reference")
    with FlopCounterMode(display=False) as filters:
        for resolution in cfg.resolutions[1:]:
            filter2d(torch.randn(frames, cfg.channels(resolution), resolution + 1, resolution + 1), padding=1)
            upsample_image(torch.randn(frames, 3, resolution // 2, resolution // 2))
    assert convolution_flops(whole) - convolution_flops(filters) == frames * useful_flops(generator)


def test_needed_operations_counted_by_hand() -> None:
    """8²: 5 channels at 4², 4 at 8², no motion."""
    generator = Generator(GeneratorConfig(8, z_dim=4, w_dim=4, channel_base=32, channel_max=5))
    at_4 = 9 * 5 * 5 * 16 + 5 * 3 * 16
    at_8 = 9 * 5 * 4 * 16 + 9 * 4 * 4 * 64 + 4 * 3 * 64
    assert useful_flops(generator) == 2 * (at_4 + at_8)


def test_the_peak_counts_what_its_convolutions_do() -> None:
    run, flops = plain_convolutions(tiny_generator(), 2)
    with FlopCounterMode(display=False) as counter:
        run(torch.float32)
    assert convolution_flops(counter) == 2 * flops


def test_a_generator_goes_the_way_it_is_told_whoever_calls_it() -> None:
    generator = tiny_generator()
    ws, motion_v = torch.randn(1, generator.num_ws, 16), torch.randn(1, 2, generator.cfg.motion_dim)
    with torch.no_grad():
        ways = {way: generator.synthesis(ws, motion_v=motion_v, path=way) for way in ("reference", "fast")}
        with _by(generator, "reference"):
            told = generator.synthesis(ws, motion_v=motion_v)
        after = generator.synthesis(ws, motion_v=motion_v)
    assert not torch.equal(ways["reference"], ways["fast"])
    assert torch.equal(told, ways["reference"]) and torch.equal(after, ways["fast"])


def test_what_does_not_fit_is_left_out_and_the_fast_path_last() -> None:
    size = CONFIGS["1024"]
    wanted = cases("training", keeps=True, bf16=True)
    assert fitting(wanted, size, None) == wanted and fitting(wanted, size, 0) == []
    kept = [len(fitting(wanted, size, gibibytes << 30)) for gibibytes in range(64)]
    assert kept == sorted(kept) and kept[-1] == len(wanted)
    some = fitting(wanted, size, needed("training", size, fast=True, kept=True) + (2 << 30))
    assert some and all(case.way == "fast" for case in some)
    assert all(case.task in COMPARED for case in wanted)


def test_the_peak_is_that_of_the_run_alone() -> None:
    least = peak_of(lambda: None, "cpu")
    if least is None:
        pytest.skip("this system does not tell how much memory a process holds")
    torch.ones(128 << 18)
    run = peak_of(lambda: torch.ones(64 << 18), "cpu")
    assert run is not None and 60 << 20 < run - least < 90 << 20


def test_an_error_in_the_process_is_told_and_a_lost_process_too(process: Process) -> None:
    with pytest.raises(BenchError, match="KeyError: 'paint'"):
        process.prepare("paint", TINY)
    assert process.prepare("render", TINY).frames == 2
    assert process.seconds("render", "fast", torch.float32) > 0
    process._process.kill()
    with pytest.raises(BenchError, match="status -9"):
        process.room()
