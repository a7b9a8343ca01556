"""Frames in a file: what goes in comes out, a few at a time, and damage is told."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vedit.frame_file import FloatFrames, FrameFile, FrameFileError


def pictures(count: int, size: int = 5) -> Tensor:
    return torch.randint(0, 256, (count, size, size, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("count", [1, 12])
def test_frames_come_back_in_any_order_and_as_floats(tmp_path: Path, count: int) -> None:
    frames = pictures(count)
    FrameFile.write(tmp_path / "frames.npy", iter(frames), 5)
    file = FrameFile(tmp_path / "frames.npy")
    assert len(file) == count and torch.equal(file[:], frames) and torch.equal(torch.stack(list(file)), frames)
    index = torch.tensor([count - 1, 0, count // 2])
    assert torch.equal(file[index], frames[index])
    floats = FloatFrames(file)
    assert len(floats) == count and torch.allclose(floats[index], frames[index].permute(0, 3, 1, 2) / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(np.load(tmp_path / "frames.npy", allow_pickle=False), frames.numpy())
    with pytest.raises(IndexError, match=f"frame {count} of {count}"):
        file[torch.tensor([count])]


def test_a_file_that_is_cut_longer_or_of_another_kind_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "frames.npy"
    FrameFile.write(path, iter(pictures(3)), 5)
    whole = path.read_bytes()
    for wrong in (whole[:-1], whole + b"x", whole[:40], b"", b"frames"):
        path.write_bytes(wrong)
        with pytest.raises(FrameFileError, match="damaged"):
            FrameFile(path)
    for array in (np.zeros((2, 5, 5, 3), np.float32), np.zeros((2, 5, 4, 3), np.uint8), np.zeros(5, np.uint8), np.array([{}], dtype=object)):
        np.save(path, array, allow_pickle=True)
        with pytest.raises(FrameFileError, match="damaged"):
            FrameFile(path)
    with pytest.raises(FrameFileError, match="missing"):
        FrameFile(tmp_path / "none.npy")


def test_a_file_that_becomes_shorter_gives_no_pixels_that_were_not_read(tmp_path: Path) -> None:
    path = tmp_path / "frames.npy"
    FrameFile.write(path, iter(pictures(3)), 5)
    with FrameFile(path) as file:
        os.truncate(path, path.stat().st_size - 100)
        assert len(file[:1]) == 1
        for index in (slice(1, 2), slice(2, 3)):  # the last two: one in part, one as a whole
            with pytest.raises(FrameFileError, match="ends within frame"):
                file[index]


def test_a_file_is_let_go_of(tmp_path: Path) -> None:
    def held() -> list[str]:
        links = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
        return [link for link in links if os.path.realpath(link) == str(path.resolve())]

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not list open files")
    path = tmp_path / "frames.npy"
    FrameFile.write(path, iter(pictures(3)), 5)
    with FrameFile(path):
        assert len(held()) == 1
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(FrameFileError) as kept:  # whose traceback keeps what was being made
        FrameFile(path)
    assert kept.tb is not None and held() == []


def test_no_frames_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(FrameFileError, match="no frames"):
        FrameFile.write(tmp_path / "frames.npy", iter(()), 5)
    assert not list(tmp_path.iterdir())
