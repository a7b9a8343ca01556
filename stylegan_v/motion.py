"""Continuous motion codes (StyleGAN-V, section 3.1) and their LSTM ablations."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from stylegan_v.config import MotionConfig
from stylegan_v.layers import Conv1d, Linear
from stylegan_v.mapping import Mapping


class TimeEncoder(nn.Module):
    """Sine features whose period and phase come from the left code, zeroed at both codes and re-anchored there."""

    freqs: Tensor
    phase_scales: Tensor

    def __init__(self, cfg: MotionConfig) -> None:
        super().__init__()
        count = cfg.num_freqs
        exponents = torch.linspace(math.log2(cfg.min_period), math.log2(cfg.max_period), count, dtype=torch.float64)
        freqs = (2 * math.pi / 2**exponents).flip(0)  # ascending: the longest period first
        self.register_buffer("freqs", freqs.float().unsqueeze(0))
        self.register_buffer("phase_scales", (cfg.max_period * freqs / (2 * math.pi)).float().unsqueeze(0))
        self.periods_predictor = Linear(cfg.v_dim, count, bias=False)
        self.phase_predictor = Linear(cfg.v_dim, count, bias=False)
        self.aligners_predictor = Linear(cfg.v_dim, 2 * count, bias=False)

    def forward(self, t: Tensor, left: Tensor, right: Tensor, distance: int) -> Tensor:
        """motion_v [N, T, 2F] at t [N, T] between codes left and right [N, T, v_dim]."""
        t = t.unsqueeze(-1)
        t_left = t - t % distance
        alpha = ((t - t_left) / distance).to(left.dtype)
        rate = self.freqs * (torch.tanh(self.periods_predictor(left)) + 1)
        phase = self.phase_predictor(left) * self.phase_scales

        def waves(at: Tensor) -> Tensor:
            angle = rate.to(at.dtype) * at + phase.to(at.dtype)
            return torch.cat([angle.sin(), angle.cos()], dim=-1).to(left.dtype)

        ends = waves(t_left).lerp(waves(t_left + distance), alpha)
        anchors = self.aligners_predictor(left).lerp(self.aligners_predictor(right), alpha)
        return waves(t) - ends + anchors


class MotionEncoder(nn.Module):
    """t [N, T] (frames, real-valued, ≥ 0) and motion_z [N, M, z_dim] → motion_v [N, T, V]."""

    def __init__(self, cfg: MotionConfig, c_dim: int = 0) -> None:
        super().__init__()
        self.cfg, self.c_dim = cfg, c_dim
        if cfg.kind == "conv":
            self.conv = nn.Sequential(
                Conv1d(cfg.z_dim + c_dim, cfg.z_dim, cfg.kernel_size, cfg.lr_multiplier),  # the official files widen in the second one
                Conv1d(cfg.z_dim, cfg.v_dim, cfg.kernel_size, cfg.lr_multiplier),
            )
            self.time_encoder = TimeEncoder(cfg)
        else:
            self.rnn = nn.LSTM(cfg.z_dim + c_dim, cfg.z_dim, batch_first=True)
            self.mapping = Mapping(cfg.z_dim, cfg.v_dim, c_dim=c_dim, lr_multiplier=cfg.lr_multiplier)

    def num_codes(self, max_t: float) -> int:
        """Motion codes M that frames up to `max_t` need, at least those of the training length."""
        span = max(self.cfg.max_num_frames - 1, max_t)
        return math.ceil(span / self.cfg.distance) + 2 + self.window - 1

    @property
    def window(self) -> int:
        """How many motion codes one trajectory code sees."""
        return 2 * (self.cfg.kernel_size - 1) + 1 if self.cfg.kind == "conv" else 1

    def trajectory(self, motion_z: Tensor, c: Tensor | None = None) -> Tensor:
        """u [N, M', v_dim] (the LSTM's z_dim), one code every `distance` frames; convolutions shorten M by window - 1."""
        if self.c_dim:
            if c is None:
                raise ValueError(f"this motion encoder is conditional: it wants labels c [N, {self.c_dim}], not none")
            motion_z = torch.cat([motion_z, c.unsqueeze(1).expand(-1, motion_z.shape[1], -1)], dim=2)
        if self.cfg.kind == "lstm":
            return self.rnn(motion_z)[0]
        if motion_z.shape[1] < self.window:
            raise ValueError(f"{motion_z.shape[1]} motion codes are too few: the motion encoder sees {self.window} at once")
        return self.conv(motion_z.transpose(1, 2)).transpose(1, 2)

    def forward(self, t: Tensor, u: Tensor, c: Tensor | None = None) -> Tensor:
        """motion_v [N, T, V] at t [N, T], on any device, on trajectories u [N, M', v_dim]; ValueError where t leaves the trajectory."""
        distance = self.cfg.distance
        # Phases grow with t: in float32, which is all that Apple's mps has, they lose digits in the thousands of frames.
        t = t.to(torch.float32 if "mps" in (t.device.type, u.device.type) else torch.float64)
        if self.cfg.integer_t:
            t = t.round()
        index = (t / distance).floor().long()
        last = u.shape[1] - 2
        if t.numel() and (index.min() < 0 or index.max() > last):
            raise ValueError(f"t from {t.min():g} to {t.max():g} leaves the motion codes, which cover 0 ≤ t < {(last + 1) * distance}")
        t, index = t.to(u.device), index.to(u.device)
        rows = torch.arange(u.shape[0], device=u.device).unsqueeze(1)
        left, right = u[rows, index], u[rows, index + 1]  # [N, T, v_dim]
        if self.cfg.kind == "conv":
            return self.time_encoder(t, left, right, distance)
        alpha = ((t % distance) / distance).to(u.dtype).unsqueeze(-1)
        codes = left.lerp(right, alpha).flatten(0, 1)
        labels = None if c is None or not self.c_dim else c.repeat_interleave(t.shape[1], dim=0)
        return self.mapping.w(codes, labels).unflatten(0, t.shape)
