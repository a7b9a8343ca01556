"""Frozen hyper-parameters of the networks, checked when they are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self


class ConfigError(ValueError):
    """A hyper-parameter is unknown or has a value that no network can have."""


@dataclass(frozen=True)
class Config:
    """What every configuration shares: plain-data form and checks."""

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON-able data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The configuration of plain data; raises ConfigError for unknown keys and bad values."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"{cls.__name__} has no key {unknown[0]!r}; it knows {', '.join(sorted(known))}")
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigError(f"{cls.__name__}: {error}") from None

    def _require(self, condition: bool, key: str, wanted: str) -> None:
        if not condition:
            raise ConfigError(f"{type(self).__name__}.{key} is {getattr(self, key)!r}, wanted {wanted}")

    def _require_counts(self, *keys: str, least: int = 1, most: int = 1 << 20) -> None:
        for key in keys:
            value = getattr(self, key)
            good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
            self._require(good, key, f"a whole number from {least} to {most}")

    def _require_resolution(self) -> None:
        value = getattr(self, "resolution", None)
        good = isinstance(value, int) and 4 <= value <= 4096 and value & (value - 1) == 0
        self._require(good, "resolution", "a power of two from 4 to 4096")

    def _require_positive(self, *keys: str) -> None:
        for key in keys:
            value = getattr(self, key)
            good = isinstance(value, int | float) and 0 < value < 1e9
            self._require(good, key, "a positive number")


@dataclass(frozen=True)
class MotionConfig(Config):
    """Motion codes: `conv` is StyleGAN-V's encoder, `lstm` its ablation and MoCoGAN's codes.

    `distance` (frames between two codes) and the periods of the sine features are in frames.
    """

    kind: Literal["conv", "lstm"] = "conv"
    z_dim: int = 512
    v_dim: int = 512
    distance: int = 16
    kernel_size: int = 11
    num_freqs: int = 256
    min_period: float = 16.0
    max_period: float = 1024.0
    lr_multiplier: float = 0.01
    max_num_frames: int = 1024
    integer_t: bool = False

    def __post_init__(self) -> None:
        self._require(self.kind in ("conv", "lstm"), "kind", "'conv' or 'lstm'")
        self._require_counts("z_dim", "v_dim", "distance", "kernel_size", "num_freqs", "max_num_frames")
        self._require_positive("min_period", "max_period", "lr_multiplier")

    @property
    def out_dim(self) -> int:
        """V, the size of motion_v."""
        return 2 * self.num_freqs if self.kind == "conv" else self.v_dim


@dataclass(frozen=True)
class GeneratorConfig(Config):
    """A generator. `motion=None` is an image generator; `motion_in="styles"` is MoCoGAN with a StyleGAN2 backbone.

    `input_kind` only names the learned constant in the state dict: `temporal`, `const` or `bare` (see `synthesis`).
    `fps` is the generator's own clock: t = seconds * fps.
    """

    resolution: int
    z_dim: int = 512
    w_dim: int = 512
    c_dim: int = 0
    channel_base: int = 16384
    channel_max: int = 512
    mapping_layers: int = 2
    mapping_lr_multiplier: float = 0.01
    conv_clamp: float | None = None
    num_fp16_res: int = 0
    use_noise: bool = False
    input_kind: Literal["temporal", "const", "bare"] = "temporal"
    motion: MotionConfig | None = None
    motion_in: Literal["input", "styles"] = "input"
    fps: float = 25.0

    def __post_init__(self) -> None:
        motion: Any = self.motion  # from_dict leaves a plain table here
        if isinstance(motion, Mapping):
            object.__setattr__(self, "motion", MotionConfig.from_dict(motion))
        self._require(self.motion is None or isinstance(self.motion, MotionConfig), "motion", "a table of motion settings or none")
        self._require_resolution()
        self._require_counts("z_dim", "w_dim", "channel_max")
        self._require_counts("mapping_layers", most=64)
        self._require_counts("channel_base", least=self.resolution)
        self._require_counts("c_dim", "num_fp16_res", least=0)
        self._require_positive("mapping_lr_multiplier", "fps")
        self._require(self.conv_clamp is None or self.conv_clamp > 0, "conv_clamp", "a positive number or none")
        self._require(self.input_kind in ("temporal", "const", "bare"), "input_kind", "'temporal', 'const' or 'bare'")
        self._require(self.motion_in in ("input", "styles"), "motion_in", "'input' or 'styles'")

    def channels(self, resolution: int) -> int:
        """Feature channels at a resolution."""
        return min(self.channel_base // resolution, self.channel_max)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, … up to the resolution of the frames."""
        return tuple(4 << i for i in range(self.resolution.bit_length() - 2))

    @property
    def motion_dim(self) -> int:
        """V, the size of motion_v; 0 for an image generator."""
        return self.motion.out_dim if self.motion else 0


@dataclass(frozen=True)
class DiscriminatorConfig(Config):
    """The one discriminator that judges image and motion together (StyleGAN-V, section 3.3)."""

    resolution: int
    c_dim: int = 0
    channel_base: int = 16384
    channel_max: int = 512
    concat_res: int = 16
    num_frames: int = 3
    num_frames_div_factor: int = 2
    max_num_frames: int = 1024
    mbstd_group_size: int = 4
    conv_clamp: float | None = None
    num_fp16_res: int = 0
    time_embed_dim: int = 256
    mapping_lr_multiplier: float = 0.01

    def __post_init__(self) -> None:
        self._require_resolution()
        self._require_counts("channel_max", "concat_res", "num_frames_div_factor", "max_num_frames", "mbstd_group_size", "time_embed_dim")
        self._require_counts("channel_base", least=self.resolution)
        self._require_counts("num_frames", least=2)
        self._require_counts("c_dim", "num_fp16_res", least=0)
        self._require_positive("mapping_lr_multiplier")
        self._require(4 < self.concat_res <= self.resolution, "concat_res", "a resolution above 4, at most the frames'")
        self._require(self.channels(self.concat_res) >= self.num_frames_div_factor, "num_frames_div_factor", "at most the channels at concat_res")
        self._require(self.conv_clamp is None or self.conv_clamp > 0, "conv_clamp", "a positive number or none")

    def channels(self, resolution: int) -> int:
        """Feature channels at a resolution."""
        return min(self.channel_base // resolution, self.channel_max)
