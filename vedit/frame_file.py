"""Frames of a clip in one file, read a few at a time, so that memory does not grow with the clip's length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import torch
from torch import Tensor

from stylegan_v.files import replacing
from vedit.errors import VeditError
from vedit.pixels import from_pixels

MAX_SIDE = 4096


class FrameFileError(VeditError, ValueError):
    """A file of frames is missing or damaged."""


class FrameFile:
    """Frames uint8 [T, S, S, 3] in a plain .npy file; indexing reads what is asked for, as uint8 [B, S, S, 3].

    Reading through a file, and not a memory map: pages of a map count as this process's memory. The file is open until `close`; use
    as a context.
    """

    def __init__(self, path: Path) -> None:
        """Open a file; raises FrameFileError where it holds anything else than such frames, all of them."""
        self.path = path
        with ExitStack() as if_it_fails:
            try:
                self._file = if_it_fails.enter_context(path.open("rb", buffering=0))
                found = _header(self._file)
                self._begin = self._file.tell()
                size = path.stat().st_size
            except (OSError, ValueError) as error:
                raise FrameFileError(f"{path} is missing or damaged ({error}); project the clip again") from None
            good = len(found) == 4 and found[0] >= 1 and found[1] == found[2] <= MAX_SIDE and found[3] == 3
            if not good or size != self._begin + int(np.prod(found, dtype=np.int64)):
                raise FrameFileError(f"{path} is damaged (shape {list(found)} in {size} bytes); project the clip again")
            self.shape = found
            if_it_fails.pop_all()

    def close(self) -> None:
        """Let go of the file; no more frames can be read."""
        self._file.close()

    def __enter__(self) -> FrameFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[index : index + 1][0] for index in range(len(self)))

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        """Frames uint8 [B, S, S, 3] of a slice or of indices [B]; raises FrameFileError where the file has become shorter."""
        places = range(len(self))[index] if isinstance(index, slice) else index.tolist()
        frames = np.empty((len(places), *self.shape[1:]), dtype=np.uint8)
        step = int(np.prod(self.shape[1:], dtype=np.int64))
        for row, place in zip(frames, places, strict=True):
            if not 0 <= place < len(self):
                raise IndexError(f"frame {place} of {len(self)}")
            self._file.seek(self._begin + place * step)
            left = memoryview(row).cast("B")
            while left:
                read = self._file.readinto(left)  # may read less than is asked for
                if not read:
                    raise FrameFileError(f"{self.path} ends within frame {place} of {len(self)}; project the clip again")
                left = left[read:]
        return torch.from_numpy(frames)

    @staticmethod
    def write(path: Path, frames: Iterable[Tensor], size: int) -> None:
        """Write frames uint8 [size, size, 3] as they come, beside `path`, and rename; as many as come, at least one."""
        count = 0
        with replacing(path) as beside, beside.open("wb") as file:
            _write_header(file, (count, size, size, 3))
            for frame in frames:
                file.write(np.ascontiguousarray(frame.numpy()).data)
                count += 1
            if not count:
                raise FrameFileError(f"there are no frames to write to {path}")
            file.seek(0)
            _write_header(file, (count, size, size, 3))  # as long as before: numpy leaves room for the count to grow


class FloatFrames:
    """The frames of a file as networks see them: indices [B] give [B, 3, S, S] in [-1, 1], on a device."""

    def __init__(self, file: FrameFile, device: torch.device | str = "cpu") -> None:
        self.file, self.device = file, device

    def __len__(self) -> int:
        return len(self.file)

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        return from_pixels(self.file[index], self.device)


def _header(file: IO[bytes]) -> tuple[int, ...]:
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("another version of its format")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if fortran or dtype != np.uint8:
        raise ValueError(f"holds {dtype} instead of pixels")
    return tuple(shape)


def _write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
