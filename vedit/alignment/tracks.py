"""From faces found now and then to one steady, smooth square: choosing a face, bridging gaps, smoothing over time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vedit.alignment.faces import Face
from vedit.worlds.portraits import REFERENCE_LANDMARKS

SMOOTHING = 1.0  # seconds: standard deviation of the Gaussian over centre, logarithm of the size, and angle
GRID = 25.0  # values per second that are smoothed
# A crop that would move by no more than this stands still, so that all motion stays in the picture: shares of its side, radians.
STILL_CENTRE, STILL_SIZE, STILL_ANGLE = 0.12, 0.12, 0.12

Array = NDArray[np.float64]


@dataclass
class Track:
    """One face over time: when it was seen, and as which square [x, y, ln(side), angle]."""

    times: list[float] = field(default_factory=list)
    squares: list[Array] = field(default_factory=list)

    def near(self, square: Array) -> bool:
        """Whether a square can be the same face as the last one: its centre within half a side, its size within 1.6 times."""
        last = self.squares[-1]
        apart = float(np.hypot(*(square[:2] - last[:2])))
        return apart < 0.5 * float(np.exp(last[2])) and abs(float(square[2] - last[2])) < np.log(1.6)

    def distance(self, x: float, y: float) -> float:
        """How near its centre ever came to a point, in its sides."""
        return float(min(np.hypot(square[0] - x, square[1] - y) / np.exp(square[2]) for square in self.squares))

    @property
    def centre(self) -> tuple[int, int]:
        """Where it was first seen, in whole pixels."""
        return round(float(self.squares[0][0])), round(float(self.squares[0][1]))

    @property
    def presence(self) -> float:
        """Sum of its sides: a large face that stays wins over a larger one that passes."""
        return float(np.exp([square[2] for square in self.squares]).sum())


class Tracker:
    """Sorts the faces of successive pictures into tracks."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.looked = 0
        self.seen = 0

    def add(self, time: float, faces: list[Face]) -> None:
        """Count the faces found at a time, seconds, in."""
        self.looked += 1
        self.seen += bool(faces)
        free = list(self.tracks)
        for face in sorted(faces, key=lambda face: -face.box[2] * face.box[3]):
            square = square_of(face.landmarks)
            fitting = [track for track in free if track.near(square)]
            if fitting:
                track = max(fitting, key=lambda track: (track.times[-1], track.presence))
                free.remove(track)
            else:
                track = Track()
                self.tracks.append(track)
            track.times.append(time)
            track.squares.append(square)

    def best(self) -> Track | None:
        """The largest face that stays."""
        return max(self.tracks, key=lambda track: track.presence, default=None)

    def at(self, x: float, y: float) -> Track | None:
        """The face that was once within half a side of a point of the picture, nearest to it."""
        best = min(self.tracks, key=lambda track: track.distance(x, y), default=None)
        return best if best is not None and best.distance(x, y) <= 0.5 else None

    def staying(self) -> list[Track]:
        """The faces that could be meant: seen in a third of the pictures in which the longest was, and at least twice."""
        longest = max((len(track.times) for track in self.tracks), default=0)
        return [track for track in self.tracks if len(track.times) >= max(2, longest / 3)]


def square_of(landmarks: Array) -> Array:
    """The square [x, y, ln(side), angle] whose reference landmarks lie on these [5, 2]: least squares over similarities.

    Umeyama 1991 without reflections, as a complex number per point: landmarks = scale · reference + shift.
    """
    reference = np.array(REFERENCE_LANDMARKS) - 0.5
    source = reference[:, 0] + 1j * reference[:, 1]
    target = landmarks[:, 0] + 1j * landmarks[:, 1]
    centred = source - source.mean()
    turn = (centred.conj() * (target - target.mean())).sum() / (centred.conj() * centred).sum()
    centre = target.mean() - turn * source.mean()
    return np.array([centre.real, centre.imag, np.log(max(abs(turn), 1e-6)), np.angle(turn)])


def matrices_of(squares: Array) -> Array:
    """Squares [T, 4] as crop matrices [T, 2, 3]."""
    side = np.exp(squares[:, 2])
    cos, sin = side * np.cos(squares[:, 3]), side * np.sin(squares[:, 3])
    x = squares[:, 0] - (cos - sin) / 2
    y = squares[:, 1] - (sin + cos) / 2
    return np.stack([np.stack([cos, -sin, x], axis=-1), np.stack([sin, cos, y], axis=-1)], axis=1)


def smooth(track: Track, times: Array) -> Array:
    """A track's squares [T, 4] at all `times`: gaps bridged by straight lines, ends held, then smoothed by SMOOTHING.

    Where the smoothed square hardly moves its median takes its place for the whole clip.
    """
    found = np.stack(track.squares)
    found[:, 3] = np.unwrap(found[:, 3])
    found = ndimage.median_filter(found, size=(3, 1), mode="nearest")  # a single wrong detection
    seen = np.array(track.times)
    grid = np.arange(times.min(), times.max() + 1 / GRID, 1 / GRID)
    dense = np.stack([np.interp(grid, seen, column) for column in found.T], axis=1)
    dense = ndimage.gaussian_filter1d(dense, SMOOTHING * GRID, axis=0, mode="nearest")
    middle = np.median(dense, axis=0)
    moved = np.abs(dense - middle).max(axis=0)
    side = float(np.exp(middle[2]))
    if max(moved[:2]) <= STILL_CENTRE * side and moved[2] <= STILL_SIZE and moved[3] <= STILL_ANGLE:
        return np.tile(middle, (len(times), 1))
    return np.stack([np.interp(times, grid, column) for column in dense.T], axis=1)
