"""What this machine has and lacks: rows that say what was found and, where something is amiss, what to do."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vedit import models

State = Literal["ok", "note", "bad"]
WANTED_FREE = 2 << 30  # bytes: a project with its renders and a download stay well below


@dataclass(frozen=True)
class Check:
    """One finding: `note` costs speed or an extra, `bad` makes commands fail; `remedy` is what to do, empty where nothing is."""

    name: str
    state: State
    found: str
    remedy: str = ""


def examine() -> Iterator[Check]:
    """Look at everything that vedit relies on, one row after the other; never raises for what it finds, never uses the network."""
    checks: tuple[Callable[[], Iterator[Check]], ...] = (
        _python, _torch, _torchvision, _video, _opencv, _text_image, _optional, _models, _cache, _disk,
    )  # fmt: skip
    for check in checks:
        yield from check()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _python() -> Iterator[Check]:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    good = sys.version_info >= (3, 11)
    yield Check("python", "ok" if good else "bad", found, "" if good else "install Python 3.11 or newer")


def _torch() -> Iterator[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check("torch", "bad", str(error), "run `pip install -c constraints.txt -e .`")
        return
    from vedit.devices import pick_device, pick_precision  # imports torch

    yield Check("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / (1 << 30)
        yield Check("device", "ok", f"cuda: {torch.cuda.get_device_name(0)}, {memory:.0f} GB")
    elif torch.backends.mps.is_available():
        yield Check("device", "ok", "mps")
    else:
        yield Check("device", "note", "cpu only", "everything works; a GPU makes it 10 to 100 times faster")
    if pick_precision("auto", pick_device()) == torch.bfloat16:
        yield Check("bfloat16", "ok", "in hardware")
    else:
        yield Check("bfloat16", "note", "not in hardware", "--precision fp32 is as fast here")


def _torchvision() -> Iterator[Check]:
    from vedit.compat import import_torchvision

    try:
        module = import_torchvision()
    except (ImportError, OSError, RuntimeError) as error:
        yield Check("torchvision", "bad", str(error).splitlines()[0], "install the version of constraints.txt")
        return
    yield Check("torchvision", "ok", str(module.__version__))


def _video() -> Iterator[Check]:
    try:
        import av
    except (ImportError, OSError) as error:
        yield Check("av", "bad", str(error), "run `pip install -c constraints.txt av`")
        return
    from vedit.video.codecs import CODECS  # imports av

    yield Check("av", "ok", av.__version__)
    for codec, encoder in ((codec.name, codec.encoder) for codec in CODECS.values()):
        have = encoder in av.codecs_available and _can_encode(encoder)
        state: State = "ok" if have else "bad" if codec == "h264" else "note"
        yield Check(f"codec {codec}", state, encoder if have else f"no {encoder}", "" if have else f"--codec {codec} cannot be used here")


def _can_encode(encoder: str) -> bool:
    import av

    try:
        av.Codec(encoder, "w")
    except (ValueError, OSError):
        return False
    return True


def _opencv() -> Iterator[Check]:
    have = [name for name in ("opencv-python", "opencv-python-headless") if _version(name) != "not installed"]
    if len(have) == 2:
        yield Check("opencv", "bad", "opencv-python and opencv-python-headless", "`pip uninstall` both, then install opencv-python alone")
        return
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        slim = "libGL" in str(error) or "libgthread" in str(error)
        remedy = "install the system's libGL and libglib (Debian: apt-get install libgl1 libglib2.0-0)"
        yield Check("opencv", "bad", str(error), remedy if slim else "run `pip install -c constraints.txt opencv-python`")
        return
    yield Check("opencv", "ok", str(cv2.__version__))


def _text_image() -> Iterator[Check]:
    version = _version("open_clip_torch")
    good = version != "not installed"
    yield Check("open_clip", "ok" if good else "bad", version, "" if good else "run `pip install -c constraints.txt open_clip_torch`")


def _optional() -> Iterator[Check]:
    uses = {
        "face-alignment": "faces are found by the carried detector; `pip install 'vedit[face]'` for 68 landmarks",
        "scenedetect": "`vedit data prepare` wants --no-scenes; `pip install 'vedit[scenes]'` to cut films into scenes",
        "tensorboard": "training writes log.jsonl, sheets and videos alone; `pip install 'vedit[watch]'` for curves",
        "torch-fidelity": "`vedit metrics` has no Inception features; `pip install 'vedit[metrics]'`, and `vedit models info` for their weights",
    }
    for package, without in uses.items():
        version = _version(package)
        missing = version == "not installed"
        yield Check(package, "note" if missing else "ok", version, without if missing else "")


def _models() -> Iterator[Check]:
    for model in models.MODELS:
        path = models.locate(model.name)
        if path is not None:
            yield Check(f"model {model.name}", "ok", "built in" if model.built_in else str(path))
        elif model.built_in:
            yield Check(f"model {model.name}", "bad", f"missing from {models.ASSETS}", "install vedit again")
        else:
            remedy = f"for {model.purpose}" + (f": vedit models pull {model.name}" if model.download else "")
            yield Check(f"model {model.name}", "note", "not on this machine", remedy)
    if models.offline():
        yield Check("network", "note", "VEDIT_OFFLINE is set", "nothing is fetched; unset it to allow that")


def _cache() -> Iterator[Check]:
    folder = models.cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = "make it writable or point XDG_CACHE_HOME elsewhere"
        yield Check("cache", "bad", f"{folder}: {error.strerror}", remedy)
        return
    yield Check("cache", "ok", str(folder))


def _disk() -> Iterator[Check]:
    for name, folder in (("disk here", Path.cwd()), ("disk of the cache", models.cache_dir())):
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        found = f"{free / (1 << 30):.1f} GB free"
        yield Check(name, "ok" if free >= WANTED_FREE else "note", found, "" if free >= WANTED_FREE else "renders may not fit")
