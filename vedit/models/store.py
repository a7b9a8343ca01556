"""Finding a model's file: along VEDIT_MODEL_PATH, then in the caches, then from upstream."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vedit.errors import VeditError
from vedit.models.download import download, sha256_of
from vedit.models.registry import MEBIBYTE, MODELS, Model, ModelFile, get
from vedit.progress import Progress, Task, finish

ASSETS = Path(__file__).resolve().parent.parent / "assets"
MAX_HEADER = 16 << 20  # bytes; the largest network's is some 30 kB
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class MissingModel(VeditError, FileNotFoundError):
    """A known model is not on this machine and cannot, or must not, be fetched."""

    def __init__(self, model: Model, reason: str) -> None:
        names = " or ".join(file.name for file in model.files)
        looked = ", ".join(str(folder) for folder in ([ASSETS] if model.built_in else search_path()))
        file = model.download
        if model.built_in:
            remedy = "it ships with vedit: install vedit again"
        elif file is None:
            remedy = f"put {names} into {cache_dir()}"
        else:
            size = f" ({file.bytes / MEBIBYTE:.0f} MB)" if file.bytes else ""
            remedy = f"fetch {file.url}{size} and put it into {cache_dir()} or a folder named in VEDIT_MODEL_PATH"
        super().__init__(f"model {model.name} ({names}) is not on this machine and {reason}; looked in {looked}; {remedy}")


@dataclass(frozen=True)
class Verification:
    """Whether the file found for a model is the one that was published."""

    model: Model
    path: Path | None
    state: Literal["right", "wrong", "unknown", "missing"]  # unknown: nobody has stated this file's hash


def offline() -> bool:
    """Whether VEDIT_OFFLINE forbids the network."""
    return os.environ.get("VEDIT_OFFLINE", "") not in ("", "0")


def cache_dir() -> Path:
    """Folder that fetched models go to: `$XDG_CACHE_HOME/vedit/models`, by default under `~/.cache`."""
    return _cache_home() / "vedit" / "models"


def frames_dir() -> Path:
    """Folder of frames that need not be rendered again: `vedit/frames` in the user's cache."""
    return _cache_home() / "vedit" / "frames"


def features_dir() -> Path:
    """Folder of features of real clips that metrics need not compute again: `vedit/features` in the user's cache."""
    return _cache_home() / "vedit" / "features"


def checked_dir() -> Path:
    """Folder that tells which data sets were read through and found whole: `vedit/checked` in the user's cache."""
    return _cache_home() / "vedit" / "checked"


def search_path() -> list[Path]:
    """Folders that are searched, in order: those of VEDIT_MODEL_PATH, vedit's cache, torch's own cache of weights."""
    named = [Path(folder).expanduser() for folder in os.environ.get("VEDIT_MODEL_PATH", "").split(os.pathsep) if folder]
    torch_home = os.environ.get("TORCH_HOME")
    torch_cache = Path(torch_home).expanduser() if torch_home else _cache_home() / "torch"
    return [*named, cache_dir(), torch_cache / "hub" / "checkpoints"]


def locate(name: str) -> Path | None:
    """Where the model `name` lies on this machine, None where it does not; never touches the network. Raises UnknownModel."""
    model = get(name)
    found = _locate_file(model)
    return found[1] if found else None


def find(name: str) -> Path:
    """Where the model `name` lies, fetched from upstream if need be. Raises UnknownModel, MissingModel and download errors."""
    return finish(pull(name))


def pull(name: str) -> Task[Path]:
    """The same as `find`, telling how far a download is."""
    model = get(name)
    if (found := _locate_file(model)) is not None:
        return found[1]
    if model.download is None:
        raise MissingModel(model, "there is no address to fetch it from")
    if offline():
        raise MissingModel(model, "VEDIT_OFFLINE forbids fetching it")
    path = yield from download(model.download, cache_dir() / model.download.name)
    return path


def verify() -> Task[list[Verification]]:
    """Hash every known model that is on this machine and compare with what was published."""
    results = []
    for done, model in enumerate(MODELS):
        yield Progress("verify", done, len(MODELS), model.name)
        found = _locate_file(model)
        results.append(Verification(model, *_verify_file(*found)) if found else Verification(model, None, "missing"))
    yield Progress("verify", len(MODELS), len(MODELS))
    return results


def local_generators() -> Iterator[tuple[str, Path]]:
    """Name and path of every generator that `-g NAME` finds: the built-in ones, then those of the search path.

    A generator is a safetensors file whose metadata says so; the first of a name wins.
    """
    seen: set[str] = set()
    for folder in (ASSETS, *search_path()):
        for path in sorted(folder.glob("*.safetensors")):
            if path.stem not in seen and _metadata(path).get("kind") == "generator":
                seen.add(path.stem)
                yield path.stem, path


def plain_name(name: str) -> bool:
    """Whether `name` names something and leads nowhere: no slash, no leading dot, nothing a shell or file system reads twice.

    >>> plain_name("portraits-2"), plain_name("../secrets"), plain_name("")
    (True, False, False)
    """
    return _PLAIN_NAME.fullmatch(name) is not None


def _metadata(path: Path) -> dict[str, Any]:
    """The metadata of a safetensors file, empty where it cannot be read: eight bytes of length, then JSON. Needs no torch."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= MAX_HEADER else {}
        metadata = header.get("__metadata__", {})
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def _cache_home() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) if given and Path(given).is_absolute() else Path.home() / ".cache"


def _locate_file(model: Model) -> tuple[ModelFile, Path] | None:
    folders = [ASSETS] if model.built_in else search_path()
    for folder in folders:
        for file in model.files:
            if (folder / file.name).exists():
                return file, folder / file.name
    return None


def _verify_file(file: ModelFile, path: Path) -> tuple[Path, Literal["right", "wrong", "unknown"]]:
    if not file.sha256:
        return path, "unknown"
    return path, "right" if sha256_of(path).startswith(file.sha256) else "wrong"
