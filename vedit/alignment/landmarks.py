"""68 landmarks by face-alignment's FAN (Bulat and Tzimiropoulos 2017), where its weights are at hand; five points are taken from them."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vedit import models
from vedit.alignment.faces import Face

Box = NDArray[np.float64]  # left, top, right, bottom and score, in the picture's pixels
Boxes = Callable[[NDArray[np.uint8]], list[Box]]

FAN = "2dfan4"
SURE = 0.5  # of the package's own detectors


def installed() -> bool:
    """Whether package and landmark network are on this machine."""
    return find_spec("face_alignment") is not None and models.locate(FAN) is not None


def load(other: Boxes) -> Callable[[NDArray[np.uint8]], list[Face]]:
    """Faces of small pictures, uint8 [H, W, 3] RGB: boxes by S3FD or BlazeFace where their weights are at hand, else by `other`.

    The package is told its device and not to compile: by itself it wants CUDA, and compiles for a minute and a half.
    """
    import face_alignment

    with _hub(FAN, "s3fd"):
        network = face_alignment.FaceAlignment(
            face_alignment.LandmarksType.TWO_D, device="cpu", flip_input=False, compile=False, **_box_detector()
        )
    boxes = other if type(network.face_detector).__name__ == "FolderDetector" else _boxes_of(network.face_detector)

    def detect(image: NDArray[np.uint8]) -> list[Face]:
        found = boxes(image)
        if not found:
            return []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package's remarks about itself
            points = network.get_landmarks_from_image(np.ascontiguousarray(image), detected_faces=found)
        return [_face(box, each) for box, each in zip(found, points or [], strict=False)]

    return detect


def five(points: NDArray[Any]) -> NDArray[np.float64]:
    """Eyes, the nose's tip and the mouth's corners, [5, 2], of 68 landmarks [68, 2] in the order of the 300-W data set."""
    eyes = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    return np.stack([*eyes, points[30], points[48], points[54]]).astype(np.float64)


def _face(box: Box, points: NDArray[Any]) -> Face:
    left, top, right, bottom, score = (float(value) for value in box)
    return Face((left, top, right - left, bottom - top), five(points), min(score, 1.0))


def _box_detector() -> dict[str, Any]:
    """Which of the package's detectors to use, and its weights; `folder` is the one that only takes boxes found elsewhere."""
    if path := models.locate("s3fd"):
        return {"face_detector": "sfd", "face_detector_kwargs": {"path_to_detector": str(path)}}
    weights, anchors = models.locate("blazeface"), models.locate("blazeface-anchors")
    if weights and anchors:
        return {"face_detector": "blazeface", "face_detector_kwargs": {"path_to_detector": str(weights), "path_to_anchor": str(anchors)}}
    return {"face_detector": "folder"}


def _boxes_of(detector: Any) -> Boxes:
    def boxes(image: NDArray[np.uint8]) -> list[Box]:
        found = detector.detect_from_image(np.ascontiguousarray(image))
        return [np.asarray(box, dtype=np.float64)[[0, 1, 2, 3, -1]] for box in found if float(box[-1]) >= SURE]

    return boxes


@contextmanager
def _hub(*names: str) -> Iterator[None]:
    """Let torch.hub find these models where the registry has them: the package looks for files of fixed names there."""
    import torch

    before = torch.hub.get_dir()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "checkpoints")
        place.mkdir()
        for path in filter(None, map(models.locate, names)):
            try:
                (place / path.name).symlink_to(path.resolve())
            except OSError:  # a system that lets no ordinary user make links
                shutil.copy(path, place / path.name)
        torch.hub.set_dir(folder)
        try:
            yield
        finally:
            torch.hub.set_dir(before)
