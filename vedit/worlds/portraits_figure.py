"""A portrait's wall, body, skull and hair."""

from __future__ import annotations

import torch
from torch import Tensor

from vedit.worlds.portraits_look import Look
from vedit.worlds.portraits_scene import Scene
from vedit.worlds.shapes import bump, coverage, ellipse, stroke


def paint_behind(scene: Scene, look: Look, move: dict[str, Tensor]) -> None:
    """Everything behind the face: wall, hair behind the head, neck, shirt, ears."""
    _paint_wall(scene, look)
    scene.hair = scene.cover(_hair_outline(scene, look, move))
    scene.paint(look.hair * 0.62, scene.hair)
    _paint_body(scene.window(0, 0.58, 1, 1), look, move)
    _paint_ears(scene.window(0.1, 0.25, 0.9, 0.75), look, move)


def _paint_wall(scene: Scene, look: Look) -> None:
    """A wall lit from the upper left, darker towards the corners."""
    light = 1.14 - 0.22 * scene.y - 0.10 * scene.x - 0.35 * ((scene.x - 0.45).square() + (scene.y - 0.4).square())
    scene.image.copy_(look.background * light.unsqueeze(1)).clamp_(max=1)


def _hair_outline(scene: Scene, look: Look, move: dict[str, Tensor]) -> Tensor:
    """Signed distance of all hair: round above, a curtain with rounded corners below, which ends at `length`."""
    u = (scene.u + 0.010 * move["yaw"]) / (0.252 + 0.012 * look.width + 0.036 * look.length)
    dv = scene.v + 0.05 - 0.006 * move["pitch"]
    up = (-dv).clamp_(min=0) / (0.312 + 0.012 * look.length - 0.07 * look.loss)
    reach = 0.10 + 0.47 * look.length
    down = dv.clamp_(min=0) / reach
    down2 = down.square()
    f = u.square() + up.square() + down2.square()
    slope = (14.0 * u.square() + 10.0 * up.square() + 4 * down2 * down2 * down2 / reach.square()).add_(1e-4).rsqrt_()
    return (f - 1) * slope * 0.5


def _paint_body(scene: Scene, look: Look, move: dict[str, Tensor]) -> None:
    """Neck and shirt; the body follows the head's sway by a third."""
    x = scene.x - (0.5 + 0.016 * move["shift_x"])
    y = scene.y - 0.012 * move["shift_y"]
    neck_x = x - 0.02 * move["shift_x"] * (0.95 - y).clamp(min=0) * 5
    half = 0.112 + 0.008 * look.width + (y - 0.84).clamp(min=0) * 0.55
    scene.paint(look.skin * 0.86, scene.cover(neck_x.abs() - half))
    below = bump(scene.u, scene.v - 0.30, 0.24, 0.19)  # the chin's shadow on the neck
    scene.paint(look.shadow, below * 0.75 * scene.cover(neck_x.abs() - half))
    wide = x.square()
    shoulders = 0.812 + 0.30 * wide + 1.0 * wide.square() - y
    hole = ellipse(x, y - 0.795, 0.132, 0.098)
    shirt = scene.cover(torch.maximum(shoulders, -hole))
    light = (
        1.06
        - 0.45 * x
        - 0.9 * wide
        - 0.20 * bump(x.abs() - 0.34, y - 1.02, 0.08, 0.19)
        + 0.10 * bump(x + 0.22, y - 0.89, 0.16, 0.09)
    )
    light = light - 0.28 * stroke(x, hole - 0.022, 0.3, 0.012)  # the collar's seam
    scene.paint((look.shirt * light.unsqueeze(1)).clamp_(0, 1), shirt)


def _paint_ears(scene: Scene, look: Look, move: dict[str, Tensor]) -> None:
    """Ears, which go back where the face comes forward."""
    u = scene.u + 0.012 * move["yaw"]
    side = u.abs() - (0.232 + 0.02 * look.width)
    dv = scene.v - 0.015 + 0.01 * move["pitch"]
    ear = scene.cover(ellipse(side, dv, 0.036, 0.068))
    scene.paint(look.skin * 0.80 + look.flush * 0.10, ear)
    scene.paint(look.shadow, bump(side - 0.004, dv, 0.02, 0.045) * 0.6)


def paint_front_hair(scene: Scene, look: Look) -> None:
    """Hair before the head: all hair but an opening for the face, with a lit crown and a few smooth strands."""
    assert scene.hair is not None
    top = scene.window(0.05, 0.0, 0.95, 1.0)
    p, q, hair = top.p, top.q, top.hair
    assert hair is not None
    rise = 0.205 + 0.020 * look.age + 0.22 * look.loss
    width = 0.212 + 0.018 * look.width + 0.02 * look.loss
    up = (0.01 - q).clamp_(min=0) / (rise + 0.10 * p)  # a parting: the hairline is higher on one side
    across = p / width
    f = across.square() + up.square()
    slope = (across.square() / width.square() + up.square() / rise.square()).add_(1e-4).rsqrt_()
    opening = coverage((f - 1) * slope * 0.5, 1.5 * top.pixel + 0.008)
    strands = torch.cos(52.0 * top.u + 9.0 * torch.sin(7.0 * top.v + 1.0) * top.u)
    light = (
        0.88
        - 0.40 * top.u
        + 0.13 * strands
        + 0.40 * bump(top.u + 0.07, top.v + 0.27, 0.20, 0.10)
        - 0.35 * (top.v - 0.1).clamp(min=0)
    )
    top.paint((look.hair * light.unsqueeze(1)).clamp_(0, 1), hair * (1 - opening))
