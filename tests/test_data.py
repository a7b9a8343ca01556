"""Clips to train on: what is read, what is drawn of it, and that a draw depends on seed and step alone."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
import torch

from stylegan_v.archive import Zip
from stylegan_v.data import ClipDataset, ClipSampler, DataError, sample_indices, shortest, spans
from stylegan_v.streams import stream
from tests.clip_files import clips, labels, picture, write
from tests.commands import python

LENGTHS = [5, 12, 1, 40]


@pytest.fixture(params=["set", "set.zip"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> ClipDataset:
    return ClipDataset.open(write(tmp_path / request.param, clips(LENGTHS)))


def test_clips_have_names_lengths_and_the_right_frames(dataset: ClipDataset) -> None:
    assert (dataset.names, dataset.lengths) == (["v0", "v1", "v2", "v3"], LENGTHS)
    assert (len(dataset), dataset.resolution, dataset.c_dim) == (4, 8, 0)
    frames = dataset.frames(3, torch.tensor([0, 7, 39]))
    assert frames.shape == (3, 3, 8, 8) and frames.dtype == torch.uint8
    assert frames[:, :, 0, 7].tolist() == [[30, 0, 0], [30, 35, 0], [30, 195, 0]]
    assert (frames[:, 2, :, :4] == 200).all() and dataset.label(0).shape == (0,)
    with pytest.raises(IndexError, match="frames 0 to 4"):
        dataset.frames(0, [5])


def test_folder_and_zip_hold_the_same_and_numbers_are_in_order(tmp_path: Path) -> None:
    files = {f"deep/er/a/{i}.png": picture(1, i) for i in range(12)} | {"deep/er/b/f2.jpg": picture(2, 0, form="JPEG")}
    files |= {
        "deep/er/b/f10.webp": picture(2, 9, form="WEBP"),
        "notes.txt": b"x",
        "__MACOSX/a/._1.jpg": b"x",
        ".hidden/1.jpg": b"x",
    }
    zipped = ClipDataset.open(write(tmp_path / "set.zip", files))
    del files["__MACOSX/a/._1.jpg"]
    folder = ClipDataset.open(write(tmp_path / "set", files))
    assert zipped.names == folder.names == ["deep/er/a", "deep/er/b"] and zipped.lengths == [12, 2]
    for clip, length in enumerate(zipped.lengths):
        assert torch.equal(zipped.frames(clip, range(length)), folder.frames(clip, range(length)))
    assert zipped.frames(0, range(12))[:, 1, 0, 0].tolist() == [5 * i for i in range(12)]


def test_the_hash_tells_contents_apart(tmp_path: Path) -> None:
    first = ClipDataset.open(write(tmp_path / "1.zip", clips([3, 3]))).hash
    assert ClipDataset.open(write(tmp_path / "2.zip", clips([3, 3]))).hash == first
    other = clips([3, 3]) | {"v0/000001.png": picture(9, 9)}
    assert ClipDataset.open(write(tmp_path / "3.zip", other)).hash != first
    assert ClipDataset.open(write(tmp_path / "4.zip", clips([3, 3]) | labels([["v0", 0], ["v1", 1]]))).hash != first


@pytest.mark.parametrize("kind", ["set", "set.zip"])
def test_labels_are_classes_or_numbers_by_clip_or_by_frame(tmp_path: Path, kind: str) -> None:
    def rows(name: str, pairs: object) -> list[list[float]]:
        found = ClipDataset.open(write(tmp_path / name / kind, clips([2, 2]) | labels(pairs)))
        return [found.label(clip).tolist() for clip in range(2)]

    for name in "abcd":
        (tmp_path / name).mkdir()
    assert rows("a", [["v0", 2], ["v1", 0]]) == [[0, 0, 1], [1, 0, 0]]
    assert rows("b", [["v0/000000.png", 0], ["v0/000001.png", 0], ["v1/000000.png", 1]]) == [[1, 0], [0, 1]]
    assert rows("c", [["v0", [0.5, -1]], ["v1", [2, 3]]]) == [[0.5, -1], [2, 3]]
    assert rows("d", None) == [[], []]


def test_larger_frames_are_shrunk_and_smaller_ones_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "set.zip", clips([2], (16, 16)))
    frames = ClipDataset.open(path, resolution=8).frames(0, [1])
    assert frames.shape == (1, 3, 8, 8) and frames[0, :, 4, 7].tolist() == [0, 5, 0]
    with pytest.raises(DataError, match="16x16 pixels, wanted at least 32x32"):
        ClipDataset.open(path, resolution=32)


def test_without_pillow_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "set.zip", clips([2]))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match="pip install pillow"):
        ClipDataset.open(path)
    script = "import sys; sys.modules['PIL'] = sys.modules['vedit'] = None; import stylegan_v.data"
    assert python(script).returncode == 0


def _read(dataset: ClipDataset, pipe: multiprocessing.connection.Connection) -> None:
    pipe.send([int(frame[1, 0, 0]) for _ in range(20) for frame in dataset.frames(3, range(0, 40, 4))])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forked_processes_and_threads_read_one_zip_at_once(tmp_path: Path) -> None:
    dataset = ClipDataset.open(write(tmp_path / "set.zip", clips(LENGTHS)))
    wanted = [int(frame[1, 0, 0]) for frame in dataset.frames(3, range(0, 40, 4))] * 20
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe(duplex=False) for _ in range(3)]
    processes = [context.Process(target=_read, args=(dataset, send)) for _, send in pipes]
    for process in processes:
        process.start()
    found: list[list[int]] = []
    threads = [
        Thread(
            target=lambda: found.append(
                [int(f[1, 0, 0]) for _ in range(20) for f in dataset.frames(3, range(0, 40, 4))]
            )
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for receive, _ in pipes:
        found.append(receive.recv())
    for worker in (*threads, *processes):
        worker.join()
    assert found == [wanted] * 6


def test_threads_of_a_forked_process_let_go_of_its_parents_zip_together(tmp_path: Path) -> None:
    together = Barrier(2, timeout=60)

    class Handles(dict[int, zipfile.ZipFile]):
        """Both threads miss a handle of their own, and list those there are, before either goes on."""

        def get(self, *given: Any) -> Any:
            found = super().get(*given)
            together.wait()
            return found

        def __iter__(self) -> Iterator[int]:
            names = list(self.keys())
            together.wait()
            return iter(names)

    archive = Zip(write(tmp_path / "set.zip", clips([3])))
    archive._open = Handles({-1: zipfile.ZipFile(archive.path)})  # as a fork finds it
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: archive._file(), range(2))
    assert first is second and set(archive._open.keys()) == {os.getpid()}


def test_a_data_set_can_be_sent_to_a_process_and_used_after_closing(dataset: ClipDataset) -> None:
    sent = pickle.loads(pickle.dumps(dataset))
    dataset.close()
    assert torch.equal(sent.frames(1, [3]), dataset.frames(1, [3])) and sent.hash == dataset.hash


def test_a_zip_that_changes_while_in_use_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "set.zip", clips([3]))
    dataset = ClipDataset.open(path)
    dataset.close()
    write(path, clips([3]) | {"v0/000001.png": picture(7, 7)})
    with pytest.raises(DataError, match="changed while in use"):
        dataset.frames(0, [1])


def test_streams_are_those_that_earlier_runs_and_data_sets_drew_from() -> None:
    assert stream(3, "order", 1).initial_seed() == 668092107859655092
    assert stream(4, 0).initial_seed() == 7548808480251911998


def test_indices_follow_the_protocol_over_many_draws() -> None:
    rng = torch.Generator().manual_seed(1)
    length, count, draws = 40, 4, 6000
    seen: Counter[int] = Counter()
    firsts: Counter[int] = Counter()
    middles: Counter[int] = Counter()
    for _ in range(draws):
        indices = sample_indices(length, count, rng).tolist()
        assert (
            len(indices) == count == len(set(indices))
            and indices == sorted(indices)
            and 0 <= indices[0] <= indices[-1] < length
        )
        span = indices[-1] - indices[0]
        seen[span] += 1
        if span == 8:
            firsts[indices[0]] += 1
            middles.update(index - indices[0] for index in indices[1:-1])
    assert set(seen) == {4, 8, 16, 32}
    assert all(
        0.22 < count / draws < 0.28 for count in seen.values()
    )  # a quarter each, within five standard deviations
    assert set(firsts) == set(range(32)) and set(middles) == set(range(1, 8))
    assert max(middles.values()) < 1.25 * min(middles.values())


def test_spans_end_where_clips_do() -> None:
    assert (
        spans(1000, 2, 2048) == [1 << i for i in range(10)]
        and spans(33, 2) == [1, 2, 4, 8, 16, 32]
        and spans(32, 2)[-1] == 16
    )
    assert [shortest(count) for count in (1, 2, 3, 4, 6, 33)] == [1, 2, 3, 5, 9, 33]
    assert sample_indices(1, 1, torch.Generator()).tolist() == [0]
    with pytest.raises(DataError, match="4 frames; wanted at least 5"):
        sample_indices(4, 4, torch.Generator())
    for count in (0, 34):
        with pytest.raises(ValueError, match="wanted 1 to 33"):
            shortest(count)


def test_a_batch_is_a_function_of_seed_and_step_and_splits_over_ranks(dataset: ClipDataset) -> None:
    whole = ClipSampler(dataset, 3, 4, seed=5, flip=True)
    steps = {step: whole.batch(step) for step in (0, 1, 7, 100)}
    frames, t, _ = steps[7]
    assert (
        frames.shape == (4, 3, 3, 8, 8)
        and frames.dtype == torch.uint8
        and t.dtype == torch.float32
        and t.shape == (4, 3)
    )
    for step in (100, 7, 1, 0):  # another order, another object: as after a resume
        again = ClipSampler(dataset, 3, 4, seed=5, flip=True).batch(step)
        assert all(torch.equal(a, b) for a, b in zip(again, steps[step]))
        shares = [
            ClipSampler(dataset, 3, 4, seed=5, rank=rank, world_size=2, flip=True).batch(step) for rank in range(2)
        ]
        assert all(torch.equal(torch.cat(parts), part) for parts, part in zip(zip(*shares), steps[step]))
        which = [ClipSampler(dataset, 3, 4, seed=5, rank=rank, world_size=2, flip=True).items(step) for rank in range(2)]
        assert torch.equal(torch.cat(which), whole.items(step))
    assert not torch.equal(ClipSampler(dataset, 3, 4, seed=6, flip=True).batch(7)[1], t)


def test_times_are_those_of_the_frames_and_every_epoch_shows_every_long_clip_once_each_way(
    dataset: ClipDataset,
) -> None:
    sampler = ClipSampler(dataset, 3, 2, flip=True)
    orders = set()
    for epoch in range(4):
        shown = []
        for step in range(3 * epoch, 3 * epoch + 3):
            frames, t, _ = sampler.batch(step)
            assert (frames[:, :, 1, 0, 0].float() == 5 * t).all()
            mirrored = frames[:, :, 2, 0, 0] == 0  # the blue half is on the right
            assert (mirrored.all(dim=1) | ~mirrored.any(dim=1)).all()
            now = [(int(clip[0, 0, 0, 0]) // 10, bool(flipped[0])) for clip, flipped in zip(frames, mirrored)]
            assert [(sampler.usable[item % 3], item >= 3) for item in sampler.items(step).tolist()] == now
            shown += now
        assert sorted(shown) == [(clip, flipped) for clip in (0, 1, 3) for flipped in (False, True)]
        orders.add(tuple(shown))
    assert len(orders) > 1


def test_a_sampler_says_what_it_cannot_do(dataset: ClipDataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wanted a multiple of the ranks"):
        ClipSampler(dataset, 3, 3, world_size=2)
    with pytest.raises(DataError, match="no clip has the 3 frames"):
        ClipSampler(ClipDataset.open(write(tmp_path / "short.zip", clips([2, 1]))), 3, 1)
