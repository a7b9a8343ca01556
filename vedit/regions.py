"""Where an edit may act: a box, a mask or a mask video in source coordinates, or the face that the crop follows; soft at the edge.

A region is kept in the source's pixels or, for `face` and `background`, in fractions of the crop. Either way it follows the crop:
for every frame it becomes a mask at the generator's size. A mask video (`vedit.mask_videos`) is kept as such masks, one for a frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vedit.errors import VeditError

NAMED = ("face", "background")
FACE = ((0.5, 0.56), (0.27, 0.34))
"""Centre and radii of an ellipse, in fractions of a crop that follows a face: forehead to chin, ear to ear, by the landmarks that
such crops are turned to (eyes at 0.45, mouth at 0.68 of their height)."""
SOFT = 0.025  # of the crop's side: the deviation of the Gaussian that softens the edge
FINER = 4  # samples along a side of a pixel
LONGEST_SIDE = 1024  # of a stored mask; what is finer the generator cannot show
MOVING = "mask video"


class RegionError(VeditError, ValueError):
    """A region that makes no sense; one line says what was found and what is wanted."""


@dataclass(frozen=True)
class Region:
    """Where an edit acts. `kind` is "face", "background", "box", "mask" or "mask video".

    box: x, y, width, height in source pixels.  mask: uint8 [h, w], stretched over the picture of `size` (width, height).
    moving: uint8 [F, S, S], a soft mask of the crop for each of the source's F frames, held until the next.
    """

    kind: str
    size: tuple[int, int]
    box: tuple[float, float, float, float] | None = None
    mask: NDArray[np.uint8] | None = None
    moving: NDArray[np.uint8] | None = None

    def masks(self, crops: NDArray[np.float64], side: int, frames: Sequence[int] = ()) -> Tensor:
        """Masks [T, 1, side, side] in [0, 1] for crops [T, 2, 3], which map fractions of the crop to source pixels.

        `frames` [T] are the frames of the source that stand at those moments, which a mask video goes by; past its end its last one holds.
        """
        if self.moving is not None:
            held = self.moving[[min(frame, len(self.moving) - 1) for frame in frames]]
            return _at_side(torch.from_numpy(held).float().unsqueeze(1) / 255, side)
        along = (torch.arange(side * FINER, dtype=torch.float32) + 0.5) / (side * FINER)
        u = torch.stack(torch.meshgrid(along, along, indexing="xy"), dim=-1)  # [n, n, 2] as (x, y)
        known: dict[bytes, Tensor] = {}  # most crops of a clip are alike
        masks = []
        for crop in crops:
            key = b"" if self.kind in NAMED else np.ascontiguousarray(crop).tobytes()
            if key not in known:
                hard = self._inside(u, torch.from_numpy(np.asarray(crop, dtype=np.float32)))
                known[key] = _softened(F.avg_pool2d(hard[None, None], FINER), SOFT * side)[0]
            masks.append(known[key])
        return torch.stack(masks)

    def _inside(self, u: Tensor, crop: Tensor) -> Tensor:
        """1 inside and 0 outside (a mask's own values) at fractions u [n, n, 2] of one crop."""
        if self.kind in NAMED:
            centre, radii = torch.tensor(FACE, dtype=u.dtype)
            face = (((u - centre) / radii).square().sum(dim=-1) <= 1).to(u.dtype)
            return face if self.kind == "face" else 1 - face
        points = u @ crop[:, :2].T + crop[:, 2]
        if self.box is not None:
            x, y, width, height = self.box
            low, high = torch.tensor([x, y], dtype=u.dtype), torch.tensor([x + width, y + height], dtype=u.dtype)
            return ((points >= low) & (points <= high)).all(dim=-1).to(u.dtype)
        assert self.mask is not None
        grid = points / torch.tensor(self.size, dtype=u.dtype) * 2 - 1
        mask = torch.from_numpy(self.mask).to(u.dtype)[None, None] / 255
        return F.grid_sample(mask, grid.unsqueeze(0), mode="bilinear", padding_mode="border", align_corners=False)[0, 0]

    def to_info(self) -> dict[str, Any]:
        """What edit.json keeps; the mask itself goes beside the direction."""
        return {"kind": self.kind, "size": list(self.size), "box": None if self.box is None else list(self.box)}

    @classmethod
    def from_info(cls, info: dict[str, Any], mask: Tensor | None) -> Region:
        """The region of what `to_info` gave; raises RegionError for what no region can be."""
        try:
            kind, size = info["kind"], (int(info["size"][0]), int(info["size"][1]))
            box = None if info["box"] is None else _box([float(value) for value in info["box"]], size)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise RegionError(f"a stored region is damaged ({error}); remove the edit and make it again") from None
        rank = 3 if kind == MOVING else 2
        fits = mask is None or (mask.dtype == torch.uint8 and mask.ndim == rank and mask.numel() > 0)
        fits = fits and (mask is None or mask.shape[-2] * mask.shape[-1] <= LONGEST_SIDE**2)
        fits = fits and kind in (*NAMED, "box", "mask", MOVING) and (kind == "box") == (box is not None) and (kind in ("mask", MOVING)) == (mask is not None)
        if not fits or min(size) < 1:
            raise RegionError(f"a stored region of kind {kind!r} is damaged; remove the edit and make it again")
        pixels = None if mask is None else mask.numpy()
        return cls(kind, size, box, moving=pixels) if kind == MOVING else cls(kind, size, box, pixels)


def parse(text: str, size: tuple[int, int], follows_face: bool) -> Region:
    """The region that a person wrote, for a source of `size` (width, height): face, background, x,y,w,h, or a mask's file.

    A mask is white where the edit acts; what is transparent counts as black. Raises RegionError, and VideoError for what is no image.
    """
    text = text.strip()
    if text in NAMED:
        if not follows_face:
            raise RegionError(f"the region {text!r} is where the crop follows a face, and this project's does not; give x,y,w,h or a mask's file")
        return Region(text, size)
    parts = text.split(",")
    if len(parts) == 4:
        try:
            return Region("box", size, _box([float(part) for part in parts], size))
        except ValueError as error:
            if isinstance(error, RegionError):
                raise
    if not Path(text).is_file():
        wanted = "face, background, x,y,w,h in pixels of the source, or a mask (image, video, folder), white where the edit acts"
        raise RegionError(f"the region is {text!r}; give {wanted}")
    return Region("mask", size, mask=_mask(Path(text), size))


def _box(values: list[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    x, y, width, height = values
    if not all(math.isfinite(value) for value in values) or width <= 0 or height <= 0:
        raise RegionError(f"the region {x:g},{y:g},{width:g},{height:g} is no box; give x,y,w,h in pixels of the source, such as 0,0,64,64")
    if x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0:
        raise RegionError(f"the region {x:g},{y:g},{width:g},{height:g} lies outside the source, which is {size[0]}×{size[1]}")
    return x, y, width, height


def _mask(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Greys [h, w] of an image with the source's proportions."""
    from vedit import video

    image = video.read_mask(path)
    mask = fitted(path, image, size)
    check_greys(path, int(image.min()), int(image.max()))
    return mask


def check_greys(path: Path, darkest: int, brightest: int) -> None:
    """Raise RegionError for a mask that is one colour throughout: nothing or everything would change."""
    if brightest == 0 or darkest == 255:
        raise RegionError(f"the mask {path} is {'black' if brightest == 0 else 'white'} throughout; paint white where the edit is to act, black elsewhere")


def fitted(path: Path, image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Greys [h, w], at most LONGEST_SIDE a side, of a mask that must have the proportions of the source's `size` (width, height)."""
    height, width = image.shape
    if abs(width / height / (size[0] / size[1]) - 1) > 0.02:
        raise RegionError(f"the mask {path} is {width}×{height}, the source {size[0]}×{size[1]}; make it as large as the source")
    grey = torch.from_numpy(image.astype(np.float32))[None, None]
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    if scale < 1:
        grey = F.interpolate(grey, size=(max(1, int(height * scale)), max(1, int(width * scale))), mode="area")
    return grey[0, 0].round().to(torch.uint8).numpy()


def _at_side(masks: Tensor, side: int) -> Tensor:
    """Masks [T, 1, S, S] at another size, where it is another."""
    return masks if masks.shape[-1] == side else F.interpolate(masks, size=(side, side), mode="bilinear", align_corners=False)


def _softened(masks: Tensor, deviation: float) -> Tensor:
    """Masks [T, 1, S, S] under a Gaussian; what lies beyond the crop is taken to be as its edge."""
    reach = max(1, math.ceil(3 * deviation))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=masks.dtype) / deviation).square())
    kernel = kernel / kernel.sum()
    padded = F.pad(masks, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.reshape(1, 1, 1, -1)), kernel.reshape(1, 1, -1, 1)).clamp(0, 1)
