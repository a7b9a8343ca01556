"""Small data sets of clips for tests: every frame tells its clip and its number by its colour."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image


def picture(clip: int, frame: int, size: tuple[int, int] = (8, 8), form: str = "PNG") -> bytes:
    """An image of red 10 · clip, green 5 · frame; the left half has blue."""
    image = Image.new("RGB", size, (10 * clip, 5 * frame, 0))
    image.paste((10 * clip, 5 * frame, 200), (0, 0, size[0] // 2, size[1]))
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


def clips(lengths: list[int], size: tuple[int, int] = (8, 8)) -> dict[str, bytes]:
    """The files of clips of these lengths, v0/000000.png …"""
    return {
        f"v{clip}/{frame:06d}.png": picture(clip, frame, size)
        for clip, length in enumerate(lengths)
        for frame in range(length)
    }


def labels(pairs: object) -> dict[str, bytes]:
    """The file dataset.json."""
    return {"dataset.json": json.dumps({"labels": pairs}).encode()}


def write(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files as a folder, or as a zip where `path` ends in .zip."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as made:
            for name, data in files.items():
                made.writestr(name, data)
        return path
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    path.mkdir(exist_ok=True)
    return path
