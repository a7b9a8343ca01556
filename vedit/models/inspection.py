"""What a model file says of itself, read without building the model."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from vedit.errors import VeditError


class NotAModel(VeditError, ValueError):
    """A file is no safetensors file."""


def describe(path: Path) -> dict[str, Any]:
    """Size, number of parameters, tensor types and metadata of a safetensors file; JSON in the metadata is parsed.

    Raises NotAModel, and OSError where the file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    refuse_pickle(path)
    with path.open("rb"):
        pass  # the usual OSError where it cannot be read
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}
            metadata = dict(file.metadata() or {})
            shapes = {name: list(part.get_shape()) for name, part in slices.items()}
            types = sorted({str(part.get_dtype()) for part in slices.values()})
    except SafetensorError as error:
        raise NotAModel(f"{path} is no safetensors file ({error}); `vedit models list` shows the models there are") from error
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "tensors": len(shapes),
        "parameters": sum(map(math.prod, shapes.values())),
        "types": types,
        **{key: _parsed(value) for key, value in metadata.items()},
    }


def refuse_pickle(path: Path) -> None:
    """Raise NotAModel, which says what to do, for a pickle: official snapshots are some."""
    if path.suffix.lower() in (".pkl", ".pickle"):
        raise NotAModel(f"{path} is a pickle, which is never opened as it stands; `vedit models import {path} -o NAME.safetensors` reads it safely")


def _parsed(text: str) -> Any:
    if text[:1] in "{[":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text
