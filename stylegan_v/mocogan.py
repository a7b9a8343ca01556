"""The pair of discriminators of MoCoGAN (Tulyakov et al. 2018) for a StyleGAN2 backbone: one for frames, one for what moves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_v.config import Config
from stylegan_v.discriminator import Epilogue, ResidualBlock
from stylegan_v.layers import Linear, activate
from stylegan_v.mapping import Mapping

MOVING = 4  # layers of the video discriminator that see several frames at once
REACH = 4  # frames that each of them sees


@dataclass(frozen=True)
class ImageDiscriminatorConfig(Config):
    """StyleGAN2's discriminator for single frames; of every clip it judges `frames`, evenly spaced."""

    resolution: int
    frames: int = 2
    c_dim: int = 0
    channel_base: int = 16384
    channel_max: int = 512
    mbstd_group_size: int = 4
    conv_clamp: float | None = None
    num_fp16_res: int = 0
    mapping_lr_multiplier: float = 0.01

    # What the blocks ask for that this network shares with the clips' discriminator: here frames never meet.
    concat_res: ClassVar[int] = 0
    num_frames: ClassVar[int] = 1
    num_frames_div_factor: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self._require_resolution()
        self._require(self.resolution >= 8, "resolution", "8 or more")
        self._require_counts("frames", "channel_max", "mbstd_group_size")
        self._require_counts("channel_base", least=self.resolution)
        self._require_counts("c_dim", "num_fp16_res", least=0)
        self._require_positive("mapping_lr_multiplier")
        self._require(self.conv_clamp is None or self.conv_clamp > 0, "conv_clamp", "a positive number or none")

    def channels(self, resolution: int) -> int:
        """Feature channels at a resolution."""
        return min(self.channel_base // resolution, self.channel_max)



@dataclass(frozen=True)
class VideoDiscriminatorConfig(Config):
    """Convolutions over space and time on `num_frames` consecutive frames; its learning rate is `lr_factor` times the other's."""

    resolution: int
    num_frames: int = 16
    c_dim: int = 0
    channel_base: int = 2048
    channel_max: int = 512
    lr_factor: float = 0.1
    mapping_lr_multiplier: float = 0.01

    def __post_init__(self) -> None:
        self._require_resolution()
        self._require(self.resolution >= 8, "resolution", "8 or more")
        self._require_counts("channel_max")
        self._require_counts("num_frames", least=1 + (REACH - 1) * min(MOVING, self.layers), most=1024)
        self._require_counts("channel_base", least=self.resolution)
        self._require_counts("c_dim", least=0)
        self._require_positive("lr_factor", "mapping_lr_multiplier")

    @property
    def layers(self) -> int:
        """Halvings of the frames' size down to 4×4."""
        return self.resolution.bit_length() - 3

    def channels(self, resolution: int) -> int:
        """Feature channels at a resolution."""
        return min(self.channel_base // resolution, self.channel_max)


class ImageDiscriminator(nn.Module):
    """Logits [N · frames] of clips' frames [N, T, 3, H, W]; times play no part."""

    def __init__(self, cfg: ImageDiscriminatorConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.resolutions = [cfg.resolution >> i for i in range(cfg.resolution.bit_length() - 3)]  # down to 8
        for resolution in self.resolutions:
            setattr(self, f"b{resolution}", ResidualBlock(cfg, resolution))
        self.b4 = Epilogue(cfg)
        self.head = Head(cfg.channels(4), cfg.c_dim, cfg.mapping_lr_multiplier)
        self.compute_dtype, self.reduced_from = torch.float32, 4

    def set_precision(self, dtype: torch.dtype, highest: int | None = None) -> ImageDiscriminator:
        """Run the convolutions, of the `highest` resolutions alone if given, in `dtype`; the rest and all weights stay float32."""
        self.compute_dtype = dtype
        self.reduced_from = 4 if highest is None else 2 * self.cfg.resolution >> highest
        return self

    def forward(self, frames: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Logits [N · frames] of frames [N, T, 3, H, W], clip by clip."""
        count = min(self.cfg.frames, frames.shape[1])
        chosen = [i * frames.shape[1] // count for i in range(count)]
        x = frames[:, chosen].flatten(0, 1)
        for resolution in self.resolutions:
            x = getattr(self, f"b{resolution}")(x.to(self._dtype_at(resolution)), "fast")
        x = self.b4(x.to(self._dtype_at(4)), "fast")
        return self.head(x, None if c is None else c.repeat_interleave(count, dim=0))

    def _dtype_at(self, resolution: int) -> torch.dtype:
        return self.compute_dtype if resolution >= self.reduced_from else torch.float32


class VideoDiscriminator(nn.Module):
    """Logits [N] of clips [N, T, 3, H, W] of consecutive frames."""

    def __init__(self, cfg: VideoDiscriminatorConfig) -> None:
        super().__init__()
        self.cfg = cfg
        width = 3
        for i in range(cfg.layers):
            out = cfg.channels(cfg.resolution >> (i + 1))
            setattr(self, f"conv{i}", Conv3d(width, out, REACH if i < MOVING else 1))
            width = out
        self.fc = Linear(width * 16, cfg.channels(4), act=True)
        self.head = Head(cfg.channels(4), cfg.c_dim, cfg.mapping_lr_multiplier)
        self.compute_dtype = torch.float32

    def set_precision(self, dtype: torch.dtype, highest: int | None = None) -> VideoDiscriminator:
        """Run the convolutions in `dtype`, but never in float16, whose range their sums leave; weights stay float32."""
        self.compute_dtype = torch.float32 if dtype == torch.float16 else dtype
        return self

    def forward(self, frames: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Logits [N] of frames [N, T, 3, H, W]; raises ValueError for another number of frames than configured."""
        if frames.shape[1] != self.cfg.num_frames:
            raise ValueError(f"this discriminator wants {self.cfg.num_frames} consecutive frames a clip, not {frames.shape[1]}")
        x = frames.transpose(1, 2).to(self.compute_dtype)  # [N, 3, T, H, W]
        for i in range(self.cfg.layers):
            x = getattr(self, f"conv{i}")(x)
        x = x.to(self.fc.weight.dtype).mean(dim=2)  # what is left of time
        return self.head(self.fc(x.flatten(1)), c)


class Conv3d(nn.Module):
    """Equalised convolution over `reach` frames and 4×4 places that halves height and width, then the leaky ReLU times sqrt(2)."""

    def __init__(self, in_channels: int, out_channels: int, reach: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, reach, 4, 4))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.weight_gain = 1 / math.sqrt(in_channels * reach * 16)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, in, T, H, W] to [N, out, T - reach + 1, H / 2, W / 2]."""
        weight = (self.weight * self.weight_gain).to(x.dtype)
        return activate(F.conv3d(x, weight, self.bias.to(x.dtype), stride=(1, 2, 2), padding=(0, 1, 1)))


class Head(nn.Module):
    """Features to one logit; for a conditional network by their product with the labels' mapping."""

    def __init__(self, width: int, c_dim: int, lr_multiplier: float) -> None:
        super().__init__()
        self.c_dim, self.width = c_dim, width
        self.out = Linear(width, width if c_dim else 1)
        if c_dim:
            self.mapping = Mapping(0, width, c_dim=c_dim, lr_multiplier=lr_multiplier)

    def forward(self, x: Tensor, c: Tensor | None) -> Tensor:
        """[B, width] → [B]."""
        x = self.out(x)
        return (x * self.mapping.w(None, c)).sum(dim=1) / math.sqrt(self.width) if self.c_dim else x.squeeze(1)
