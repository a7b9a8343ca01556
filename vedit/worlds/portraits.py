"""Portraits: a talking head before a plain wall, drawn from named attributes and motions. No likeness of anyone."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from vedit.worlds import portraits_captions, portraits_face, portraits_figure
from vedit.worlds.base import Attribute, Motion, World
from vedit.worlds.portraits_look import look
from vedit.worlds.portraits_scene import Scene, pose

# Where the features of a portrait at rest stand: x, y in fractions of the frame, in the order left eye, right eye, nose tip,
# left and right corner of the mouth (left and right as the viewer sees them). Real faces are aligned to the same points.
REFERENCE_LANDMARKS: tuple[tuple[float, float], ...] = (
    (0.38, 0.45),
    (0.62, 0.45),
    (0.5, 0.575),
    (0.415, 0.68),
    (0.585, 0.68),
)

CHUNK_PIXELS = 16 * 64 * 64  # drawn at a time: few enough to stay in a core's cache


class Portraits(World):
    """A head and shoulders that turn, nod, talk, smile, blink and look around."""

    name: ClassVar[str] = "portraits"
    attributes: ClassVar[tuple[Attribute, ...]] = (
        Attribute("age", meaning="young -1 … 1 old: wrinkles, grey hair, thin lips, eye bags, sagging cheeks"),
        Attribute("beard", meaning="clean-shaven -1 … 1 full beard"),
        Attribute("makeup", meaning="none -1 … 1 strong lipstick, eye shadow and blush"),
        Attribute("glasses", meaning="absent -1 … 1 opaque frames; half transparent at 0"),
        Attribute("eyes", "colour", meaning="iris: -b blue; +b with +a brown, with -a green"),
        Attribute("hair", "colour", meaning="light: black to fair; +a red, +b gold; blond is +light +b"),
        Attribute("hair.length", meaning="short -1 … 1 over the shoulders"),
        Attribute("hair.loss", meaning="full hair -1 … 1 bald crown"),
        Attribute("shirt", "colour", meaning="full chroma plane: +a red, -a green, +b yellow, -b blue"),
        Attribute("background", "colour", meaning="full chroma plane, muted"),
        Attribute("skin", meaning="dark -1 … 1 light"),
        Attribute("skin.warmth", meaning="rosy -1 … 1 golden"),
        Attribute("face.width", meaning="narrow -1 … 1 wide"),
        Attribute("face.jaw", meaning="pointed -1 … 1 square"),
        Attribute("brows", meaning="thin -1 … 1 thick"),
    )
    motions: ClassVar[tuple[Motion, ...]] = (
        Motion("yaw", "sway", 0.9),
        Motion("pitch", "sway", 0.8),
        Motion("roll", "sway", 0.7),
        Motion("shift_x", "sway", 0.8),
        Motion("shift_y", "sway", 0.8),
        Motion("mouth", "syllable", 0.9),
        Motion("smile", "sway", 1.0),
        Motion("blink", "blink", 1.0),
        Motion("gaze_x", "sway", 0.9),
        Motion("gaze_y", "sway", 0.8),
    )

    @torch.no_grad()
    def draw(self, attributes: Tensor, motion: Tensor, size: int) -> Tensor:
        """Frames [F, 3, size, size] in [-1, 1] from attributes [F, A] and motion [F, P]."""
        step = max(1, CHUNK_PIXELS // size**2)
        chunks = zip(torch.split(attributes, step), torch.split(motion, step), strict=True)
        frames = [self._draw_chunk(a, m, size) for a, m in chunks]
        return torch.cat(frames) if frames else attributes.new_zeros(0, 3, size, size)

    def _draw_chunk(self, attributes: Tensor, motion: Tensor, size: int) -> Tensor:
        face = look(dict(zip(self.columns, attributes.unbind(1), strict=True)))
        move = {
            channel.name: values[:, None, None] for channel, values in zip(self.motions, motion.unbind(1), strict=True)
        }
        scene: Scene = pose(move, size)
        portraits_figure.paint_behind(scene, face, move)
        portraits_face.paint_face(scene, face, move)
        portraits_figure.paint_front_hair(scene, face)
        return scene.image.clamp_(0, 1).mul_(2).sub_(1)  # highlights may overshoot

    def captions(self, attributes: Tensor, rng: torch.Generator) -> list[str]:
        """One caption per attribute row [N, A]; see `vedit.worlds.portraits_captions`."""
        return portraits_captions.captions(self.columns, attributes, rng)
