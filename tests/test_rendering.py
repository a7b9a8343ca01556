"""Rendering: when frames stand, that upsampling keeps them, that edits act, that a seed's sample stands alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan_v import Generator
from tests.test_latents import latents
from tests.tiny_generator import tiny_generator
from tests.tiny_project import rendered
from vedit.clock import Clock
from vedit.editing import Edit
from vedit.pixels import enlarge
from vedit.progress import finish
from vedit.rendering import RenderError, render, schedule
from vedit.sampling import content_of, sample
from vedit.scene import Scene
from vedit.timing import subdivide

TIMES = [0.0, 0.04, 0.09, 0.12, 0.16]  # a variable rate
END = 0.2


@pytest.fixture(scope="module")
def generator() -> Generator:
    return tiny_generator()


def scene(generator: Generator, *edits: tuple[Edit, float], held: Sequence[int] = ()) -> Scene:
    return Scene(generator, latents(generator), Clock.of(TIMES, generator.fps, held), edits)


def an_edit(generator: Generator, strength: tuple[tuple[float, float], ...] = ((0.0, 1.0),)) -> Edit:
    direction = {"b8.conv0": torch.full((16,), 0.5)}
    return Edit(name="e", prompt="p", neutral="n", strength=strength, direction=direction, generator=generator.hash)


def test_upsampling_keeps_the_frames_of_the_source(generator: Generator) -> None:
    whole = scene(generator, (an_edit(generator), 1.0))
    once, many = whole.frames(TIMES), torch.cat(list(whole.chunks(subdivide(TIMES, 5))))
    assert many.shape[0] == 5 * once.shape[0]
    torch.testing.assert_close(many[::5], once, atol=1e-5, rtol=0)
    assert (many[1] - many[0]).abs().max() > 0


def test_a_frame_that_the_source_repeats_is_repeated_and_the_others_move_on(generator: Generator) -> None:
    frames = scene(generator, held=[2]).frames([*TIMES, 0.105])
    change = (frames[1:5] - frames[:4]).abs().mean(dim=(1, 2, 3))
    assert change[1] == 0 and (change[[0, 2, 3]] > 0).all()
    assert (frames[5] - frames[2]).abs().max() > 0 and (frames[5] - frames[3]).abs().max() > 0


def test_frames_do_not_depend_on_their_neighbours(generator: Generator) -> None:
    whole = scene(generator)
    torch.testing.assert_close(whole.frames(TIMES)[2:3], whole.frames(TIMES[2:3]), atol=1e-5, rtol=0)


def test_an_edit_of_strength_zero_is_no_edit_and_keyframes_fade_in(generator: Generator) -> None:
    plain = scene(generator).frames(TIMES)
    none = scene(generator, (an_edit(generator), 0.0)).frames(TIMES)
    torch.testing.assert_close(none, plain)
    fading = scene(generator, (an_edit(generator, ((0.0, 0.0), (0.16, 1.0))), 1.0)).frames(TIMES)
    change = (fading - plain).abs().mean(dim=(1, 2, 3))
    assert change[0] == 0 and (change.diff() > 0).all()


def test_two_edits_add_up(generator: Generator) -> None:
    edit = an_edit(generator)
    torch.testing.assert_close(
        scene(generator, (edit, 1.0), (edit, 1.0)).frames(TIMES), scene(generator, (edit, 2.0)).frames(TIMES)
    )


def test_renders_of_edits_with_long_names_keep_what_tells_them_apart(tmp_path: Path, generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    workspace = rendered(tmp_path / "a.vedit", count=2)
    long = ("a" * 64, "b" * 63 + "1", "b" * 63 + "2")
    for name in long:
        workspace.save_edit(name, *replace(an_edit(generator), name=name, generator=workspace.info["generator"]["hash"]).to_files())
    edits = [[(long[i], None) for i in chosen] for chosen in ((0,), (0, 1), (0, 2))]
    sweep = [i / 7 for i in range(32)]  # a mark that is longer than any file's name
    different: list[dict[str, Any]] = [{}, {"compare": True}, {"factor": 2}, {"sweep": sweep}, {"sweep": sweep[:-1]}]
    paths = [finish(render(workspace, edits=chosen, device="cpu", **options)) for chosen in edits for options in different]
    assert len(set(paths)) == len(paths) == 15 and all(path.is_file() for path in paths)
    assert paths[0].name == "a" * 64 + ".mp4"
    assert paths[11].stem.endswith("-compare") and paths[12].stem.endswith("-x2")


def test_a_plain_schedule_is_the_source() -> None:
    plan = schedule(TIMES, END)
    assert plan.moments == TIMES and plan.shown == TIMES and plan.whole and plan.audio_start == 0


def test_a_last_frame_that_is_held_is_held_again_unless_frames_are_made_between() -> None:
    assert schedule(TIMES, 0.5).last_duration == pytest.approx(0.34)
    assert schedule(TIMES, 0.5, speed=2.0).last_duration == pytest.approx(0.17)
    assert schedule(TIMES, 0.5, factor=2).last_duration == pytest.approx(0.02)


def test_a_small_offset_of_the_picture_survives_with_its_sound() -> None:
    plan = schedule([time + 0.08 for time in TIMES], END + 0.08)
    assert plan.shown[0] == pytest.approx(0.08) and plan.audio_start == 0


def test_a_clip_from_the_middle_of_its_source_begins_at_zero_with_its_sound() -> None:
    plan = schedule([time + 0.5 for time in TIMES], END + 0.5, lead=False)
    assert plan.shown[0] == 0 and plan.audio_start == 0.5


def test_broadcast_rates_are_exact() -> None:
    assert schedule([0.0, 5.0], 10.0, fps="29.97").moments[1] == pytest.approx(1001 / 30000, abs=1e-12)


@pytest.mark.parametrize(
    ("first", "last", "kept"), [(0.04, None, TIMES[1:]), (None, 0.1, TIMES[:3]), (0.05, 0.13, [0.09, 0.12])]
)
def test_a_part_begins_at_zero_with_its_sound(first: float | None, last: float | None, kept: list[float]) -> None:
    plan = schedule(TIMES, END, first=first, last=last)
    assert plan.moments == kept
    assert plan.shown[0] == 0 and plan.audio_start == pytest.approx(kept[0] if first else 0)


def test_speed_stretches_time_and_factor_multiplies_frames() -> None:
    plan = schedule(TIMES, END, factor=4, speed=0.5)
    assert len(plan.moments) == 20
    assert plan.shown[-1] == pytest.approx(2 * plan.moments[-1])


def test_a_rate_covers_the_clip() -> None:
    plan = schedule(TIMES, END, fps=50)
    assert len(plan.moments) == 10 and plan.shown == pytest.approx([i / 50 for i in range(10)])
    slow = schedule(TIMES, END, fps=50, speed=0.5)
    assert len(slow.moments) == 20 and slow.shown == pytest.approx([i / 50 for i in range(20)])


def test_extension_goes_on_at_the_last_interval() -> None:
    plan = schedule(TIMES, END, extend=0.2)
    assert len(plan.moments) == 10 and plan.moments[5:] == pytest.approx([0.2, 0.24, 0.28, 0.32, 0.36])
    assert plan.audio_end == END


@pytest.mark.parametrize("bad", [{"speed": 0.0}, {"speed": -1.0}, {"first": 5.0}, {"speed": float("nan")}])
def test_impossible_schedules_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        schedule(TIMES, END, **bad)  # type: ignore[arg-type]


def test_a_seed_is_the_same_sample_whatever_its_length(generator: Generator) -> None:
    short, long = torch.arange(3, dtype=torch.float64), torch.arange(70, dtype=torch.float64)
    content = content_of(generator, 5)
    a, b = torch.cat(list(sample(generator, content, 5, short))), torch.cat(list(sample(generator, content, 5, long)))
    torch.testing.assert_close(a, b[:3], atol=1e-5, rtol=0)
    assert not torch.allclose(content, content_of(generator, 6))


def test_small_frames_are_enlarged_by_a_whole_factor() -> None:
    frames = torch.rand(2, 3, 100, 100) * 2 - 1
    assert enlarge(frames).shape == (2, 3, 300, 300)
    assert enlarge(frames, least=80) is frames


def test_the_error_of_an_empty_part_names_the_length() -> None:
    with pytest.raises(RenderError, match=r"0\.200 s"):
        schedule(TIMES, END, first=5.0)


def test_bfloat16_frames_are_close_to_the_exact_ones() -> None:
    exact = scene(tiny_generator()).frames(TIMES)
    generator = tiny_generator().set_precision(torch.bfloat16)
    found = scene(generator).frames(TIMES)
    error = float((found - exact).square().mean())
    assert 0 < error and -10 * math.log10(error / 4) > 40  # dB of a range of 2
