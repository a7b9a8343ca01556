"""Frames are rendered once for all that can be made of them, and what is kept is what was rendered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.test_rendering import TIMES, an_edit, scene
from tests.tiny_generator import tiny_generator
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


def test_a_scene_is_rendered_again_only_where_its_frames_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = tiny_generator()
    edit = an_edit(generator)
    whole, store = scene(generator, (edit, 1.0)), FrameStore(tmp_path)
    times = subdivide(TIMES, 5)
    rendered = []
    plain = Scene._rendered

    def counted(self: Scene, times: list[float], edits: object) -> Tensor:
        rendered.append(len(times))
        return plain(self, times, edits)  # type: ignore[arg-type]

    monkeypatch.setattr(Scene, "_rendered", counted)
    first = torch.cat(list(whole.chunks(times, store)))
    assert sum(rendered) == len(times) and max(rendered) <= CHUNK
    assert torch.equal(torch.cat(list(whole.chunks(times, store))), first) and sum(rendered) == len(times)
    others = (
        scene(generator, (edit, 0.5)), scene(generator), scene(generator, (an_edit(generator, ((0.0, 0.0), (0.16, 1.0))), 1.0)),
        replace(whole, latents=replace(whole.latents, ws=whole.latents.ws + 1e-3)),
    )  # fmt: skip
    for other in others:
        before = sum(rendered)
        assert not torch.equal(torch.cat(list(other.chunks(times, store))), first)
        assert sum(rendered) == before + len(times)
    with torch.no_grad():
        next(generator.parameters()).add_(0.1)
    before = sum(rendered)
    list(whole.chunks(times, store))
    assert sum(rendered) == before + len(times)


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
