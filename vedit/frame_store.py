"""Rendered frames kept on disk, so that a render of which only codec, paste-back or a region's shape changed is not made again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

LIMIT = 1 << 30  # bytes of all kept frames together: 20,000 frames of 64², 1,300 of 256²


class FrameStore:
    """Files of float32 frames in a folder, named by what they were rendered from; the oldest make room for new ones."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder, self.limit = folder, limit

    def through(self, key: str, shape: tuple[int, int, int, int], render: Callable[[], Iterator[Tensor]], chunk: int) -> Iterator[Tensor]:
        """The frames [T, 3, H, W] of `key` in chunks of up to `chunk`: the kept ones, or those of `render`, which are kept once all came.

        What is larger than half of the limit is not kept. A folder that cannot be written to, or a full disk, costs the keeping only.
        """
        path, size = self.folder / f"{key}.f32", 4 * int(np.prod(shape))
        try:
            kept = path.stat().st_size == size
        except OSError:
            kept = False
        if kept:
            yield from _read(path, shape, chunk)
        elif size > self.limit // 2:
            yield from render()
        else:
            yield from self._keeping(path, size, render())

    def _keeping(self, path: Path, size: int, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room(size)
            file = part.open("wb", buffering=0)
        except OSError:
            yield from frames
            return
        whole = True
        try:
            with file:
                for chunk in frames:
                    try:
                        file.write(chunk.contiguous().numpy().data)
                    except OSError:
                        whole = False
                    yield chunk
            if whole and part.stat().st_size == size:
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Remove the files not used for longest until one of `size` fits, and what a killed run left."""
        found = sorted(self.folder.glob("*.f32*"), key=lambda file: file.stat().st_mtime)
        total = sum(file.stat().st_size for file in found)
        for file in found:
            if total + size <= self.limit:
                return
            total -= file.stat().st_size
            file.unlink(missing_ok=True)


def _read(path: Path, shape: tuple[int, int, int, int], chunk: int) -> Iterator[Tensor]:
    os.utime(path)
    frame = shape[1] * shape[2] * shape[3]
    with path.open("rb") as file:
        for begin in range(0, shape[0], chunk):
            values = np.fromfile(file, dtype=np.float32, count=min(chunk, shape[0] - begin) * frame)
            yield torch.from_numpy(values.reshape(-1, *shape[1:]))
