"""The canvas of a portrait: an image and the coordinates in which its parts are described."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vedit.worlds.shapes import coverage, pixel_centres

CENTRE = (0.5, 0.49)  # of the head at rest, fractions of the frame
TURN = 0.27  # radians of yaw at 1
NOD = 0.17  # radians of pitch at 1
TILT = 0.11  # radians of roll at 1
DEPTH = 0.29  # of the face's ellipsoid: a full turn moves the features by DEPTH * sin(TURN), about 5 pixels of 64
RADII = (0.33, 0.43)  # of that ellipsoid across and down


@dataclass
class Scene:
    """Images [F, 3, h, w] in [0, 1] being painted, and where their pixels lie.

    x [1, 1, w] and y [1, h, 1] are fractions of the frame; u, v [F, h, w] are the same around the head's centre, upright with
    it; p, q [F, h, w] are fixed to the face's curved surface, so that what is placed by them turns in depth.
    """

    image: Tensor
    x: Tensor
    y: Tensor
    u: Tensor
    v: Tensor
    p: Tensor
    q: Tensor
    depth: Tensor  # of the face's surface, 1 in the middle
    pixel: float  # width of a pixel
    hair: Tensor | None = None  # coverage of all hair [F, H, W], kept from behind the head for its front

    def window(self, left: float, top: float, right: float, bottom: float) -> Scene:
        """The part within these fractions of the frame, as views: painting there paints here."""
        size = self.image.shape[-1]
        across = slice(int(left * size), -int(-right * size // 1))
        down = slice(int(top * size), -int(-bottom * size // 1))

        def cut(field: Tensor) -> Tensor:
            return field[..., down, across]

        hair = None if self.hair is None else cut(self.hair)
        x, y = self.x[..., across], self.y[:, down]
        return Scene(
            cut(self.image), x, y, cut(self.u), cut(self.v), cut(self.p), cut(self.q), cut(self.depth), self.pixel, hair
        )

    def cover(self, distance: Tensor) -> Tensor:
        """Alpha of a signed distance with an edge one pixel wide."""
        return coverage(distance, self.pixel)

    def paint(self, colour: Tensor, alpha: Tensor) -> None:
        """Lay colour [F, 3, 1 or h, 1 or w] over the image with alpha [F, h, w]."""
        self.image.lerp_(colour, alpha.unsqueeze(1))

    def shade(self, amount: Tensor) -> None:
        """Multiply the image by 1 + amount [F, h, w]."""
        self.image.mul_((amount + 1).unsqueeze(1))

    def grey(self, *rgb: float) -> Tensor:
        """A colour [1, 3, 1, 1] given by its components."""
        return self.image.new_tensor(rgb).view(1, 3, 1, 1)


def pose(move: dict[str, Tensor], size: int) -> Scene:
    """An empty scene of `size` pixels whose coordinates follow the motions [F, 1, 1] by name."""
    yaw = move["yaw"]
    x, y = pixel_centres(size, yaw)
    angle = TILT * move["roll"]
    cos, sin = torch.cos(angle), torch.sin(angle)
    dx = x - (CENTRE[0] + 0.042 * move["shift_x"] + 0.2 * sin)  # a tilt swings the head about the neck
    dy = y - (CENTRE[1] + 0.035 * move["shift_y"])
    u, v = cos * dx + sin * dy, cos * dy - sin * dx
    depth = (1 - (u / RADII[0]).square() - (v / RADII[1]).square()).clamp_(min=0.02).sqrt_()
    turn, nod = TURN * yaw, NOD * move["pitch"]
    p = u * torch.cos(turn) - depth * (DEPTH * torch.sin(turn))
    q = v * torch.cos(nod) - depth * (DEPTH * torch.sin(nod))
    image = u.new_empty(u.shape[0], 3, size, size)
    return Scene(image, x, y, u, v, p, q, depth, 1.0 / size)
