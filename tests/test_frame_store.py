"""Frames are rendered once for all that can be made of them, and what is kept is what was rendered."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.test_rendering import TIMES, an_edit, scene
from tests.tiny_generator import tiny_generator
from vedit.clock import Clock
from vedit.frame_store import FrameStore
from vedit.regions import Region
from vedit.scene import CHUNK, Scene
from vedit.timing import subdivide

SHAPE = (5, 3, 4, 4)


def drawn(count: int = 5) -> Iterator[Tensor]:
    """Random frames in chunks of 2."""
    frames = torch.randn(count, *SHAPE[1:], generator=torch.Generator().manual_seed(0))
    return iter(frames.split(2))


def never() -> Iterator[Tensor]:
    raise AssertionError("these frames were kept")


def test_kept_frames_come_back_to_the_bit_and_are_not_rendered_again(tmp_path: Path) -> None:
    store = FrameStore(tmp_path / "frames")
    first = torch.cat(list(store.through("a", SHAPE, drawn, 2)))
    again = torch.cat(list(store.through("a", SHAPE, never, 2)))
    assert torch.equal(first, torch.cat(list(drawn()))) and torch.equal(again, first)


def test_a_render_that_was_left_in_the_middle_keeps_nothing(tmp_path: Path) -> None:
    store = FrameStore(tmp_path)
    stream = store.through("a", SHAPE, drawn, 2)
    next(stream)
    assert [file.suffix for file in tmp_path.iterdir()] == [".part"]
    stream.close()  # type: ignore[attr-defined]
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_rendered_again(tmp_path: Path) -> None:
    store = FrameStore(tmp_path)
    list(store.through("a", SHAPE, drawn, 2))
    (tmp_path / "a.f32").write_bytes(b"short")
    assert torch.equal(torch.cat(list(store.through("a", SHAPE, drawn, 2))), torch.cat(list(drawn())))


def test_the_oldest_files_make_room_and_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    one = 4 * 5 * 3 * 4 * 4
    store = FrameStore(tmp_path, limit=2 * one + 10)
    for name in "abc":
        list(store.through(name, SHAPE, drawn, 2))
    assert sorted(file.stem for file in tmp_path.iterdir()) == ["b", "c"]
    large = (11, *SHAPE[1:])
    assert len(torch.cat(list(store.through("d", large, lambda: drawn(11), 2)))) == 11
    assert sorted(file.stem for file in tmp_path.iterdir()) == ["b", "c"]


def test_a_folder_that_cannot_be_written_to_costs_nothing_but_the_keeping(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = FrameStore(tmp_path / "file")
    assert len(torch.cat(list(store.through("a", SHAPE, drawn, 2)))) == 5


def test_two_streams_of_the_same_frames_do_not_disturb_each_other(tmp_path: Path) -> None:
    store = FrameStore(tmp_path)
    pair = list(zip(store.through("a", SHAPE, drawn, 2), store.through("a", SHAPE, drawn, 2), strict=True))
    assert all(torch.equal(one, other) for one, other in pair) and len(pair) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["a.f32"]
    assert torch.equal(torch.cat(list(store.through("a", SHAPE, never, 2))), torch.cat(list(drawn())))


def test_another_process_may_make_room_meanwhile(tmp_path: Path) -> None:
    store = FrameStore(tmp_path, limit=2 * 4 * 5 * 3 * 4 * 4)
    stream = store.through("a", SHAPE, drawn, 2)
    next(stream)
    for name in "bcd":
        list(FrameStore(tmp_path, store.limit).through(name, SHAPE, drawn, 2))
    assert len(list(stream)) == 2 and (tmp_path / "a.f32").is_file()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= store.limit


def test_what_a_killed_run_left_is_removed_after_a_day(tmp_path: Path) -> None:
    old, new = tmp_path / "x.1.part", tmp_path / "y.2.part"
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    list(FrameStore(tmp_path).through("a", SHAPE, drawn, 2))
    assert not old.exists() and new.exists()


def test_a_full_disk_and_a_cache_that_is_read_only_cost_nothing_but_the_keeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FrameStore(tmp_path)
    made = tempfile.NamedTemporaryFile

    def full(**options: Any) -> Any:
        part = made(**options)
        monkeypatch.setattr(part, "write", lambda data: (_ for _ in ()).throw(OSError("no space left")))
        return part

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    stream = store.through("a", SHAPE, drawn, 2)
    first = [next(stream), next(stream)]
    assert not list(tmp_path.iterdir())  # it gave the room back at once
    assert torch.equal(torch.cat([*first, *stream]), torch.cat(list(drawn())))
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", made)
    list(store.through("a", SHAPE, drawn, 2))
    monkeypatch.setattr(os, "utime", lambda path: (_ for _ in ()).throw(PermissionError("read only")))
    assert torch.equal(torch.cat(list(store.through("a", SHAPE, never, 2))), torch.cat(list(drawn())))


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames are rendered from now on, a number a batch."""
    rendered: list[int] = []
    plain = Scene._rendered

    def counted(self: Scene, times: list[float], edits: Any) -> Tensor:
        rendered.append(len(times))
        return plain(self, times, edits)

    monkeypatch.setattr(Scene, "_rendered", counted)
    return rendered


def test_a_scene_is_not_rendered_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = tiny_generator()
    whole, store, times = scene(generator, (an_edit(generator), 1.0)), FrameStore(tmp_path), subdivide(TIMES, 5)
    rendered = counting(monkeypatch)
    first = torch.cat(list(whole.chunks(times, store)))
    assert sum(rendered) == len(times) and max(rendered) <= CHUNK
    assert torch.equal(torch.cat(list(whole.chunks(times, store))), first) and sum(rendered) == len(times)
    assert torch.equal(torch.cat(list(whole.chunks(times))), first)


def doubled(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor * 2


def precise(whole: Scene) -> Scene:
    whole.generator.set_precision(torch.bfloat16)
    return whole


def reweighed(whole: Scene) -> Scene:
    with torch.no_grad():
        whole.generator.synthesis.b4.conv1.weight.mul_(2)
    return whole


def clamped(whole: Scene) -> Scene:
    whole.generator.cfg = replace(whole.generator.cfg, conv_clamp=0.1)
    return whole


CHANGES: dict[str, Callable[[Scene], Scene]] = {
    "ws": lambda whole: replace(whole, latents=replace(whole.latents, ws=whole.latents.ws * 2)),
    "u": lambda whole: replace(whole, latents=replace(whole.latents, u=doubled(whole.latents.u))),
    "residual": lambda whole: replace(whole, latents=replace(whole.latents, motion=None)),
    "clock": lambda whole: replace(whole, clock=Clock.of(TIMES, whole.clock.fps * 2)),
    "factor": lambda whole: replace(whole, edits=tuple((edit, 0.5) for edit, _ in whole.edits)),
    "keyframes": lambda whole: replace(whole, edits=((an_edit(whole.generator, ((0.0, 0.0), (0.16, 1.0))), 1.0),)),
    "no edit": lambda whole: replace(whole, edits=()),
    "precision": precise,
    "weights": reweighed,
    "configuration": clamped,
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_frames_depend_on_makes_them_anew(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator, store = tiny_generator(), FrameStore(tmp_path)
    whole = scene(generator, (an_edit(generator), 1.0))
    list(whole.chunks(TIMES, store))
    rendered = counting(monkeypatch)
    list(CHANGES[name](whole).chunks(TIMES, store))
    assert sum(rendered) == len(TIMES)
    list(whole.chunks(TIMES[:-1], store))
    assert sum(rendered) == 2 * len(TIMES) - 1, "other moments are other frames"


def test_another_region_needs_no_new_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = tiny_generator()
    side = generator.cfg.resolution
    crops = torch.tensor([[[side, 0.0, 0.0], [0.0, side, 0.0]]]).expand(len(TIMES), -1, -1).double().numpy()
    edit, store = an_edit(generator), FrameStore(tmp_path)
    left, top = (replace(edit, region=Region("box", (side, side), box)) for box in ((0, 0, side / 2, side), (0, 0, side, side / 2)))
    whole = replace(scene(generator, (left, 1.0)), crops=crops)
    first = torch.cat(list(whole.chunks(TIMES, store)))
    monkeypatch.setattr(Scene, "_rendered", never)
    second = torch.cat(list(replace(whole, edits=((top, 1.0),)).chunks(TIMES, store)))
    assert not torch.equal(first, second)
