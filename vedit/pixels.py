"""Between float frames in [-1, 1], as networks see them, and uint8 pixels, as files and people do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from stylegan_v.files import replacing
from vedit.errors import VeditError

if TYPE_CHECKING:
    from collections.abc import Mapping


PANEL = 256  # pixels: the least height at which frames of small generators are shown


class PixelsError(VeditError, ValueError):
    """Pixels of a shape, type or place that cannot be used; one line says what was found and what is wanted."""


def to_pixels(frames: Tensor) -> Tensor:
    """Map frames in [-1, 1], [T, 3, H, W], to uint8 pixels, [T, H, W, 3]; values outside are clamped.

    >>> to_pixels(torch.tensor([-1.0, 0.0, 2.0]).reshape(1, 3, 1, 1)).flatten().tolist()
    [0, 128, 255]
    """
    return frames.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def from_pixels(pixels: Tensor | NDArray[np.uint8], device: torch.device | str | None = None) -> Tensor:
    """Map uint8 pixels, [T, H, W, 3] or [H, W, 3], to float frames in [-1, 1], [T, 3, H, W] or [3, H, W].

    >>> from_pixels(np.array([[[0, 51, 255]]], dtype=np.uint8)).flatten().tolist()
    [-1.0, -0.6000000238418579, 1.0]
    """
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)) if isinstance(pixels, np.ndarray) else pixels
    if tensor.dtype != torch.uint8 or tensor.ndim not in (3, 4) or tensor.shape[-1] != 3:
        raise PixelsError(
            f"found {tensor.dtype} {list(tensor.shape)}; uint8 pixels [T, H, W, 3] or [H, W, 3] are wanted"
        )
    return tensor.to(device).movedim(-1, -3).float().div(127.5).sub(1)


def enlarge(frames: Tensor, least: int = PANEL) -> Tensor:
    """Frames [T, 3, H, W] at least `least` pixels high, by a whole factor, so that small generators can be looked at."""
    factor = max(1, -(-least // frames.shape[-2]))
    if factor == 1:
        return frames
    return interpolate(frames, scale_factor=factor, mode="bicubic", align_corners=False).clamp(-1, 1)


def tile(pixels: Tensor | NDArray[np.uint8], columns: int | None = None, gap: int = 0) -> NDArray[np.uint8]:
    """Lay N pictures, uint8 [N, H, W, 3], out in rows of `columns` (default: a square), `gap` white pixels between them.

    Returns one picture, uint8 [H', W', 3]; places that are left over are white.

    >>> tile(np.zeros((3, 4, 5, 3), np.uint8), columns=2, gap=1).shape
    (9, 11, 3)
    """
    array = pixels.cpu().numpy() if isinstance(pixels, Tensor) else np.asarray(pixels)
    if array.ndim != 4 or array.shape[-1] != 3 or array.dtype != np.uint8 or not len(array):
        raise PixelsError(f"found {array.dtype} {list(array.shape)}; at least one uint8 picture [N, H, W, 3] is wanted")
    count, height, width, _ = array.shape
    columns = columns or math.ceil(math.sqrt(count))
    if columns < 1 or gap < 0:
        raise PixelsError(
            f"found {columns} columns and a gap of {gap}; at least one column and no negative gap are wanted"
        )
    rows = math.ceil(count / columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, picture in enumerate(array):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def save_png(path: str | Path, pixels: Tensor | NDArray[np.uint8], text: Mapping[str, str] | None = None) -> Path:
    """Write one picture, uint8 [H, W, 3], as a PNG, with `text` as its comments; written beside and renamed."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    array = pixels.cpu().numpy() if isinstance(pixels, Tensor) else np.asarray(pixels)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] != 3:
        raise PixelsError(f"found {array.dtype} {list(array.shape)}; one uint8 picture [H, W, 3] is wanted")
    comments = PngInfo()
    for key, value in (text or {}).items():
        comments.add_text(key, value)
    target = Path(path)
    try:
        with replacing(target) as beside:
            Image.fromarray(np.ascontiguousarray(array)).save(beside, format="PNG", pnginfo=comments)
    except OSError as error:
        raise PixelsError(
            f"could not write {target}: {error.strerror or error}; choose a folder that exists and can be written"
        ) from error
    return target


def save_sheet(path: str | Path, pixels: Tensor | NDArray[np.uint8], columns: int | None = None, gap: int = 2) -> Path:
    """Write N pictures, uint8 [N, H, W, 3], as one PNG sheet with `columns` in a row (see `tile`)."""
    return save_png(path, tile(pixels, columns, gap))
