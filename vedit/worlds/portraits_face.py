"""A portrait's face: skin and its age, eyes, brows, nose, mouth, beard, make-up, glasses.

Both halves are drawn at once, from |p|: the face is symmetric in its own coordinates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vedit.worlds.portraits_look import Look
from vedit.worlds.portraits_scene import NOD, TURN, Scene
from vedit.worlds.shapes import bump, coverage, ellipse, stroke

EYE = (0.123, -0.04)  # |p|, q of the eyes
MOUTH = 0.19  # q of the mouth


def paint_face(scene: Scene, look: Look, move: dict[str, Tensor]) -> None:
    """The face from skin to glasses."""
    head = scene.window(0.14, 0.04, 0.86, 0.96)
    face = head.cover(_face_outline(head, look, move, chin=0.0))
    light = 0.82 + 0.23 * head.depth - 0.40 * head.u - 0.16 * head.v
    head.paint((look.skin * light.unsqueeze(1)).clamp_(max=1), face)
    _paint_cheeks(scene.window(0.14, 0.28, 0.86, 0.92), look)
    _paint_wrinkles(scene, look)
    _paint_beard(scene.window(0.14, 0.35, 0.86, 1.0), look, move)
    _paint_nose(scene.window(0.25, 0.3, 0.75, 0.74), look, move)
    _paint_mouth(scene.window(0.22, 0.5, 0.78, 0.9), look, move)
    _paint_eyes(scene.window(0.16, 0.28, 0.84, 0.62), look, move)
    _paint_brows(scene.window(0.14, 0.2, 0.86, 0.54), look)
    _paint_glasses(scene.window(0.1, 0.25, 0.9, 0.66), look)


def _face_outline(scene: Scene, look: Look, move: dict[str, Tensor], chin: float | Tensor) -> Tensor:
    """Signed distance of skull and jaw; talking lowers the chin, `chin` adds to it."""
    u = scene.u - 0.016 * move["yaw"]
    v = scene.v - 0.010 * move["pitch"]
    down = v.clamp(min=0)
    jaw = 1 + (2.3 - 1.3 * look.jaw - 0.9 * look.age) * down.square() * (1 + 0.6 * down)
    width = 0.232 + 0.020 * look.width + chin * 0.2
    reach = 0.318 + 0.018 * move["mouth"] + chin
    return ellipse(u * jaw, v - down * (1 - 0.315 / reach), width, 0.315)


def _paint_cheeks(scene: Scene, look: Look) -> None:
    """The skin's own red on the cheeks, and blush."""
    cheek = bump(scene.p.abs() - 0.14, scene.q - 0.09, 0.095, 0.075)
    scene.paint(look.flush, cheek * (0.45 - 0.25 * look.age))
    rouge = scene.grey(0.86, 0.30, 0.40)
    scene.paint(rouge, cheek * (0.50 * look.makeup))


def _paint_wrinkles(scene: Scene, look: Look) -> None:
    """Forehead lines, eye bags, crow's feet, nasolabial folds, hollow cheeks; all grow with age."""
    brow = scene.window(0.2, 0.12, 0.8, 0.46)
    lines = (torch.cos((brow.q + 0.3 * brow.p.square() + 0.148) * (6.2832 / 0.042)) - 0.1).clamp_(min=0)
    brow.paint(look.shadow, lines * bump(brow.p, brow.q + 0.17, 0.19, 0.075).sqrt_() * (0.70 * look.wrinkles))
    under = scene.window(0.16, 0.34, 0.84, 0.7)
    p, q = under.p.abs(), under.q
    e = p - EYE[0]
    bags = stroke(e, q - EYE[1] - 0.058 + 2.5 * e.square(), 0.075, 0.016) + bump(e, q - EYE[1] - 0.04, 0.07, 0.03) * 0.4
    feet = stroke(p - 0.212, (q - EYE[1]).abs() - (p - 0.17) * 0.5, 0.04, 0.011)
    under.paint(look.shadow, (bags * 0.85 + feet * 0.75).clamp_(max=1) * look.wrinkles)
    low = scene.window(0.16, 0.46, 0.84, 0.94)
    p, q = low.p.abs(), low.q
    along = q - 0.15
    folds = stroke(along, p - 0.088 - 0.42 * along - 0.9 * along * along, 0.085, 0.017)
    jowls = stroke(q - 0.25, p - 0.112, 0.055, 0.016) * 0.7
    hollow = bump(p - 0.17, q - 0.16, 0.05, 0.10) * 0.40
    low.paint(look.shadow, (folds + jowls + hollow).clamp_(max=1) * (0.92 * look.wrinkles + 0.08))


def _paint_beard(scene: Scene, look: Look, move: dict[str, Tensor]) -> None:
    """Beard and moustache: the lower face outside an oval around nose and cheeks; stubble is a thin one."""
    outline = coverage(_face_outline(scene, look, move, chin=0.035 * look.beard), 1.5 * scene.pixel)
    q = scene.q - 0.012 * move["mouth"]
    bare = ellipse(scene.p, q + 0.025, 0.178 - 0.012 * look.beard, 0.152)
    area = coverage(-bare, 0.05) * coverage(-0.03 - scene.q, 0.10)
    tone = 0.95 - 0.40 * scene.u - 0.8 * (scene.q - 0.22) + 0.09 * torch.cos(62.0 * scene.p)
    scene.paint((look.beard_hair * tone.unsqueeze(1)).clamp_(0, 1), outline * area * (0.97 * look.beard**1.4))


def _paint_nose(scene: Scene, look: Look, move: dict[str, Tensor]) -> None:
    """A nose that stands out: it moves further than the face, with a lit ridge, a shaded side and nostrils."""
    p = scene.p - 0.055 * torch.sin(TURN * move["yaw"]) * (scene.q * 5 + 0.5).clamp(0, 1)
    q = scene.q - 0.055 * torch.sin(NOD * move["pitch"])
    shade = (
        stroke(q - 0.005, p - 0.036 - 0.10 * (q + 0.03).clamp(min=0), 0.095, 0.024) * 0.42
    )  # the side away from the light
    shade = shade + bump(p - 0.008, q - 0.098, 0.062, 0.024) * 0.62
    scene.paint(look.shadow, shade.clamp_(max=1))
    scene.paint(look.shadow * 0.55, bump(p.abs() - 0.026, q - 0.094, 0.019, 0.014) * 0.9)
    scene.shade(0.16 * stroke(q - 0.01, p + 0.006, 0.10, 0.022) + 0.20 * bump(p + 0.006, q - 0.066, 0.034, 0.03))


def _paint_mouth(scene: Scene, look: Look, move: dict[str, Tensor]) -> None:
    """Lips around a line that curves with the smile; talking opens a dark mouth with teeth."""
    opened, smile = move["mouth"], move["smile"]
    half = 0.086 + 0.013 * smile - 0.016 * opened
    x = scene.p / half
    arch = (1 - x.square()).clamp_(min=0)
    d = scene.q - MOUTH - 0.004 + (0.030 * smile + 0.012) * (x.square() - 0.4).clamp_(max=0.9)
    top, bottom = 0.020 * opened * arch, 0.054 * opened * arch
    full = 1 - 0.45 * look.age
    upper = arch * (0.026 * full) * (1 - 0.25 * bump(x, x, 0.35, 1e3))
    lower = arch * (0.036 * full)
    lips = scene.cover(torch.maximum(-d - top - upper, d - bottom - lower))
    ends = coverage(x.abs() - 1, 0.3)
    scene.paint(look.shadow, bump(scene.p, d - bottom - 0.052, 0.07, 0.022) * 0.45)
    scene.paint(look.lips * (1.0 + 3.0 * (d - bottom).clamp(-0.05, 0.02)).unsqueeze(1), lips * ends)
    scene.paint(
        scene.grey(0.22, 0.05, 0.06),
        scene.cover(torch.maximum(-d - top, d - bottom)) * ends * (0.3 + 0.7 * opened.clamp(max=0.3) / 0.3),
    )
    scene.paint(look.lips * 0.38, stroke(x, d + top, 1.08, 0.011) * (0.85 - 0.5 * opened))
    teeth = scene.cover(torch.maximum(-d - top + 0.003, d + top - 0.020)) * scene.cover(d - bottom + 0.006)
    scene.paint(scene.grey(0.93, 0.90, 0.86), teeth * coverage(x.abs() - 0.72, 0.2) * (opened * 1.6).clamp(max=0.92))


def _paint_eyes(scene: Scene, look: Look, move: dict[str, Tensor]) -> None:
    """Eyes with lids, lashes and a catch of light; a blink brings the upper lid down."""
    left = torch.sign(scene.p)
    e, y = scene.p.abs() - EYE[0], scene.q - EYE[1]
    shut = move["blink"].clamp(0, 1)
    socket = bump(e + 0.03, y + 0.03, 0.075, 0.06)
    scene.paint(look.shadow, socket * 0.28)
    lid = bump(e - 0.005, y + 0.042, 0.088, 0.050)
    scene.paint(scene.grey(0.54, 0.24, 0.60), lid * (0.85 * look.makeup))
    arch = (1 - (e / 0.071).square()).clamp_(min=0)
    upper = y + 0.10 * e + (0.046 - 0.010 * look.age - 0.055 * shut) * arch.sqrt()
    lower = y - 0.10 * e * 0.5 - 0.024 * arch
    inside = torch.maximum(-upper, lower)
    eye = scene.cover(inside) * coverage(e.abs() - 0.068, 0.012) * (1 - shut)
    white = 0.97 - 5.0 * (0.014 - upper).clamp(min=0)
    scene.paint(scene.grey(0.97, 0.95, 0.94) * white.unsqueeze(1), eye)
    ix, iy = e * left - 0.021 * move["gaze_x"], y + 0.004 - 0.012 * move["gaze_y"]
    round_ = ix.square() + iy.square()
    radius = (round_ + 1e-8).sqrt()
    scene.paint(
        look.iris * (0.62 + 16.0 * (0.0365 - radius).clamp(0, 0.045)).unsqueeze(1), scene.cover(radius - 0.0345) * eye
    )
    scene.paint(scene.grey(0.03, 0.03, 0.04), scene.cover(radius - 0.0115) * eye)
    scene.paint(scene.grey(1, 1, 1), bump(ix + 0.012, iy + 0.014, 0.013, 0.013) * eye * 0.9)
    lash = stroke(e, upper, 0.090, 0.013 + 0.004 * look.makeup)
    scene.paint(look.brow_hair * 0.35, (lash * (0.9 + 0.5 * look.makeup)).clamp_(max=1))
    scene.paint(
        look.shadow, stroke(e, lower - 0.004, 0.08, 0.010) * 0.5 + stroke(e, upper + 0.022, 0.085, 0.010) * 0.45
    )


def _paint_brows(scene: Scene, look: Look) -> None:
    """Brows in the hair's colour, thin to thick, arched and thinner outwards."""
    e = scene.p.abs() - 0.128
    thick = 0.013 + 0.011 * look.brows - 0.06 * e
    offset = scene.q + 0.118 - 0.10 * e + 0.05 * (e + 0.02).abs() - 1.6 * (e - 0.01).square()
    ends = coverage(e.abs() - 0.080, 0.035)
    scene.paint(look.brow_hair, coverage(offset.abs() - thick * 0.8, 0.02) * ends * (0.72 + 0.2 * look.brows))


def _paint_glasses(scene: Scene, look: Look) -> None:
    """Round-cornered dark frames with a bridge and temples, and lenses that catch a little light."""
    p, y = scene.p.abs(), scene.q - EYE[1] - 0.008
    e = p - 0.118
    ex, ey = (e / 0.092).square(), (y / 0.076).square()
    f = ex * ex + ey * ey - 1
    slope = (ex * ex * ex / 0.092**2 + ey * ey * ey / 0.076**2).add_(1e-4).rsqrt_()
    lens = f * slope * 0.25
    scene.paint(scene.grey(0.85, 0.93, 1.0), scene.cover(lens) * (0.16 * look.glasses))
    rim = scene.cover(lens.abs() - 0.0095)
    bars = torch.maximum((y + 0.025).abs() - 0.0085, torch.maximum((p - 0.118).abs().neg() + 0.09, p - 0.222))
    scene.paint(scene.grey(0.09, 0.08, 0.10), torch.maximum(rim, scene.cover(bars)) * look.glasses)
