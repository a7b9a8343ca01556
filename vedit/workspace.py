"""The project directory `clip.vedit/`: what projection found, the edits made since, and where renders go."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from stylegan_v.files import replacing
from vedit.errors import VeditError
from vedit.wording import check_name, named_alike

if TYPE_CHECKING:
    from stylegan_v import Generator
    from vedit.clock import Clock
    from vedit.frame_file import FrameFile
    from vedit.latents import LatentVideo

SCHEMA = 1
FRAMES = Path("stages", "crop", "frames.npy")
CONTENT = ("project.json", "latents.safetensors", "tuned.safetensors", "edits", "stages", "renders", "preview.mp4", "report.html", "report.json")
MAX_JSON = 64 << 20  # bytes: crops and times of a few hours of footage; a larger file is not ours


class WorkspaceError(VeditError, ValueError):
    """A project directory is missing, damaged, or not what was asked for."""


class GeneratorMismatch(WorkspaceError):
    """The generator of that name is not the one that the project was made with."""

    def __init__(self, name: str, wanted: str, found: str) -> None:
        super().__init__(
            f"this project was made with generator {name} of hash {wanted[:12]}, found is {found[:12]}; restore that file or project the clip again"
        )


class Workspace:
    """A project directory. `info` is the content of project.json; every write replaces a file as a whole."""

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self.path, self.info = path, info

    @classmethod
    def create(cls, path: Path) -> Workspace:
        """A new project; nothing is written before the first result, and `save` makes it one that can be opened."""
        return cls(path, {"schema": SCHEMA, "edits": []})

    @classmethod
    def open(cls, path: Path | str) -> Workspace:
        """The project at `path`; raises WorkspaceError."""
        path = Path(path)
        file = path / "project.json"
        if not path.exists():
            raise WorkspaceError(f"there is no project {path}; make one with: vedit project clip.mp4")
        if not file.is_file():
            raise WorkspaceError(f"{path} is not a finished project (it has no project.json); run vedit project again to go on")
        info = _read_json(file)
        if info.get("schema") != SCHEMA:
            raise WorkspaceError(f"{path} has project schema {info.get('schema')!r}, this vedit reads {SCHEMA}; project the clip again")
        _check(file, info)
        return cls(path, info)

    @classmethod
    def newest(cls, folder: Path | str = ".") -> Workspace:
        """The project in `folder` that was written last; raises WorkspaceError where there is none."""
        found = sorted(Path(folder).glob("*.vedit/project.json"), key=lambda file: file.stat().st_mtime)
        if not found:
            raise WorkspaceError("there is no project (*.vedit) in this folder; name one, or make one with: vedit project clip.mp4")
        return cls.open(found[-1].parent)

    @staticmethod
    def is_project(path: Path | str) -> bool:
        """Whether `path` is a project directory (finished or not)."""
        path = Path(path)
        return path.is_dir() and ((path / "project.json").is_file() or (path / "stages").is_dir())

    def generator(self, device: str = "cpu") -> Generator:
        """The generator this project was made with, ready for use; raises GeneratorMismatch where the one of that name is another."""
        from vedit.models import load_generator

        wanted = self.info["generator"]
        generator = load_generator(wanted["name"], device, label=wanted.get("class"))
        if generator.hash != wanted["hash"]:
            raise GeneratorMismatch(wanted["name"], wanted["hash"], generator.hash)
        return self.fitted(generator)

    def fitted(self, generator: Generator) -> Generator:
        """The generator as it was fitted to this clip, where it was."""
        from vedit.tuning import tuned

        wanted = self.info.get("tuned")
        if wanted is None:
            return generator
        path = self.path / "tuned.safetensors"
        difference = read_tensors(path)
        if file_hash(path) != wanted:
            raise WorkspaceError(f"{path} does not belong to this project.json (a run was killed, or a file exchanged); project the clip again")
        return tuned(generator, difference)

    def save(self) -> None:
        """Write project.json."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.path / "project.json", json.dumps(self.info, indent=1))

    def clear(self) -> None:
        """Delete what vedit keeps in the folder, but for the stages, whose keys tell what they belong to; files of others stay."""
        for name in CONTENT:
            if name == "stages":
                continue
            item = self.path / name
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink(missing_ok=True)

    def clock(self, fps: float) -> Clock:
        """The clip's clock for a generator of that frame rate."""
        from vedit.clock import Clock

        return Clock.of(self.info["times"], fps, self.info.get("held", ()))

    def source(self) -> Path:
        """The source, if it is still there and still the same; raises WorkspaceError."""
        path = Path(self.info["source"])
        # The hash of a long film takes seconds: it is asked for only where size or date have changed.
        same = path.exists() and (stat_of(path) == self.info.get("source_stat") or file_hash(path) == self.info["source_hash"])
        if not same:
            raise WorkspaceError(f"the source {path} is gone or has changed; bring it back, or project the clip again")
        return path

    def folder(self, *parts: str) -> Path:
        """A folder inside the project, made if missing."""
        folder = self.path.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def latents(self) -> LatentVideo:
        """The clip's `LatentVideo`; raises WorkspaceError where it is not the one that project.json speaks of."""
        from vedit.latents import LatentVideo

        path = self.path / "latents.safetensors"
        state = read_tensors(path)
        if file_hash(path) != self.info.get("latents"):
            raise WorkspaceError(f"{path} does not belong to this project.json (a run was killed, or a file exchanged); project the clip again")
        return LatentVideo.from_state(state)

    def save_latents(self, latents: LatentVideo, difference: Mapping[str, Tensor] | None = None) -> None:
        """Write the latents and the tuned generator's difference, if there is one, and with their hashes project.json."""
        self.path.mkdir(parents=True, exist_ok=True)
        path, tuned = self.path / "latents.safetensors", self.path / "tuned.safetensors"
        write_tensors(path, latents.state())
        self.info["latents"] = file_hash(path)
        if difference is None:
            self.info.pop("tuned", None)
        else:
            write_tensors(tuned, difference)
            self.info["tuned"] = file_hash(tuned)
        self.save()
        if difference is None:  # of an earlier run; project.json speaks of it no more
            tuned.unlink(missing_ok=True)

    def frames(self) -> FrameFile:
        """The cropped source, uint8 [T, H, W, 3], at the generator's size; raises FrameFileError where the file is missing or damaged."""
        from vedit.frame_file import FrameFile

        return FrameFile(self.path / FRAMES)

    # -- edits ---------------------------------------------------------------------------------------------------------

    def list_edits(self) -> list[str]:
        """Names of the edits in the order in which they apply."""
        return [str(name) for name in self.info.get("edits", [])]

    def has_edit(self, name: str) -> bool:
        """Whether an edit of this name exists."""
        return name in self.list_edits()

    def load_edit(self, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What edit.json and direction.safetensors hold; raises WorkspaceError for a name that does not exist."""
        self._require_edit(name)
        folder = self._edit_folder(name)
        return {**_read_json(folder / "edit.json"), "name": name}, read_tensors(folder / "direction.safetensors")

    def save_edit(self, name: str, data: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Write an edit, new (last in order) or in place of the one of that name.

        Raises EditError for what can be no name, WorkspaceError where another edit's differs in case alone.
        """
        if not self.has_edit(name):
            self._require_free(name)
        self._write_edit(name, data, tensors)
        if not self.has_edit(name):
            self.info.setdefault("edits", []).append(name)
        self.save()

    def _write_edit(self, name: str, data: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        folder = self._edit_folder(name)
        beside, old = (self.folder("edits") / f".{uuid.uuid4().hex}" for _ in range(2))
        beside.mkdir()
        try:
            write_tensors(beside / "direction.safetensors", tensors)
            write_text(beside / "edit.json", json.dumps(data, indent=1))
            if folder.exists():
                os.replace(folder, old)
            os.replace(beside, folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)

    def remove_edit(self, name: str) -> None:
        """Delete an edit."""
        self._require_edit(name)
        self.info["edits"].remove(name)
        self.save()
        shutil.rmtree(self._edit_folder(name), ignore_errors=True)

    def rename_edit(self, name: str, new: str) -> None:
        """Give an edit another name, in its place; raises WorkspaceError if that is taken, EditError if it can be no name.

        One write of project.json changes the name: killed before, the edit has the old one, killed after, the new one.
        """
        self._require_edit(name)
        self._require_free(new, but="" if new == name else name)
        data, tensors = self.load_edit(name)
        data["name"] = new
        folder, renamed = self._edit_folder(name), self._edit_folder(new)
        one = _one_folder(folder, renamed)
        if one:
            os.replace(folder, renamed)
            write_text(renamed / "edit.json", json.dumps(data, indent=1))
        else:
            self._write_edit(new, data, tensors)
        edits = self.info["edits"]
        edits[edits.index(name)] = new
        self.save()
        if not one:
            shutil.rmtree(folder, ignore_errors=True)

    def move_edit(self, name: str, position: int) -> None:
        """Put an edit at a place (0 is first) in the order of application."""
        self._require_edit(name)
        if not 0 <= position < len(self.info["edits"]):
            raise WorkspaceError(f"position {position} is not one of 0 to {len(self.info['edits']) - 1}")
        self.info["edits"].remove(name)
        self.info["edits"].insert(position, name)
        self.save()

    def _edit_folder(self, name: str) -> Path:
        return self.path / "edits" / check_name(name)

    def _require_free(self, name: str, but: str = "") -> None:
        """Raise WorkspaceError where an edit is called alike, `but` for that one."""
        if alike := named_alike(name, (other for other in self.list_edits() if other != but)):
            raise WorkspaceError(f"an edit named {alike!r} exists already; choose another name or remove it first")

    def _require_edit(self, name: str) -> None:
        if not self.has_edit(name):
            known = ", ".join(self.list_edits()) or "none yet"
            raise WorkspaceError(f"this project has no edit {name!r}; it has: {known}")


def _check(file: Path, info: dict[str, Any]) -> None:
    """Raise WorkspaceError unless project.json has what a finished project has: it may come from anywhere."""
    try:
        times = np.asarray(info["times"], dtype=np.float64)
        crops = np.asarray(info["crops"], dtype=np.float64)
        good = times.ndim == 1 and len(times) > 0 and bool(np.isfinite(times).all()) and bool((np.diff(times) > 0).all())
        good = good and times[0] <= float(info["end"]) < float("inf") and crops.shape == (len(times), 2, 3) and bool(np.isfinite(crops).all())
        good = good and bool((np.abs(np.linalg.det(crops[:, :, :2])) > 1e-6).all())
        good = good and all(isinstance(info["generator"][key], str) for key in ("name", "hash"))
        good = good and all(isinstance(info[key], str) for key in ("source", "source_hash"))
        good = good and all(type(index) is int and 0 < index < len(times) for index in info.get("held", ()))
        good = good and ("size" not in info or (len(info["size"]) == 2 and all(type(side) is int and side > 0 for side in info["size"])))
        good = good and {"start", "duration", "fps"} <= set(info["settings"])
        for name in info["edits"]:
            check_name(name)
    except (KeyError, TypeError, ValueError) as error:
        raise WorkspaceError(f"{file} is damaged ({type(error).__name__}: {error}); project the clip again") from None
    if not good:
        raise WorkspaceError(f"{file} is damaged (times, crops, generator, source or settings make no sense); project the clip again")


def _one_folder(folder: Path, other: Path) -> bool:
    """Whether two paths lead to one folder: they do where names differ in case alone and the file system does not tell that."""
    return folder.exists() and other.exists() and folder.samefile(other)


def write_text(path: Path, text: str) -> None:
    """Write a text file beside `path` and rename it there."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors beside `path` and rename them there."""
    from safetensors.torch import save_file

    with replacing(path) as beside:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, beside)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; raises WorkspaceError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise WorkspaceError(f"the project lacks {path.name} ({path}); project the clip again") from None
    except (SafetensorError, OSError) as error:
        raise WorkspaceError(f"{path} is damaged ({error}); project the clip again") from None


def stat_of(path: Path) -> list[int]:
    """Size in bytes and time of the last change in nanoseconds."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes; of names and bytes of everything in a folder."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    digest = hashlib.sha256()
    for file in files:
        if file != path:
            digest.update(str(file.relative_to(path)).encode() + b"\0")
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if (size := path.stat().st_size) > MAX_JSON:
            raise WorkspaceError(f"{path} has {size} bytes, more than any project needs; it is not read")
        data = json.loads(path.read_text(encoding="utf-8"))
    except WorkspaceError:
        raise
    except FileNotFoundError:
        raise WorkspaceError(f"{path} is missing; project the clip again") from None
    except (ValueError, OSError, RecursionError) as error:
        raise WorkspaceError(f"{path} is damaged ({error}); project the clip again") from None
    if not isinstance(data, dict):
        raise WorkspaceError(f"{path} holds no table; project the clip again")
    return data
