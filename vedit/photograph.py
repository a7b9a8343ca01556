"""A photograph set in motion: its one frame has no length and no motion, both come from a seed, another clip, or the generator alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from vedit.latents import LatentVideo, Spline, extend_codes, knots
from vedit.scene import Scene
from vedit.schedule import lasting
from vedit.timing import resample
from vedit.workspace import Workspace

MOVING = 4.0  # seconds for which it moves where no length is stated


def moving_times(origin: float, fps: float, end: float | None = None, extend: float = 0.0) -> tuple[list[float], float]:
    """Moments at which a photograph moves, `fps` a second from `origin`, and when the last one ends.

    `extend` seconds, else MOVING seconds, or longer where `end` (seconds from the first) lies beyond. Raises RenderError.
    """
    length = lasting(extend) if extend else max(MOVING, lasting(end, "end") if end else 0.0)
    return resample(origin, origin + length, fps), origin + length


@torch.no_grad()
def set_in_motion(photograph: Scene, moving: LatentVideo | None, span: float) -> Scene:
    """The photograph under the motion of `moving` (None: that of its own noise), counted from its own pose, up to t = `span`.

    At t = 0 it is as it was. A single frame's likeness lies in its motion codes too, so they stay, and what `moving` changes after its
    own t = 0 is added; beyond a clip's end they would fade.
    """
    generator, latents = photograph.generator, photograph.latents
    begin = torch.zeros(1, dtype=torch.float64)
    ws, here = latents.at(generator, begin)
    still = replace(latents, ws=ws.reshape(latents.ws.shape), content=None)
    if here is None:
        return replace(photograph, latents=still)
    moving = _own_motion(photograph, span) if moving is None else moving
    there = moving.at(generator, begin)[1]
    assert there is not None
    span = max(span, moving.span)
    spacing = moving.motion.spacing if moving.motion is not None else max(span, 1.0)
    held = (here - there)[0].expand(knots(span, spacing), -1).clone()  # the basis sums to 1: a constant
    if moving.motion is not None:
        held[: len(moving.motion.coefs)] += moving.motion.coefs
    return replace(photograph, latents=LatentVideo(still.ws, moving.u, moving.motion_z, span, None, Spline(held, spacing, span)))


@torch.no_grad()
def _own_motion(photograph: Scene, span: float) -> LatentVideo:
    """The motion of the noise that the photograph's codes were found from."""
    generator, latents = photograph.generator, photograph.latents
    assert latents.motion_z is not None
    codes = extend_codes(latents.motion_z, generator.num_motion_codes(span))
    return LatentVideo(latents.ws, generator.trajectory(codes.unsqueeze(0))[0], codes, span)


def on_the_clock_of(photograph: Scene, other: Workspace) -> Scene:
    """The photograph where another clip's frames stand."""
    clock = other.clock(photograph.generator.fps)
    crops = None if photograph.crops is None else np.repeat(photograph.crops, len(clock.times), axis=0)
    return replace(photograph, clock=clock, crops=crops)
