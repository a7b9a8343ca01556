"""Writing a data set whole or not at all, folder or zip: finished parts wait in a folder beside it, where a killed run finds them again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from stylegan_v.files import replacing
from vedit.data.manifest import read_manifest
from vedit.data.sources import PreparationError
from vedit.progress import Progress, Task
from vedit.workspace import write_text

_DATE = (1980, 1, 1, 0, 0, 0)  # of every file in a zip, so that the same clips give the same zip


def key_of(content: object) -> str:
    """What tells a data set, or a part of one, from those made of other input or settings (plain data)."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


class Store:
    """The place of a data set, and the folder beside it where its parts wait. A part is a folder of clips and a record of them."""

    def __init__(self, out: Path) -> None:
        if not out.name or out.name == "..":
            raise PreparationError(f"found {str(out)!r} as the place of a data set; give a folder of its own, or a .zip, such as -o clips.zip")
        self.out = out
        self.waiting = out.with_name(f".{out.name}.parts")

    @property
    def zipped(self) -> bool:
        """Whether the data set is a zip."""
        return self.out.suffix.lower() == ".zip"

    def finished(self, key: str, overwrite: bool) -> dict[str, Any] | None:
        """The manifest of the data set if it is there and was made by the same key, None if it is to be made.

        Raises PreparationError where something else stands in its place.
        """
        if not self.out.parent.is_dir():
            raise PreparationError(f"there is no folder {self.out.parent} to write {self.out.name} to; make it first")
        if self.zipped and self.out.is_dir():
            raise PreparationError(f"{self.out} is a folder, and a name that ends in .zip is written as a file; remove it or choose another place with -o")
        if not self.out.exists() or (self.out.is_dir() and not any(self.out.iterdir())):
            return None
        manifest = read_manifest(self.out)
        if manifest is None:
            raise PreparationError(f"{self.out} exists and was not made by this command; choose another place with -o")
        if manifest.get("key") == key:
            self.discard()  # of a run that was killed at its very end
            return manifest
        if not overwrite:
            raise PreparationError(
                f"{self.out} was made from other input or settings; choose another place with -o, or replace it with --overwrite"
            )
        return None

    def part(self, key: str) -> dict[str, Any] | None:
        """The record of a finished part."""
        try:
            found: dict[str, Any] = json.loads((self.waiting / key / "record.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found

    def begin(self, key: str) -> Path:
        """An empty folder to make a part in."""
        folder = self.waiting / f"{key}.unfinished"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def finish(self, key: str, record: Mapping[str, Any]) -> None:
        """Keep the part made in the folder that `begin` gave."""
        folder = self.waiting / f"{key}.unfinished"
        write_text(folder / "record.json", json.dumps(record))
        shutil.rmtree(self.waiting / key, ignore_errors=True)
        os.replace(folder, self.waiting / key)

    def assemble(self, clips: Sequence[tuple[str, str]], tables: Mapping[str, str]) -> Task[None]:
        """Write the data set out of clips (key of the part, name) and JSON tables (file name, text), and remove what waited."""
        for left in self.out.parent.glob(f".{self.out.name}.*.part"):  # of a run that was killed while writing
            left.unlink()
        if self.zipped:
            yield from self._zip(clips, tables)
        else:
            yield from self._folder(clips, tables)
        self.discard()

    def discard(self) -> None:
        """Remove what waits."""
        shutil.rmtree(self.waiting, ignore_errors=True)

    def _zip(self, clips: Sequence[tuple[str, str]], tables: Mapping[str, str]) -> Task[None]:
        with replacing(self.out) as beside, zipfile.ZipFile(beside, "w") as written:
            for done, (key, name) in enumerate(clips):
                yield Progress("write", done, len(clips))
                for file in sorted((self.waiting / key / name).iterdir()):
                    written.writestr(_entry(f"{name}/{file.name}"), file.read_bytes())
            for name, text in tables.items():
                written.writestr(_entry(name), text)
        yield Progress("write", len(clips), len(clips))

    def _folder(self, clips: Sequence[tuple[str, str]], tables: Mapping[str, str]) -> Task[None]:
        whole, old = self.waiting / "whole", self.waiting / "old"
        shutil.rmtree(whole, ignore_errors=True)  # of a run that was killed here, perhaps with other settings
        whole.mkdir(parents=True)
        for done, (key, name) in enumerate(clips):
            yield Progress("write", done, len(clips))
            shutil.copytree(self.waiting / key / name, whole / name, copy_function=_same_file)  # the part stays whole, whatever happens
        for name, text in tables.items():
            write_text(whole / name, text)
        if self.out.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.replace(self.out, old)
        os.replace(whole, self.out)
        yield Progress("write", len(clips), len(clips))


def _same_file(source: str, target: str) -> str:
    """A second name for a file, or a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def save_frame(frame: Tensor, folder: Path, index: int, form: str, quality: int) -> None:
    """Write a frame, uint8 [H, W, 3], as `000000.jpg` or `.png`."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(frame.numpy()))
    if form == "jpg":
        image.save(folder / f"{index:06d}.jpg", "JPEG", quality=quality, subsampling=0)
    else:
        image.save(folder / f"{index:06d}.png", "PNG")


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.external_attr = 0o644 << 16
    if name.endswith(".json"):
        info.compress_type = zipfile.ZIP_DEFLATED
    return info
