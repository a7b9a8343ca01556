"""From a decoded frame to upright RGB pixels: colour matrix and range, transparency, pixel shape, rotation and mirroring."""

from __future__ import annotations

import warnings
from fractions import Fraction
from typing import cast

import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from vedit.video.info import Pixels, VideoError, VideoWarning

MAX_PIXELS = 1 << 28
"""No picture may have more pixels than this (16384 × 16384): a small damaged file can claim any size."""

UNTAGGED_BT709_LINES = 720
"""A file that does not say which colour matrix it uses is taken for bt709 from this height on, for bt601 below."""

WHITE, BLACK = 255, 0
"""What lies under transparency: pictures are seen over white; of a mask, what is transparent is outside."""

_UNTAGGED = 2  # AVCOL_SPC_UNSPECIFIED
_HDR_CURVES = {16: "PQ", 18: "HLG"}  # AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67
_ALPHA = ("yuva", "rgba", "argb", "bgra", "abgr", "gbrap", "ya8", "ya16")
# Without these two flags swscale takes a fast path that is one level wrong on average and repeats the chroma of the pixel beside.
_EXACT = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT

Orientation = tuple[bool, bool, bool]
"""What a display matrix asks for: swap rows and columns, then mirror left-right, then mirror up-down."""


def orientation(matrix: bytes | None) -> Orientation:
    """Read a display matrix (nine native int32: a b u, c d v, x y w), which maps (x, y) to (a x + c y, b x + d y), y downwards.

    Only right angles can be shown exactly; others are rounded to the nearest. None means upright.

    >>> orientation(
    ...     np.array([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30], np.int32).tobytes()
    ... )  # a quarter turn clockwise
    (True, True, False)
    """
    if matrix is None or len(matrix) < 36:
        return False, False, False
    a, b, _, c, d = np.frombuffer(matrix, np.int32, 5).tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, c < 0, b < 0
    return False, a < 0, d < 0


def turn(image: Pixels, turned: Orientation) -> Pixels:
    """Apply an orientation to an image [H, W, 3]."""
    swap, mirror, flip = turned
    if swap:
        image = image.transpose(1, 0, 2)
    if mirror:
        image = image[:, ::-1]
    if flip:
        image = image[::-1]
    return np.ascontiguousarray(image)


def square_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """The size at which pixels are square: the longer side of a pixel is kept, the picture only ever grows.

    >>> square_size(720, 576, Fraction(16, 15)), square_size(720, 480, Fraction(8, 9)), square_size(64, 64, None)
    ((768, 576), (720, 540), (64, 64))
    """
    if not aspect or aspect <= 0 or aspect == 1:
        return width, height
    if not Fraction(1, 8) <= aspect <= 8:
        warnings.warn(
            f"pixels of the shape {aspect} are taken for square: no camera makes them", VideoWarning, stacklevel=2
        )
        return width, height
    if aspect > 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def laid_over(rgba: Pixels, ground: int = WHITE) -> Pixels:
    """Lay pictures with transparency, uint8 [H, W, 4], over a grey: WHITE or BLACK."""
    alpha = rgba[..., 3:]
    if alpha.min(initial=255) == 255:
        return np.ascontiguousarray(rgba[..., :3])
    weight = alpha.astype(np.float32) / 255
    return (rgba[..., :3] * weight + ground * (1 - weight)).round().astype(np.uint8)


class Picture:
    """Turns decoded frames of one stream into upright RGB images of one size, that of the first frame, transparency over `ground`."""

    def __init__(self, name: str, aspect: Fraction | None, ground: int = WHITE) -> None:
        self.name = name
        self.aspect = aspect
        self.ground = ground
        self.size: tuple[int, int] | None = None  # width, height before turning
        self._reformatter = VideoReformatter()  # one for the whole stream: setting it up costs more than using it
        self._warned: set[str] = set()

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            warnings.warn(f"{self.name}: {message}", VideoWarning, stacklevel=4)

    def __call__(self, frame: VideoFrame) -> Pixels:
        """One frame as uint8 [H, W, 3] RGB, upright, with square pixels; VideoError when it is too large."""
        if frame.width * frame.height > MAX_PIXELS:
            raise VideoError(
                f"{self.name} has frames of {frame.width}×{frame.height}; at most {MAX_PIXELS} pixels are read"
            )
        size = square_size(frame.width, frame.height, self.aspect)
        if self.size is None:
            self.size = size
        elif size != self.size:
            self._warn_once(
                f"the picture's size changes; all frames are shown at the first one's, {self.size[0]}×{self.size[1]}"
            )
        if frame.color_trc in _HDR_CURVES:
            self._warn_once(
                f"high dynamic range ({_HDR_CURVES[frame.color_trc]}) is read without tone mapping; colours will look pale"
            )
        return turn(self._rgb(frame, self.size), orientation(self._matrix(frame)))

    def _matrix(self, frame: VideoFrame) -> bytes | None:
        data = frame.side_data.get(SideDataType.DISPLAYMATRIX.name)
        return None if data is None else bytes(cast("bytes", data))

    def _rgb(self, frame: VideoFrame, size: tuple[int, int]) -> Pixels:
        transparent = frame.format.name.startswith(_ALPHA)
        # swscale takes an untagged matrix for bt601, whatever the size.
        untagged = frame.colorspace == _UNTAGGED and frame.height >= UNTAGGED_BT709_LINES
        matrix = Colorspace.ITU709 if untagged else None
        converted = self._reformatter.reformat(
            frame,
            width=size[0],
            height=size[1],
            format="rgba" if transparent else "rgb24",
            src_colorspace=matrix,
            interpolation=_EXACT
            | (Interpolation.BILINEAR if size == (frame.width, frame.height) else Interpolation.BICUBIC),
            threads=1,
        )
        array = cast("Pixels", converted.to_ndarray())
        return laid_over(array, self.ground) if transparent else array
