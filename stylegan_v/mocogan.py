"""The two discriminators of MoCoGAN with a StyleGAN2 backbone: one for single frames, one for 16 consecutive ones.

The generator of this baseline is `GeneratorConfig(motion_in="styles", input_kind="const", motion=MotionConfig(kind="lstm", distance=1,
integer_t=True))`. Tulyakov et al., MoCoGAN, CVPR 2018; Skorokhodov et al., StyleGAN-V, CVPR 2022, compare with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_v.config import Config
from stylegan_v.discriminator import Epilogue, ResidualBlock
from stylegan_v.layers import GAIN, SLOPE
from stylegan_v.mapping import Mapping

HIDDEN = 4  # convolutions before the one that gives the logits
KERNEL = 4  # a side, in time and space: five of them, unpadded in time, make one moment of 16 frames
NUM_FRAMES = 1 + (HIDDEN + 1) * (KERNEL - 1)


@dataclass(frozen=True)
class ImageDiscriminatorConfig(Config):
    """StyleGAN2's discriminator, residual, for single frames."""

    resolution: int
    c_dim: int = 0
    channel_base: int = 16384
    channel_max: int = 512
    mbstd_group_size: int = 4
    conv_clamp: float | None = None
    mapping_lr_multiplier: float = 0.01

    def __post_init__(self) -> None:
        self._require_resolution()
        self._require(self.resolution >= 8, "resolution", "a power of two from 8 to 4096")
        self._require_counts("channel_max", "mbstd_group_size")
        self._require_counts("channel_base", least=self.resolution)
        self._require_counts("c_dim", least=0)
        self._require_positive("mapping_lr_multiplier")
        self._require(self.conv_clamp is None or self.conv_clamp > 0, "conv_clamp", "a positive number or none")

    def channels(self, resolution: int) -> int:
        """Feature channels at a resolution."""
        return min(self.channel_base // resolution, self.channel_max)

    @property
    def concat_res(self) -> int:
        """0: no block concatenates frames."""
        return 0

    @property
    def num_frames(self) -> int:
        """1: a frame is judged by itself."""
        return 1

    @property
    def num_frames_div_factor(self) -> int:
        """1: no block saves channels for others."""
        return 1


class ImageDiscriminator(nn.Module):
    """Logits of single frames: frames [N, T, 3, H, W] in [-1, 1] → [N, T], every frame by itself.

    MoCoGAN shows it one random frame of each clip. The minibatch standard deviation compares the N·T frames in groups, so hand in
    frames of one clip only where that is wanted.
    """

    def __init__(self, cfg: ImageDiscriminatorConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.resolutions = [cfg.resolution >> i for i in range(cfg.resolution.bit_length() - 3)]  # down to 8
        for resolution in self.resolutions:
            setattr(self, f"b{resolution}", ResidualBlock(cfg, resolution))
        self.cmap_dim = cfg.channels(4)
        self.b4 = Epilogue(cfg, out_dim=self.cmap_dim if cfg.c_dim else 1)
        if cfg.c_dim:
            self.mapping = Mapping(0, self.cmap_dim, c_dim=cfg.c_dim, lr_multiplier=cfg.mapping_lr_multiplier)
        self.compute_dtype = torch.float32

    def forward(self, frames: Tensor, c: Tensor | None = None, path: str = "fast") -> Tensor:
        """Logits [N, T]; labels c [N, c_dim] belong to the clips. ValueError for frames of another size."""
        size = self.cfg.resolution
        if frames.ndim != 5 or frames.shape[2:] != (3, size, size):
            raise ValueError(f"this discriminator wants frames [N, T, 3, {size}, {size}], not {list(frames.shape)}")
        x = frames.flatten(0, 1).to(self.compute_dtype)
        if path == "fast":
            x = x.contiguous(memory_format=torch.channels_last)
        for resolution in self.resolutions:
            x = getattr(self, f"b{resolution}")(x, path)
        x = self.b4(x, path).unflatten(0, frames.shape[:2])  # [N, T, 1 or cmap_dim]
        if self.cfg.c_dim:
            x = (x * self.mapping.w(None, c).unsqueeze(1)).sum(dim=2, keepdim=True) / math.sqrt(self.cmap_dim)
        return x.squeeze(2)


@dataclass(frozen=True)
class VideoDiscriminatorConfig(Config):
    """The 3-D convolutions: `channels` after the first one, twice as many after each of the next three, at most `channel_max`."""

    resolution: int
    channels: int = 64
    channel_max: int = 512

    def __post_init__(self) -> None:
        self._require_resolution()
        self._require(self.resolution >= 32, "resolution", "a power of two from 32 to 4096")
        self._require_counts("channels", "channel_max", most=1 << 14)

    @property
    def num_frames(self) -> int:
        """16, which the convolutions bring down to one moment."""
        return NUM_FRAMES

    def widths(self) -> list[int]:
        """Channels from the frames to the logits."""
        return [3, *(min(self.channels << i, self.channel_max) for i in range(HIDDEN)), 1]


class Conv3d(nn.Module):
    """4×4×4 convolution, unpadded in time, halving the frame; weights at unit variance, scaled when used."""

    def __init__(self, in_channels: int, out_channels: int, act: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, KERNEL, KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.gain = (GAIN if act else 1.0) / math.sqrt(in_channels * KERNEL**3)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """[N, I, T, H, W] → [N, O, T - 3, H / 2, W / 2]."""
        bias = self.bias * GAIN if self.act else self.bias
        y = F.conv3d(x, (self.weight * self.gain).to(x.dtype), bias.to(x.dtype), stride=(1, 2, 2), padding=(0, 1, 1))
        return F.leaky_relu(y, SLOPE) if self.act else y


class VideoDiscriminator(nn.Module):
    """Logits of patches of clips: frames [N, 16, 3, H, W] in [-1, 1], consecutive, → [N, P], P = (H / 32)².

    Each logit sees all 16 frames of a part of 94 × 94 pixels, as in MoCoGAN; the loss is the mean over patches, and R1 is taken of
    `logits.mean(dim=1)`, so that it does not grow with the frame. Where MoCoGAN normalises over the batch, here weights are
    equalised and nothing is normalised: batch statistics would couple the clips (R1's gradients with them) and differ from
    process to process, and R1 holds the scale. Labels are left to the image discriminator.
    """

    def __init__(self, cfg: VideoDiscriminatorConfig) -> None:
        super().__init__()
        self.cfg = cfg
        widths = cfg.widths()
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.layers = nn.ModuleList([Conv3d(a, b, act=i < HIDDEN) for i, (a, b) in enumerate(pairs)])
        self.compute_dtype = torch.float32

    def forward(self, frames: Tensor) -> Tensor:
        """Logits [N, P]; ValueError for another number or size of frames."""
        size = self.cfg.resolution
        if frames.ndim != 5 or frames.shape[1:] != (NUM_FRAMES, 3, size, size):
            found = list(frames.shape)
            raise ValueError(f"the video discriminator wants {NUM_FRAMES} consecutive frames a clip, [N, {NUM_FRAMES}, 3, {size}, {size}], not {found}")
        x = frames.transpose(1, 2).to(self.compute_dtype)  # [N, 3, T, H, W]
        for layer in self.layers:
            x = layer(x)
        return x.flatten(1).to(frames.dtype)
