"""Losses of training: the non-saturating logistic game, its R1 penalty on clips, and the paired distance of a warm start."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def generator_logistic(fake_logits: Tensor) -> Tensor:
    """Mean of softplus(-D(fake)) over logits [N]."""
    return F.softplus(-fake_logits).mean()


def discriminator_logistic(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Mean of softplus(-D(real)) + softplus(D(fake)) over logits [N]."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def r1_penalty(real_logits: Tensor, frames: Tensor) -> Tensor:
    """Squared gradient of the summed logits by frames [N, T, 3, H, W]: summed over pixels, averaged over the clip's frames and the clips.

    To be multiplied by gamma / 2 (Mescheder et al. 2018; StyleGAN-V takes it on the whole clip).
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), frames, create_graph=True)
    return gradient.square().sum(dim=(2, 3, 4)).mean()


def paired_distance(a: Tensor, b: Tensor, edges: float = 0.5, motion: float = 0.0, squared: float = 0.0, moving: float = 0.0) -> Tensor:
    """L1 between clips [N, T, C, H, W], plus `edges` times that of their differences along x and y and `motion` times that along T.

    Weighted so, edges count, and what moves counts beside the much larger part that stays. With T = 1 there is no motion to weigh.
    `moving` adds the L1 where `b` itself changes from frame to frame, in proportion to the change (a weight of mean 1): eyelids and lips
    are a hundredth of a portrait, and hardly felt otherwise.
    `squared` blends from L1 (0) to ten times the squared error (1): a thing whose place is still uncertain is then drawn faintly where
    it may be, and found from there, while the L1's optimum, the median, leaves it out.
    """

    def size(error: Tensor) -> Tensor:
        loss = error.new_zeros(())
        if squared < 1:
            loss = loss + (1 - squared) * error.abs().mean()
        return loss + squared * 10 * error.square().mean() if squared else loss

    difference = a - b
    loss = size(difference)
    if edges:
        loss = loss + edges * (size(difference.diff(dim=-1)) + size(difference.diff(dim=-2)))
    if motion and difference.shape[1] > 1:
        loss = loss + motion * size(difference.diff(dim=1))
    if moving and difference.shape[1] > 1:
        change = b.diff(dim=1).abs().mean(dim=2, keepdim=True)  # [N, T - 1, 1, H, W]
        change = torch.cat([change[:, :1], torch.maximum(change[:, :-1], change[:, 1:]), change[:, -1:]], dim=1)  # on either side of a frame
        loss = loss + moving * (difference.abs() * (change / (change.mean() + 1e-8))).mean()
    return loss


def pyramid_distance(images: Sequence[Tensor], real: Tensor, lower: float, **weights: float) -> Tensor:
    """`paired_distance` of the last of `images` [N, T, 3, r, r] (r = 4, 8, …) to clips [N, T, 3, H, W] shrunk to its size, with `weights`, plus
    `lower` times that of all before it; that at 4x4 is left out."""
    found = paired_distance(images[-1], shrunk(real, images[-1].shape[-1]), **weights)
    if lower:
        for image in images[1:-1]:
            found = found + lower * paired_distance(image, shrunk(real, image.shape[-1]), **weights)
    return found


def shrunk(frames: Tensor, size: int) -> Tensor:
    """Frames [N, T, 3, H, W] averaged down to [N, T, 3, size, size]."""
    factor = frames.shape[-1] // size
    return frames if factor == 1 else F.avg_pool2d(frames.flatten(0, 1), factor).unflatten(0, frames.shape[:2])
