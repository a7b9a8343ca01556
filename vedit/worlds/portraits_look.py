"""What a portrait's attribute columns mean to the painter: colours, amounts and proportions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vedit.worlds.shapes import mix, opponent_rgb, smoothstep


@dataclass(frozen=True)
class Look:
    """Colours [F, 3, 1, 1] in [0, 1] and amounts [F, 1, 1] of F portraits."""

    skin: Tensor
    flush: Tensor  # the skin's own red: cheeks, lips, ears
    lips: Tensor
    shadow: Tensor  # skin in shade
    hair: Tensor
    brow_hair: Tensor
    beard_hair: Tensor
    iris: Tensor
    shirt: Tensor
    background: Tensor
    age: Tensor  # 0 young … 1 old, linear in the column
    wrinkles: Tensor  # 0 … 1, mostly in the older half, never quite still
    length: Tensor  # of the hair, 0 … 1
    loss: Tensor  # of the hair, 0 … 1
    beard: Tensor  # 0 … 1
    makeup: Tensor  # 0 … 1
    glasses: Tensor  # opacity, 0 … 1
    width: Tensor  # of the face, -1 … 1
    jaw: Tensor  # narrow -1 … 1 square
    brows: Tensor  # thin 0 … 1 thick


def skin_rgb(light: Tensor, warmth: Tensor) -> Tensor:
    """Skin colour [..., 3] of lightness (dark -1 … 1 light) and warmth (rosy -1 … 1 golden)."""
    amount = ((light + 1) / 2).unsqueeze(-1)
    dark, pale = light.new_tensor([0.34, 0.215, 0.16]), light.new_tensor([0.95, 0.775, 0.68])
    middle = light.new_tensor([0.06, 0.01, -0.03]) * (4 * amount * (1 - amount))
    warm = light.new_tensor([0.005, 0.018, -0.055]) * warmth.unsqueeze(-1) * (0.5 + 0.5 * amount)
    return mix(dark, pale, amount) + middle + warm


def hair_rgb(a: Tensor, b: Tensor, light: Tensor) -> Tensor:
    """Natural hair colour [..., 3]: `light` from black to fair, `a` towards red, `b` towards gold; blond is light with gold."""
    chroma = 0.35 + 0.325 * (light + 1)
    tone = 0.31 + 0.26 * light + 0.07 * b - 0.02 * a
    red = (0.14 + 0.15 * (a + 1) + 0.05 * (b + 1)) * (
        1 - 0.18 * (light + 1)
    )  # less in fair hair, or blond would be orange
    return opponent_rgb(tone, red * chroma, (0.13 + 0.23 * (b + 1)) * chroma)


def iris_rgb(a: Tensor, b: Tensor, light: Tensor) -> Tensor:
    """Iris colour [..., 3]: -b is blue; with +b, +a is brown and -a green. Red and violet eyes are not reached."""
    return opponent_rgb(0.45 + 0.16 * light - 0.08 * a - 0.05 * a * b, -0.12 + a * (0.30 + 0.14 * b), 0.10 + 0.58 * b)


def plane_rgb(a: Tensor, b: Tensor, light: Tensor, strength: float) -> Tensor:
    """Colour [..., 3] of the full chroma plane: a is red against green, b yellow against blue."""
    return opponent_rgb(0.46 + 0.34 * light, strength * a, strength * b)


def look(column: dict[str, Tensor]) -> Look:
    """The look of F portraits from attribute columns [F] by name."""

    def colour(rgb: Tensor) -> Tensor:
        return rgb.clamp(0, 1)[:, :, None, None]

    def amount(values: Tensor) -> Tensor:
        return values[:, None, None]

    def plane(name: str) -> tuple[Tensor, Tensor, Tensor]:
        return column[f"{name}.a"], column[f"{name}.b"], column[f"{name}.light"]

    age, makeup = (column["age"] + 1) / 2, ((column["makeup"] + 1) / 2) ** 1.4
    loss = (column["hair.loss"] + 1) / 2
    skin = skin_rgb(column["skin"], column["skin.warmth"])
    skin = mix(
        skin, skin.mean(dim=1, keepdim=True), 0.22 * smoothstep(age, 0.4, 1.0)[:, None]
    )  # old skin is paler in hue
    flush = skin * skin.new_tensor([0.97, 0.66, 0.64])
    hair = hair_rgb(*plane("hair"))
    grey = smoothstep(age, 0.42, 1.0)[:, None]
    silver = skin.new_tensor([0.80, 0.80, 0.81])
    lips = mix(skin * skin.new_tensor([0.88, 0.58, 0.56]), skin.new_tensor([0.80, 0.05, 0.17]), 0.92 * makeup[:, None])
    return Look(
        skin=colour(skin),
        flush=colour(flush),
        lips=colour(lips),
        shadow=colour(skin * skin.new_tensor([0.60, 0.50, 0.50])),
        hair=colour(mix(hair, silver, 0.82 * grey)),
        brow_hair=colour(mix(hair * 0.62, silver, 0.7 * grey)),
        beard_hair=colour(mix(hair * 0.66, silver * 0.95, 0.85 * grey)),
        iris=colour(iris_rgb(*plane("eyes"))),
        shirt=colour(plane_rgb(*plane("shirt"), strength=0.62)),
        background=colour(plane_rgb(*plane("background"), strength=0.34)),
        age=amount(age),
        wrinkles=amount(age**1.7),
        length=amount((column["hair.length"] + 1) / 2),
        loss=amount(0.15 * loss + 0.85 * loss**3),
        beard=amount((column["beard"] + 1) / 2),
        makeup=amount(makeup),
        glasses=amount(torch.sigmoid(5 * column["glasses"])),
        width=amount(column["face.width"]),
        jaw=amount(column["face.jaw"]),
        brows=amount((column["brows"] + 1) / 2),
    )
