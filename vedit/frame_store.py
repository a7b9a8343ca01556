"""Rendered frames kept on disk, so that a render of which only codec, paste-back or a region's shape changed is not made again."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

LIMIT = 1 << 30  # bytes of all kept frames together: 20,000 frames of 64², 1,300 of 256²
ABANDONED = 24 * 3600.0  # seconds after which an unfinished file is one that a killed run left

Shape = tuple[int, int, int, int]


class FrameStore:
    """Files of float32 frames in a folder, named by what they were rendered from; those not used for longest make room for new ones.

    Several streams, of this process and of others, may keep the same frames at once: the last one's file stays. Whatever goes wrong
    with the folder or the disk costs the keeping only.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder, self.limit = folder, limit

    def holds(self, shape: Shape) -> bool:
        """Whether frames of this many numbers would be kept: not what is larger than half of the limit."""
        return _size(shape) <= self.limit // 2

    def through(self, key: str, shape: Shape, render: Callable[[], Iterator[Tensor]], chunk: int) -> Iterator[Tensor]:
        """The frames [T, 3, H, W] of `key` in chunks of up to `chunk`: the kept ones, or those of `render`, which are kept once all came."""
        path = self.folder / f"{key}.f32"
        kept = _opened(path, _size(shape))
        if kept is not None:
            with kept:
                yield from _read(kept, shape, chunk)
        elif not self.holds(shape):
            yield from render()
        else:
            yield from self._keeping(path, _size(shape), render())

    def _keeping(self, path: Path, size: int, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        part = self._part(path.stem, size)
        try:
            for chunk in frames:
                if part is not None:
                    try:
                        part.write(chunk.contiguous().numpy().data)
                    except OSError:  # a full disk: what was written goes at once, the video may need the room
                        _remove(part)
                        part = None
                yield chunk
            if part is not None:
                with contextlib.suppress(OSError):
                    part.close()
                    if os.path.getsize(part.name) == size:
                        os.replace(part.name, path)
                        self._make_room(0)
        finally:
            if part is not None:
                _remove(part)

    def _part(self, key: str, size: int) -> IO[bytes] | None:
        """A new file to write to, for its owner's eyes alone, with room made for it; None where there can be none."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room(size)
            return tempfile.NamedTemporaryFile(dir=self.folder, prefix=f"{key}.", suffix=".part", delete=False)
        except OSError:
            return None

    def _make_room(self, size: int) -> None:
        """Remove the files not used for longest until one of `size` fits, and what killed runs left."""
        with contextlib.suppress(OSError):
            for part in self.folder.glob("*.part"):
                if time.time() - part.stat().st_mtime > ABANDONED:
                    part.unlink()
        found = []
        for file in self.folder.glob("*.f32"):
            with contextlib.suppress(OSError):  # another process may have removed it
                found.append((file.stat().st_mtime, file.stat().st_size, file))
        total = sum(bytes_ for _, bytes_, _ in found)
        for _, bytes_, file in sorted(found):
            if total + size <= self.limit:
                return
            file.unlink(missing_ok=True)
            total -= bytes_


def _size(shape: Shape) -> int:
    return 4 * int(np.prod(shape, dtype=np.int64))


def _opened(path: Path, size: int) -> IO[bytes] | None:
    """A kept file of the right size, marked as used; None where there is none."""
    try:
        file = path.open("rb")
    except OSError:
        return None
    if os.fstat(file.fileno()).st_size != size:
        file.close()
        return None
    with contextlib.suppress(OSError):  # a cache that may be read only
        os.utime(path)
    return file


def _remove(part: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        part.close()
    with contextlib.suppress(OSError):
        os.unlink(part.name)


def _read(file: IO[bytes], shape: Shape, chunk: int) -> Iterator[Tensor]:
    frame = shape[1] * shape[2] * shape[3]
    for begin in range(0, shape[0], chunk):
        values = np.fromfile(file, dtype=np.float32, count=min(chunk, shape[0] - begin) * frame)
        yield torch.from_numpy(values.reshape(-1, *shape[1:]))
