"""The world `skies`: a time lapse of clouds, sun, dusk, night and aurora over land, sea and mountains.

The built-in generator skies-2 is trained on exactly this drawing (and that of sky_fields.py): a change to either wants a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vedit.worlds import sky_fields as fields
from vedit.worlds.base import Attribute, Motion, World
from vedit.worlds.shapes import smoothstep


class Skies(World):
    """Skies over a landscape. Everything is a smooth bounded function of attributes and motion, at any size."""

    name: ClassVar[str] = "skies"
    attributes: ClassVar[tuple[Attribute, ...]] = (
        Attribute("cloud_cover", meaning="-1 a clear sky, 1 overcast"),
        Attribute("cloud_softness", meaning="-1 crisp edges, 1 soft ones"),
        Attribute("cloud_streak", meaning="-1 puffs, 1 streaks"),
        Attribute("cloud_shape_1"),
        Attribute("cloud_shape_2"),
        Attribute("cloud_shape_3"),
        Attribute("cloud_shape_4"),
        Attribute("sun_x", meaning="-1 left, 1 right"),
        Attribute("sun_height", meaning="-1 at the horizon, 1 high"),
        Attribute("sun_brightness", meaning="-1 no sun to be seen, 1 a blazing one"),
        Attribute("time", meaning="-1 day, about 0.1 dusk, 1 night"),
        Attribute("aurora", meaning="-1 none, 1 strong curtains"),
        Attribute("aurora_hue", meaning="-1 green, 1 violet"),
        Attribute("aurora_shape"),
        Attribute("mountains", meaning="-1 a flat horizon, 1 high peaks"),
        Attribute("ridge_1"),
        Attribute("ridge_2"),
        Attribute("ridge_3"),
        Attribute("sea", meaning="-1 land up to the horizon, 1 open sea"),
        Attribute("land_hue", meaning="-1 green, 1 ochre"),
        Attribute("land_light", meaning="-1 dark trees, 1 bright fields"),
        Attribute("horizon", meaning="-1 low in the picture, 1 high"),
        Attribute("haze", meaning="-1 clear air, 1 mist"),
        Attribute("sky_tint", meaning="-1 towards turquoise, 1 towards violet"),
        Attribute("glow_tint", meaning="-1 an orange dusk, 1 a pink one"),
    )
    motions: ClassVar[tuple[Motion, ...]] = (
        Motion("drift_x"),
        Motion("drift_y"),
        Motion("morph_1"),
        Motion("morph_2"),
        Motion("light"),
        Motion("sun_shift"),
        Motion("aurora_wave"),
    )

    def draw(self, attributes: Tensor, motion: Tensor, size: int) -> Tensor:
        """Frames [F, 3, size, size] in [-1, 1] from attributes [F, A] and motion [F, P], antialiased, at any size."""
        look = {name: attributes[:, i, None] for i, name in enumerate(self.columns)}
        move = {channel.name: motion[:, i, None] for i, channel in enumerate(self.motions)}
        scene = _scene(look, move, size)
        clouds = _Clouds.of(look, move, scene)
        frame = _sky(look, move, scene, clouds)
        frame = _mountains(frame, look, scene)
        frame = _sea(frame, look, move, scene)
        frame = _haze(frame, look, scene)
        frame = _land(frame, look, scene)
        return frame.clamp_(0, 1).mul_(2).sub_(1)

    def captions(self, attributes: Tensor, rng: torch.Generator) -> list[str]:
        """One caption per attribute row [N, A], in varied words, naming some of what is clearly visible."""
        from vedit.worlds.sky_captions import captions

        return captions(self.columns, attributes, rng)


Values = dict[str, Tensor]  # each [F, 1]


@dataclass(frozen=True)
class _Scene:
    """What all layers share. Positions in half image widths, x to the right, y downwards; colours in [0, 1]."""

    size: int
    x: Tensor  # [1, S] columns
    y: Tensor  # [1, S] rows
    horizon: Tensor  # [F, 1]
    up: Tensor  # [F, S] height of each row above the horizon; below it, that of the row mirrored there
    day: Tensor  # [F, 1], with dusk and night a partition of 1
    dusk: Tensor
    night: Tensor
    light: Tensor  # [F, 3, 1, 1] what falls on things
    horizon_colour: Tensor  # [F, 3, 1, 1]
    zenith_colour: Tensor
    sun_x: Tensor  # [F, 1]
    sun_up: Tensor  # [F, 1]
    sun: Tensor  # [F, 1] brightness in [0, 1]
    overcast: Tensor  # [F, 1]


def _colour(like: Tensor, *rgb: float) -> Tensor:
    """A colour as [1, 3]."""
    return like.new_tensor([rgb])


def _scene(look: Values, move: Values, size: int) -> _Scene:
    like = look["time"]
    grid = fields.pixel_centres(size).to(like)[None]
    horizon = 0.62 - 0.22 * look["horizon"]
    day = 1 - smoothstep(look["time"], -0.6, 0.15)
    night = smoothstep(look["time"], 0.2, 0.85)
    dusk = 1 - day - night
    tint, pink = look["sky_tint"], (1 + look["glow_tint"]) / 2
    overcast = smoothstep(look["cloud_cover"], -0.1, 1.0)
    zenith = day * (_colour(like, 0.17, 0.40, 0.76) + tint * _colour(like, 0.09, -0.09, 0.0))
    zenith = zenith + dusk * (_colour(like, 0.27, 0.27, 0.50) + tint * _colour(like, 0.08, -0.05, 0.02))
    zenith = zenith + night * (_colour(like, 0.02, 0.04, 0.13) + tint * _colour(like, 0.025, -0.015, 0.02))
    glow = _colour(like, 1.00, 0.58, 0.20) * (1 - pink) + _colour(like, 0.97, 0.50, 0.56) * pink
    low = day * (_colour(like, 0.70, 0.83, 0.93) + pink * _colour(like, 0.08, -0.03, -0.05))
    low = low + dusk * glow + night * (_colour(like, 0.09, 0.14, 0.29) + pink * _colour(like, 0.06, 0.0, 0.03))
    grey = 0.45 * overcast * (1 - 0.6 * dusk)
    zenith = zenith + grey * (zenith.mean(1, keepdim=True) * 1.15 - zenith)
    low = low + 0.6 * grey * (low.mean(1, keepdim=True) * 0.95 - low)
    sun = (1 + look["sun_brightness"]) / 2
    strength = (0.80 + 0.30 * sun) * (1 - 0.25 * overcast) * (1 + 0.14 * move["light"])
    light = day * _colour(like, 1.0, 0.98, 0.94) + night * _colour(like, 0.13, 0.17, 0.27)
    light = (light + dusk * (0.72 * glow * 0.6 + 0.22)) * strength
    above = 0.10 + 0.55 * (1 + look["sun_height"]) * (1 - 0.45 * dusk)
    distance = (horizon - grid).abs()
    return _Scene(
        size=size, x=grid, y=grid, horizon=horizon, up=distance, day=day, dusk=dusk, night=night, overcast=overcast,
        light=light[:, :, None, None], horizon_colour=low[:, :, None, None], zenith_colour=zenith[:, :, None, None],
        sun_x=0.75 * look["sun_x"] + 0.07 * move["sun_shift"], sun_up=above + 0.05 * move["sun_shift"],
        sun=(sun * (1 + 0.25 * move["light"])).clamp(0, 1),
    )  # fmt: skip


@dataclass(frozen=True)
class _Clouds:
    """Where clouds are and how lit: both [F, S, S] in [0, 1]."""

    opacity: Tensor
    lit: Tensor

    @staticmethod
    def of(look: Values, move: Values, scene: _Scene) -> _Clouds:
        shapes = torch.cat([look[f"cloud_shape_{i}"] for i in (1, 2, 3, 4)], dim=1)
        drift = torch.cat([0.35 * move["drift_x"], 0.06 * move["drift_y"]], dim=1)
        morph = torch.cat([move["morph_1"], move["morph_2"]], dim=1)
        streak = (1 + look["cloud_streak"]) / 2
        puffs = fields.Puffs.of(shapes, drift, morph, streak)
        height = puffs.field(scene.x, scene.up)  # [F, S, S]
        beyond = puffs.field(scene.x + 0.04 * scene.sun_x, scene.up + 0.08)  # a little towards the light
        soft = (1 + look["cloud_softness"]) / 2
        width = (0.13 + 0.35 * soft.square())[:, :, None]
        cover = look["cloud_cover"]
        threshold = (0.55 - 0.8 * cover - 1.8 * cover.pow(5))[:, :, None]
        above = height - threshold
        fade = 0.25 + 0.75 * smoothstep(scene.up, 0.0, 0.35)
        opacity = torch.sigmoid(above / width) * fade[:, :, None]
        opacity *= (0.97 - 0.15 * soft - 0.15 * streak)[:, :, None]
        thick = torch.sigmoid((above - 1.1) * 1.4)
        lit = torch.sigmoid((height - beyond) * 2.6 + 0.55 - 1.5 * thick)
        return _Clouds(opacity, lit)


def _outer(rows: Tensor, columns: Tensor) -> Tensor:
    """Products [F, 1, S, S] of rows [F, S] and columns [F, S]."""
    return (rows[:, :, None] * columns[:, None, :])[:, None]


def _over(frame: Tensor, colour: Tensor, alpha: Tensor) -> Tensor:
    """`colour` laid over `frame` [F, 3, S, S] with opacity alpha."""
    return torch.addcmul(frame, colour - frame, alpha)


def _screen(frame: Tensor, light: Tensor) -> Tensor:
    """`light` in [0, 1] added to `frame` without leaving [0, 1]."""
    return torch.addcmul(frame, 1 - frame, light)


def _sky(look: Values, move: Values, scene: _Scene, clouds: _Clouds) -> Tensor:
    """The sky [F, 3, S, S], mirrored below the horizon."""
    fall = torch.exp(-scene.up * (2.2 - 0.5 * scene.dusk))[:, None, :, None]
    rows = scene.zenith_colour + (scene.horizon_colour - scene.zenith_colour) * fall  # [F, 3, S, 1]
    starlight = (0.9 * scene.night.square())[:, :, None] * fields.stars(scene.size).to(rows)
    frame = rows + (starlight * (1 - fall[:, 0]))[:, None]
    opacity = clouds.opacity[:, None]
    frame = _aurora(frame, look, move, scene, opacity)
    lit, shade = _cloud_colours(scene)
    frame = _over(frame, torch.addcmul(shade, lit - shade, clouds.lit[:, None]), opacity)
    return _sunlight(frame, scene, opacity)


def _cloud_colours(scene: _Scene) -> tuple[Tensor, Tensor]:
    """Colours [F, 3, 1, 1] of lit tops and of undersides."""
    cover = scene.overcast[:, :, None, None]
    lit = scene.light * (1.04 - 0.12 * cover)
    dusk = scene.dusk[:, :, None, None]
    lit = lit + dusk * (0.75 * scene.horizon_colour + 0.18 - lit) * (1 - 0.35 * cover)
    shade = 0.56 * scene.light * (1 - 0.30 * cover) + 0.22 * scene.zenith_colour * (1 - 0.5 * cover)
    shade = shade + dusk * (0.9 * scene.zenith_colour + 0.12 * scene.horizon_colour - shade)
    return lit.clamp(0, 1), shade.clamp(0, 1)


def _sunlight(frame: Tensor, scene: _Scene, opacity: Tensor) -> Tensor:
    """Disc, halo and glare of the sun (by night, of the moon), dimmed by clouds."""
    like = scene.sun
    dx, dy = scene.x - scene.sun_x, scene.up - scene.sun_up
    colour = scene.day * _colour(like, 1.0, 0.97, 0.86) + scene.dusk * _colour(like, 1.0, 0.78, 0.46)
    colour = (colour + scene.night * _colour(like, 0.72, 0.80, 0.98))[:, :, None, None]
    power = scene.sun * (1 - 0.45 * scene.night)
    glow = torch.zeros(())
    for share, spread in ((0.55, 0.13), (0.45, 0.34), (0.42, 0.85)):
        wide = spread * (0.6 + 0.6 * scene.sun)
        peak = share * power.pow(1.4)
        glow = glow + _outer(peak * torch.exp(-(dy / wide).square()), torch.exp(-(dx / wide).square()))
    radius = 0.075 + 0.03 * scene.sun
    distance = dy.square()[:, :, None] + dx.square()[:, None, :]
    disc = torch.exp(-(distance / radius[:, :, None].square()).square())[:, None]
    disc = disc * smoothstep(scene.sun, 0.05, 0.55)[:, :, None, None]
    glow = (glow * (1 - 0.5 * opacity)).clamp(max=1)
    frame = _screen(frame, glow * colour)
    return _over(frame, 0.5 + 0.5 * colour, disc * (1 - 0.9 * opacity))


def _aurora(frame: Tensor, look: Values, move: Values, scene: _Scene, opacity: Tensor) -> Tensor:
    """Two curtains, laid over the sky behind the clouds."""
    strength = ((1 + look["aurora"]) / 2).pow(1.7) * (0.62 + 0.33 * (1 - scene.day))
    wave, shape = move["aurora_wave"], look["aurora_shape"]
    x, up = scene.x, scene.up[:, :, None]
    light = torch.zeros(())
    for lift, tempo, phase, share in ((0.42, 1.9, 0.3, 1.0), (0.80, 1.4, 2.6, 0.75)):
        edge = lift + 0.16 * torch.sin(tempo * x + phase + 1.5 * shape + 0.7 * wave) + 0.06 * torch.sin(4.1 * x - 1.7 * wave + phase)
        rays = 0.72 + 0.28 * torch.sin(9.0 * x + 2.0 * wave + 2.2 * shape + phase + 2.0 * torch.sin(2.3 * x))
        above = up - edge[:, None, :]
        light = light + torch.sigmoid(above / 0.035) * torch.exp(-above.clamp(min=0) / 0.30) * (share * rays)[:, None, :]
    light = light.clamp(max=1)[:, None]
    violet = (1 + look["aurora_hue"]) / 2
    green = _colour(strength, 0.20, 0.95, 0.55) * (1 - violet) + _colour(strength, 0.66, 0.32, 0.95) * violet
    alpha = light * strength[:, :, None, None] * (1 - 0.4 * opacity)
    return _over(frame, green[:, :, None, None], alpha)


def _edge(distance: Tensor, scene: _Scene) -> Tensor:
    """Coverage in [0, 1] of pixels whose centres lie `distance` inside an edge."""
    return (distance * (scene.size / 2.6) + 0.5).clamp(0, 1)


def _mountains(frame: Tensor, look: Values, scene: _Scene) -> Tensor:
    """A far and a near range, hazy with distance, mirrored like the sky."""
    shape = torch.cat([look[f"ridge_{i}"] for i in (1, 2, 3)], dim=1)
    grow = ((1 + look["mountains"]) / 2).pow(1.3)
    x = scene.x.expand(len(shape), -1)
    land = _land_colour(look, scene)
    rock = scene.light * _colour(grow, 0.40, 0.43, 0.50)[:, :, None, None] * 0.75 + 0.12 * land
    for layer, (scale, air) in enumerate(((0.78, 0.52), (0.46, 0.16))):
        line = grow * scale * (0.12 + fields.ridge(x, shape, layer))
        slope = (line[:, 1:] - line[:, :-1]) * (scene.size / 2)
        slope = torch.cat([slope, slope[:, -1:]], dim=1)
        side = torch.tanh(slope * torch.tanh(3 * (x - scene.sun_x)) * -1.2)
        air_light = (air + 0.25 * (1 + look["haze"]) / 2)[:, :, None, None]
        base = _over(rock * (1 + 0.22 * side)[:, None, None, :], 0.85 * scene.horizon_colour, air_light)
        alpha = _edge(line[:, None, :] - scene.up[:, :, None], scene)[:, None]
        frame = _over(frame, base, alpha)
    return frame


def _sea(frame: Tensor, look: Values, move: Values, scene: _Scene) -> Tensor:
    """Below the horizon the mirrored picture, darkened towards deep water, with the sun's glitter."""
    depth = scene.y - scene.horizon  # [F, S]
    below = _edge(depth, scene)
    tint = look["sky_tint"]
    deep = (_colour(tint, 0.07, 0.20, 0.30) + tint * _colour(tint, 0.04, -0.03, 0.02))[:, :, None, None] * scene.light
    ripple = torch.sin(11 * torch.log(depth.clamp(min=0) + 0.12) + 0.8 * move["light"])
    alpha = below * (0.30 + 0.35 * smoothstep(depth, 0.0, 0.7) + 0.05 * ripple)
    frame = _over(frame, deep, alpha[:, None, :, None])
    width = 0.10 + 0.22 * depth.clamp(min=0)
    reach = below * scene.sun.square() * (0.62 + 0.22 * ripple) * (1 - 0.6 * scene.overcast) * (1 - 0.4 * scene.night)
    column = torch.exp(-((scene.x - scene.sun_x)[:, None, :] / width[:, :, None]).square())
    glitter = (column * reach[:, :, None])[:, None]
    warm = scene.dusk * _colour(tint, 1.0, 0.72, 0.40) + (1 - scene.dusk) * _colour(tint, 0.95, 0.97, 1.0)
    return _screen(frame, glitter * warm[:, :, None, None])


def _haze(frame: Tensor, look: Values, scene: _Scene) -> Tensor:
    """Mist, thickest at the horizon."""
    amount = ((1 + look["haze"]) / 2).pow(1.5)
    alpha = amount * (0.12 + 0.72 * torch.exp(-(scene.up / 0.38).square()))
    colour = scene.horizon_colour * 0.8 + 0.2 * scene.light * 0.9
    return _over(frame, colour, alpha[:, None, :, None])


def _land_colour(look: Values, scene: _Scene) -> Tensor:
    """The land's colour [F, 3, 1, 1] in the present light."""
    ochre = (1 + look["land_hue"]) / 2
    base = _colour(ochre, 0.25, 0.42, 0.14) * (1 - ochre) + _colour(ochre, 0.62, 0.45, 0.20) * ochre
    return (base * (0.62 + 0.48 * look["land_light"]))[:, :, None, None] * (scene.light + 0.03)


def _land(frame: Tensor, look: Values, scene: _Scene) -> Tensor:
    """The near land; it gives way to water downwards as `sea` grows."""
    sea = (1 + look["sea"]) / 2
    x, shape = scene.x, look["ridge_2"]
    dark = (1 - look["land_light"]) / 2
    crowns = torch.sin(8.5 * x + 1.2 * torch.sin(3.1 * x)).square().add(0.03).sqrt()
    line = 0.04 * torch.sin(2.6 * x + 1.5 * shape) + 0.05 * dark * (crowns - 0.3)
    top = scene.horizon - 0.03 + (1.16 - scene.horizon) * sea  # [F, 1]
    depth = scene.y[:, :, None] - (top - line)[:, None, :]
    alpha = _edge(depth, scene)[:, None]
    near = depth.clamp(0, 1)[:, None]
    colour = _land_colour(look, scene)
    air = (0.45 * ((1 + look["haze"]) / 2))[:, :, None, None] * torch.exp(-5 * near)
    body = torch.addcmul(colour * 0.85, colour, 0.35 * near)
    body = _over(body, 0.9 * scene.horizon_colour, air)
    return _over(frame, body, alpha)
