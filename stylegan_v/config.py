"""Frozen hyper-parameters of the networks, checked when they are made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

_WORDS: Mapping[object, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text", NoneType: "none"}


class ConfigError(ValueError):
    """A setting is unknown, missing or has a value that it cannot have. `key` is its place, tables first: `game.ada.target`."""

    def __init__(self, text: str, key: str = "") -> None:
        super().__init__(f"{key} {text}" if key else text)
        self.text, self.key = text, key

    def below(self, table: str) -> ConfigError:
        """The same of a key within `table`."""
        return ConfigError(self.text, f"{table}.{self.key}" if self.key else table)


@dataclass(frozen=True)
class Config:
    """What every configuration shares: plain-data form and checks."""

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON-able data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The configuration of plain data; raises ConfigError for unknown and missing keys and for bad values.

        TOML has no null: the word "none" stands for it where a setting can have no value.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - set(known)):
            raise ConfigError(f"is no key here; wanted some of {', '.join(sorted(known))}", unknown[0])
        for key, field in known.items():
            if key not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise ConfigError("is missing", key)
        hints = get_type_hints(cls)
        values = {key: None if value == "none" and _may_be_none(hints[key]) else value for key, value in values.items()}
        for key, value in values.items():
            if not _fits(value, hints[key]):
                raise ConfigError(f"is {_shown(value)}, wanted {_wanted(hints[key])}", key)
        return cls(**values)

    def _table(self, key: str, kind: type[Config]) -> None:
        """Make the plain table at `key` a `kind`."""
        value = getattr(self, key)
        if isinstance(value, Mapping):
            try:
                object.__setattr__(self, key, kind.from_dict(value))
            except ConfigError as error:
                raise error.below(key) from None

    def _require(self, condition: bool, key: str, wanted: str) -> None:
        if not condition:
            raise ConfigError(f"is {_shown(attrgetter(key)(self))}, wanted {wanted}", key)

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
            good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9
            self._require(good, key, "a positive number below 1e9")


def _may_be_none(hint: Any) -> bool:
    """Whether a field can have no value; the word "none" is a value of a field of words.

    >>> _may_be_none(float | None), _may_be_none(float), _may_be_none(str | None)
    (True, False, False)
    """
    return get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint) and str not in get_args(hint)


def _fits(value: object, hint: Any) -> bool:
    """Whether plain data can be what a field says; a table or a list is looked into where it is made, a word where it is checked."""
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, kind) for kind in get_args(hint))
    if hint is bool or hint is NoneType or hint is str:
        return isinstance(value, hint)
    if hint is int or hint is float:
        return isinstance(value, int | hint) and not isinstance(value, bool) and math.isfinite(value)
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple)
    if isinstance(hint, type) and issubclass(hint, Config):
        return isinstance(value, Mapping | hint)
    return True


def _wanted(hint: Any) -> str:
    """A field's type in words.

    >>> _wanted(float | None), _wanted(tuple[str, ...]), _wanted(MotionConfig | None)
    ('a number or none', 'a list', 'a table or none')
    """
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_wanted(kind) for kind in get_args(hint))
    return _WORDS.get(hint, "a list" if get_origin(hint) is tuple else "a table")


def _shown(value: object) -> str:
    """A value as a message shows it; nobody reads a whole table."""
    return "a table" if isinstance(value, Config | Mapping) else repr(value)


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
        self._require(self.min_period <= self.max_period, "min_period", f"at most max_period, {self.max_period:g}")

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
        self._table("motion", MotionConfig)
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
        good = 4 < self.concat_res <= self.resolution and self.concat_res & (self.concat_res - 1) == 0
        self._require(good, "concat_res", "a power of two above 4, at most the frames' resolution")
        self._require(self.channels(self.concat_res) >= self.num_frames_div_factor, "num_frames_div_factor", "at most the channels at concat_res")
        self._require(self.conv_clamp is None or self.conv_clamp > 0, "conv_clamp", "a positive number or none")

    def channels(self, resolution: int) -> int:
        """Feature channels at a resolution."""
        return min(self.channel_base // resolution, self.channel_max)
