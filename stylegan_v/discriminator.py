"""One discriminator for image and motion: the frames of a clip meet as channels at `concat_res` (StyleGAN-V, section 3.3)."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from stylegan_v.config import DiscriminatorConfig
from stylegan_v.layers import Conv2d, Linear
from stylegan_v.mapping import Mapping

SKIP_GAIN = math.sqrt(0.5)


class BlockConfig(Protocol):
    """What the residual blocks and the epilogue want to know. With one frame nothing is concatenated, and `concat_res` fits no block."""

    @property
    def resolution(self) -> int:
        """Of the frames."""
        ...

    @property
    def concat_res(self) -> int:
        """Where the frames of a clip become channels."""
        ...

    @property
    def num_frames(self) -> int:
        """T."""
        ...

    @property
    def num_frames_div_factor(self) -> int:
        """By how much the channels are divided before they are concatenated."""
        ...

    @property
    def mbstd_group_size(self) -> int:
        """G of the minibatch standard deviation."""
        ...

    @property
    def conv_clamp(self) -> float | None:
        """Bound of the activations, if any."""
        ...

    def channels(self, resolution: int) -> int:
        """Feature channels at a resolution."""
        ...


class FourierTime(nn.Module):
    """Fixed sine features of a time difference."""

    fourier_coefs: Tensor

    def __init__(self, max_num_frames: int) -> None:
        super().__init__()
        octaves = math.ceil(math.log2(max_num_frames))
        coefs = math.pi * 2.0 ** torch.arange(octaves, dtype=torch.float64) / 2**octaves
        self.register_buffer("fourier_coefs", coefs.float().unsqueeze(0))

    def forward(self, delta: Tensor) -> Tensor:
        """[B] → [B, 2 · octaves]."""
        angle = delta.unsqueeze(1) * self.fourier_coefs
        return torch.cat([angle.sin(), angle.cos()], dim=1)


class TimeDifferenceEncoder(nn.Module):
    """Features of the T - 1 differences between the frames' times, concatenated."""

    def __init__(self, max_num_frames: int, embed_dim: int, num_frames: int) -> None:
        super().__init__()
        self.const_embed = nn.Embedding(max_num_frames, embed_dim)
        self.time_encoder = FourierTime(max_num_frames)
        self.max_num_frames = max_num_frames
        self.out_dim = (num_frames - 1) * (embed_dim + 2 * self.time_encoder.fourier_coefs.shape[1])

    def forward(self, t: Tensor) -> Tensor:
        """t [N, T] → [N, out_dim]."""
        delta = t.diff(dim=1).flatten().float()
        table = self.const_embed(delta.round().long().clamp(0, self.max_num_frames - 1))
        return torch.cat([table, self.time_encoder(delta)], dim=1).reshape(t.shape[0], -1)


class ResidualBlock(nn.Module):
    """Halve the resolution; the block that runs at `concat_res` takes the frames of a clip side by side."""

    def __init__(self, cfg: BlockConfig, resolution: int) -> None:
        super().__init__()
        here, out = cfg.channels(resolution), cfg.channels(resolution // 2)
        into = here
        if resolution == cfg.concat_res:
            into = here // cfg.num_frames_div_factor * cfg.num_frames
        if resolution // 2 == cfg.concat_res:
            out //= cfg.num_frames_div_factor
        if resolution == cfg.resolution:
            into = here // cfg.num_frames_div_factor if resolution == cfg.concat_res else here
            self.fromrgb = Conv2d(3, into, 1, clamp=cfg.conv_clamp)
            if resolution == cfg.concat_res:
                into *= cfg.num_frames
        self.frames = cfg.num_frames if resolution == cfg.concat_res else 1
        self.conv0 = Conv2d(into, here, 3, clamp=cfg.conv_clamp)
        self.conv1 = Conv2d(here, out, 3, down=True, clamp=cfg.conv_clamp)
        self.skip = Conv2d(into, out, 1, bias=False, down=True, act=False)

    def forward(self, x: Tensor, path: str) -> Tensor:
        """[B, C, r, r] (the image at the first block) → [B or N, C', r / 2, r / 2]."""
        if hasattr(self, "fromrgb"):
            x = self.fromrgb(x, path=path)
        if self.frames > 1:
            x = x.unflatten(0, (-1, self.frames)).flatten(1, 2)  # [N, T·C, r, r], frame by frame
        y = self.skip(x, gain=SKIP_GAIN, path=path)
        return y + self.conv1(self.conv0(x, path=path), gain=SKIP_GAIN, path=path)


class Epilogue(nn.Module):
    """4×4 features to a vector, after one channel that tells how much the clips of a batch differ."""

    def __init__(self, cfg: BlockConfig, out_dim: int | None = None) -> None:
        super().__init__()
        channels = cfg.channels(4)
        self.group_size = cfg.mbstd_group_size
        self.conv = Conv2d(channels + 1, channels, 3, clamp=cfg.conv_clamp)
        self.fc = Linear(channels * 16, channels, act=True)
        self.out = Linear(channels, channels if out_dim is None else out_dim)

    def forward(self, x: Tensor, path: str) -> Tensor:
        """[N, C, 4, 4] → [N, channels(4) or out_dim]."""
        x = torch.cat([x, self._spread(x)], dim=1)
        x = self.conv(x, path=path).to(self.fc.weight.dtype)
        return self.out(self.fc(x.flatten(1)))

    def _spread(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        group = min(self.group_size, n)
        if n % group:
            raise ValueError(f"{n} clips do not divide into groups of {group} for the minibatch standard deviation")
        y = x.to(torch.promote_types(x.dtype, torch.float32)).reshape(group, n // group, c, h, w)
        y = (y.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
        return y.repeat(group).reshape(n, 1, 1, 1).expand(n, 1, h, w).to(x.dtype)


class Discriminator(nn.Module):
    """Logits of clips: frames [N, T, 3, H, W] in [-1, 1] at times t [N, T] (frames), T fixed by the configuration."""

    def __init__(self, cfg: DiscriminatorConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.resolutions = [cfg.resolution >> i for i in range(cfg.resolution.bit_length() - 3)]  # down to 8
        for resolution in self.resolutions:
            setattr(self, f"b{resolution}", ResidualBlock(cfg, resolution))
        self.b4 = Epilogue(cfg)
        self.time_encoder = TimeDifferenceEncoder(cfg.max_num_frames, cfg.time_embed_dim, cfg.num_frames)
        self.cmap_dim = cfg.channels(4)
        self.mapping = Mapping(
            0, self.cmap_dim, c_dim=cfg.c_dim + self.time_encoder.out_dim, lr_multiplier=cfg.mapping_lr_multiplier
        )
        self.compute_dtype = torch.float32
        self.reduced_from = 4  # the lowest resolution computed in it, those below in float32

    def set_precision(self, dtype: torch.dtype, highest: int | None = None) -> Discriminator:
        """Run the convolutions, of the `highest` resolutions alone if given, in `dtype`; the rest and all weights stay float32."""
        self.compute_dtype = dtype
        self.reduced_from = 4 if highest is None else 2 * self.cfg.resolution >> highest
        return self

    def dtype_at(self, resolution: int) -> torch.dtype:
        """The type that a resolution's convolutions are computed in."""
        return self.compute_dtype if resolution >= self.reduced_from else torch.float32

    def forward(self, frames: Tensor, t: Tensor, c: Tensor | None = None, path: str = "fast") -> Tensor:
        """Logits [N]; raises ValueError where the number of frames is not the configured one."""
        n, count = frames.shape[:2]
        if count != self.cfg.num_frames or t.shape != (n, count):
            raise ValueError(f"this discriminator wants {self.cfg.num_frames} frames and times a clip, not {count} and {tuple(t.shape)}")
        x = frames.flatten(0, 1).to(self.dtype_at(self.cfg.resolution))
        if path == "fast":
            x = x.contiguous(memory_format=torch.channels_last)
        for resolution in self.resolutions:
            x = getattr(self, f"b{resolution}")(x.to(self.dtype_at(resolution)), path)
        x = self.b4(x.to(self.dtype_at(4)), path)
        times = self.time_encoder(t)
        labels = times if c is None or not self.cfg.c_dim else torch.cat([c, times], dim=1)
        cmap = self.mapping.w(None, labels)
        return (x * cmap).sum(dim=1) / math.sqrt(self.cmap_dim)
