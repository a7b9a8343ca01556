"""The synthesis network: ws and motion to frames. Content is constant in time, motion enters at 4×4 (or in the styles)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_v.config import GeneratorConfig
from stylegan_v.layers import GAIN, SLOPE, Linear, activate
from stylegan_v.motion import MotionEncoder
from stylegan_v.ops.modconv import demodulation, modulated_conv_reference, shared_conv
from stylegan_v.ops.resample import upsample_image

Noise = Literal["const", "none"] | torch.Generator
Path = Literal["fast", "reference"]


class ModulatedLayer(nn.Module):
    """A modulated convolution with its style affine: a hidden layer (3×3, demodulated, activated) or a ToRGB (1×1)."""

    noise_const: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        style_dim: int,
        resolution: int,
        *,
        rgb: bool = False,
        up: bool = False,
        noise: bool = False,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        k = 1 if rgb else 3
        self.rgb, self.up, self.clamp, self.resolution = rgb, up, clamp, resolution
        self.affine = Linear(style_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, k, k))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.style_gain = 1 / math.sqrt(in_channels) if rgb else 1.0
        self.use_noise = noise
        if noise:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
            self.noise_strength = nn.Parameter(torch.zeros([]))
        self._kept: tuple[object, Tensor, Tensor] | None = None

    def kernels(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The shared kernel of the fast path in `dtype` and the squared weights [O, I]; kept while the weight is frozen.

        What learns is never kept, without gradients neither: fused optimisers do not raise the version that tells of a change.
        """
        frozen = not self.weight.requires_grad
        key = (self.weight.data_ptr(), self.weight._version, self.weight.device, dtype)
        if frozen and self._kept is not None and self._kept[0] == key:
            return self._kept[1], self._kept[2]
        weight: Tensor = self.weight
        if dtype == torch.float16 and not self.rgb:  # demodulation undoes any scale; without this one, sums leave half precision's range
            weight = weight / (weight.abs().amax(dim=(1, 2, 3), keepdim=True) * math.sqrt(weight[0].numel()) + 1e-8)
        kernel = self._laid_out(weight, dtype)
        energy = weight.square().sum(dim=(2, 3))
        if frozen and not torch.is_inference_mode_enabled():
            self._kept = (key, kernel.detach(), energy.detach())
        return kernel, energy

    def _laid_out(self, weight: Tensor, dtype: torch.dtype) -> Tensor:
        """A weight [O, I, k, k] as `shared_conv` wants it."""
        weight = weight.transpose(0, 1) if self.up else weight
        return weight.to(dtype).contiguous(memory_format=torch.channels_last)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_kept": None}  # a copy or a pickle does not carry the cache

    def forward(self, x: Tensor, styles: Tensor, noise: Noise = "const", path: Path = "fast") -> Tensor:
        """Map x [N·T, I, H, W] with styles [N, 1 or T, I] to [N·T, O, H', W']."""
        batch = x.shape[0]
        styles = styles * self.style_gain
        if path == "reference":
            x = modulated_conv_reference(x, self.weight, _per_frame(styles, batch), demodulate=not self.rgb, up=self.up)
            x = x + self._offset(x, noise)
            return self._clamped(x) if self.rgb else activate(x, clamp=self.clamp)
        if styles.shape[:2] == (1, 1) and not (torch.is_grad_enabled() and (styles.requires_grad or self.weight.requires_grad)):
            return self._steady(x, styles[0, 0], noise)
        kernel, energy = self.kernels(x.dtype)
        if x.dtype == torch.float16 and not self.rgb:
            styles = styles / (styles.abs().amax(dim=2, keepdim=True) + 1e-8)
        x = x * _per_frame(styles, batch).to(x.dtype)[:, :, None, None]
        if self.rgb:
            return self._clamped(shared_conv(x, kernel, self.bias.to(x.dtype)))
        # The activation's gain is folded into what is scaled and added anyway; the leaky ReLU is homogeneous.
        factors = _per_frame(demodulation(energy, styles), batch) * GAIN
        x = shared_conv(x, kernel, up=self.up)
        x = torch.addcmul(self._offset(x, noise) * GAIN, x, factors.to(x.dtype)[:, :, None, None])
        return self._activated(x)

    def _steady(self, x: Tensor, style: Tensor, noise: Noise) -> Tensor:
        """The fast path where all frames share one style [I] and nothing here wants a gradient: all scales go into the kernel."""
        weight = self.weight * style[:, None, None]
        if not self.rgb:
            weight = weight * (torch.rsqrt(weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8) * GAIN)
        kernel = self._laid_out(weight, x.dtype)
        if self.rgb:
            return self._clamped(shared_conv(x, kernel, self.bias.to(x.dtype)))
        if self.use_noise:
            x = shared_conv(x, kernel, up=self.up)
            return self._activated(x + self._offset(x, noise) * GAIN)
        return self._activated(shared_conv(x, kernel, (self.bias * GAIN).to(x.dtype), up=self.up))

    def _activated(self, x: Tensor) -> Tensor:
        return self._clamped(F.leaky_relu(x, SLOPE, inplace=not torch.is_grad_enabled()))

    def _clamped(self, x: Tensor) -> Tensor:
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)

    def _offset(self, x: Tensor, noise: Noise) -> Tensor:
        """Bias and, where the layer has it, noise: [O, 1, 1] or [B or 1, O, H, W], in the type of x."""
        bias = self.bias[:, None, None]
        if self.use_noise and noise != "none":
            bias = bias + self._noise(noise, x.shape[0], x) * self.noise_strength
        return bias.to(x.dtype)

    def _noise(self, noise: Noise, batch: int, x: Tensor) -> Tensor:
        if isinstance(noise, torch.Generator):
            shape = (batch, 1, self.resolution, self.resolution)
            return torch.randn(shape, generator=noise, device=noise.device).to(x.device)
        return self.noise_const


def _per_frame(styles: Tensor, batch: int) -> Tensor:
    """Styles [N, 1 or T, I] as one row a frame, [N·T, I]."""
    n, frames, width = styles.shape
    return styles.expand(n, batch // n, width).reshape(batch, width) if frames == 1 else styles.reshape(batch, width)


class TemporalInput(nn.Module):
    """The learned constant [1, C, 4, 4], to which the motion codes are appended as channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.const = nn.Parameter(torch.randn(1, channels, 4, 4))


class WrappedInput(nn.Module):
    """A holder whose only member `input` is the constant; it exists for the names in official files."""

    def __init__(self, channels: int, temporal: bool) -> None:
        super().__init__()
        self.input = TemporalInput(channels) if temporal else nn.Parameter(torch.randn(channels, 4, 4))


class Block(nn.Module):
    """All layers of one resolution."""

    def __init__(self, cfg: GeneratorConfig, resolution: int) -> None:
        super().__init__()
        channels = cfg.channels(resolution)
        style_dim = cfg.w_dim + (cfg.motion_dim if cfg.motion_in == "styles" else 0)
        extra = cfg.motion_dim if cfg.motion_in == "input" else 0
        clamp, noise = cfg.conv_clamp, cfg.use_noise
        if resolution > 4:
            self.conv0 = ModulatedLayer(cfg.channels(resolution // 2), channels, style_dim, resolution, up=True, noise=noise, clamp=clamp)
        elif cfg.input_kind == "bare":
            self.const = nn.Parameter(torch.randn(channels, 4, 4))
        else:
            self.input = WrappedInput(channels, cfg.input_kind == "temporal")
        in_channels = channels + (extra if resolution == 4 else 0)
        self.conv1 = ModulatedLayer(in_channels, channels, style_dim, resolution, noise=noise, clamp=clamp)
        self.torgb = ModulatedLayer(channels, 3, style_dim, resolution, rgb=True, clamp=clamp)

    def constant(self) -> Tensor:
        """The learned 4×4 constant, [C, 4, 4]."""
        if hasattr(self, "const"):
            return self.const
        inner = self.input.input
        return inner.const[0] if isinstance(inner, TemporalInput) else inner


class Synthesis(nn.Module):
    """ws [N, L, D] or per frame [N, T, L, D], with t and motion_z or motion_v, to frames [N, T, 3, H, W]."""

    def __init__(self, cfg: GeneratorConfig) -> None:
        super().__init__()
        self.cfg = cfg
        if cfg.motion:
            self.motion_encoder = MotionEncoder(cfg.motion, cfg.c_dim)
        for resolution in cfg.resolutions:
            setattr(self, f"b{resolution}", Block(cfg, resolution))
        self.num_ws = sum(1 if resolution == 4 else 2 for resolution in cfg.resolutions) + 1
        self.compute_dtype = torch.float32  # of the convolutions; set_precision changes it, weights stay float32
        self.reduced_from = 4  # the lowest resolution computed in it, those below in float32

    def dtype_at(self, resolution: int) -> torch.dtype:
        """The type that a resolution's convolutions are computed in."""
        return self.compute_dtype if resolution >= self.reduced_from else torch.float32

    def layers(self) -> Iterator[tuple[str, int, ModulatedLayer]]:
        """Name, ws row and module of every modulated layer, in order; a ToRGB shares the row of the next block's first convolution."""
        row = 0
        for resolution in self.cfg.resolutions:
            block = getattr(self, f"b{resolution}")
            for name in ("conv0", "conv1"):
                if hasattr(block, name):
                    yield f"b{resolution}.{name}", row, getattr(block, name)
                    row += 1
            yield f"b{resolution}.torgb", row, block.torgb

    def styles(self, ws: Tensor, motion_v: Tensor | None = None) -> dict[str, Tensor]:
        """Styles of every layer, [N, 1, I], or [N, T, I] for ws per frame or where motion enters the styles."""
        if ws.ndim == 3:
            ws = ws.unsqueeze(1)  # [N, 1, L, D]
        if self.cfg.motion_in == "styles" and self.cfg.motion:
            if motion_v is None:
                raise ValueError("this generator's styles depend on motion: motion_v [N, T, V] is wanted")
            frames = motion_v.shape[1]
            rows = motion_v.unsqueeze(2).expand(-1, -1, ws.shape[2], -1)
            ws = torch.cat([ws.expand(-1, frames, -1, -1), rows], dim=3)
        return {name: layer.affine(ws[:, :, row]) for name, row, layer in self.layers()}

    def forward(
        self,
        ws: Tensor,
        t: Tensor | None = None,
        motion_z: Tensor | None = None,
        c: Tensor | None = None,
        *,
        motion_v: Tensor | None = None,
        styles_delta: Mapping[str, Tensor] | None = None,
        noise: Noise = "const",
        path: Path = "fast",
    ) -> Tensor:
        """Frames [N, T, 3, H, W], about in [-1, 1], of ws [N, L, D] or [N, T, L, D].

        Motion is given as codes `motion_v` [N, T, V], or as `t` [N, T] (frames) with `motion_z` [N, M, z_dim]; an image
        generator takes neither. `styles_delta` maps layer names to changes [I], [T, I] or [N, T, I] added to the styles.
        `path="reference"` is the plain, slow form of every convolution. Raises ValueError for shapes that do not fit.
        """
        motion_v = self._motion(t, motion_z, c, motion_v)
        n, frames = self._counts(ws, motion_v)
        styles = self.styles(ws, motion_v)
        if styles_delta:
            styles = _changed(styles, styles_delta)
        *_, image = self._images(styles, motion_v, n * frames, noise, path)
        return image.unflatten(0, (n, frames))

    def pyramid(self, ws: Tensor, motion_v: Tensor | None = None, top: int | None = None) -> list[Tensor]:
        """The image as it grows: frames [N, T, 3, r, r] at r = 4, 8, … up to `top` (the full resolution by default)."""
        n, frames = self._counts(ws, motion_v)
        count = sum(1 for resolution in self.cfg.resolutions if top is None or resolution <= top)
        images = self._images(self.styles(ws, motion_v), motion_v, n * frames, "const", "fast")
        return [image.unflatten(0, (n, frames)) for image in islice(images, count)]

    def _motion(self, t: Tensor | None, motion_z: Tensor | None, c: Tensor | None, motion_v: Tensor | None) -> Tensor | None:
        if self.cfg.motion is None or motion_v is not None:
            return motion_v if self.cfg.motion else None
        if t is None or motion_z is None:
            raise ValueError("a video generator wants motion_v, or t and motion_z")
        return self.motion_encoder(t, self.motion_encoder.trajectory(motion_z, c), c)

    def _counts(self, ws: Tensor, motion_v: Tensor | None) -> tuple[int, int]:
        frames = ws.shape[1] if ws.ndim == 4 else 1
        if motion_v is not None:
            if frames not in (1, motion_v.shape[1]):
                raise ValueError(f"ws has {frames} frames, motion_v {motion_v.shape[1]}")
            frames = motion_v.shape[1]
        return ws.shape[0], frames

    def _images(self, styles: dict[str, Tensor], motion_v: Tensor | None, batch: int, noise: Noise, path: Path) -> Iterator[Tensor]:
        """The image [B, 3, r, r] at every resolution, lowest first; nothing beyond what is taken is computed."""
        x = self._input(motion_v, batch).to(self.dtype_at(4))
        if path == "fast":
            x = x.contiguous(memory_format=torch.channels_last)
        image: Tensor | None = None
        for resolution in self.cfg.resolutions:
            block, key = getattr(self, f"b{resolution}"), f"b{resolution}."
            x = x.to(self.dtype_at(resolution))
            for name in ("conv0", "conv1"):
                if hasattr(block, name):
                    x = getattr(block, name)(x, styles[key + name], noise, path)
            rgb = block.torgb(x, styles[key + "torgb"], noise, path)
            rgb = rgb.to(torch.promote_types(rgb.dtype, torch.float32))
            image = rgb if image is None else upsample_image(image) + rgb
            yield image

    def _input(self, motion_v: Tensor | None, batch: int) -> Tensor:
        lowest = self.b4
        assert isinstance(lowest, Block)
        x = lowest.constant().unsqueeze(0).expand(batch, -1, -1, -1)
        if motion_v is None or self.cfg.motion_in == "styles":
            return x
        motion = motion_v.reshape(batch, -1, 1, 1).expand(-1, -1, 4, 4)
        return torch.cat([x, motion], dim=1)


def _changed(styles: dict[str, Tensor], delta: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if unknown := sorted(set(delta) - set(styles)):
        raise ValueError(f"styles_delta names {unknown[0]!r}; this generator has {', '.join(styles)}")
    return {name: value + delta[name] if name in delta else value for name, value in styles.items()}
