"""The judges of a game: StyleGAN-V's of clips, MoCoGAN's pair, or StyleGAN2's of images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stylegan_v.discriminator import Discriminator
from stylegan_v.game_config import GameConfig
from stylegan_v.mocogan import ImageDiscriminator, VideoDiscriminator


def make_judges(cfg: GameConfig) -> nn.ModuleDict:
    """The discriminators by name: `clip`, or `image` and `video`, or `image` alone."""
    if cfg.discriminator is not None:
        return nn.ModuleDict({"clip": Discriminator(cfg.discriminator)})
    assert cfg.image_discriminator is not None
    judges = nn.ModuleDict({"image": ImageDiscriminator(cfg.image_discriminator)})
    if cfg.video_discriminator is not None:
        judges["video"] = VideoDiscriminator(cfg.video_discriminator)
    return judges


def judge_clips(judges: nn.ModuleDict, frames: Tensor, t: Tensor, c: Tensor | None, seeds: Tensor) -> list[Tensor]:
    """Logits [N] ([N, P] of a video discriminator's patches) of every judge on clips [N, T, 3, H, W].

    MoCoGAN's judge of images sees one frame of each clip, which `seeds` [N] choose; c [N, 0] or none where there are no labels.
    """
    c = c if c is not None and c.shape[1] else None
    logits = []
    for judge in judges.values():
        if isinstance(judge, ImageDiscriminator):
            one = frames[torch.arange(len(frames)), seeds.to(frames.device) % frames.shape[1]]
            logits.append(judge(one.unsqueeze(1), c).squeeze(1))
        elif isinstance(judge, VideoDiscriminator):
            logits.append(judge(frames))
        else:
            logits.append(judge(frames, t, c))
    return logits
