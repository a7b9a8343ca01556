"""Hyper-parameters of official snapshots, translated to this package's configurations; what is not understood is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from stylegan_v.config import DiscriminatorConfig, GeneratorConfig, MotionConfig
from stylegan_v.unpickling import SnapshotError, describe

_REQUIRED = object()

# Arguments without effect on the result, or that are checked elsewhere.
_NEUTRAL = {"cfg", "w_avg_beta", "fp16_channels_last", "channels_last", "freeze_layers", "architecture", "activation", "block_kwargs"}


class Table:
    """A table of the file with its name for messages; a key is fetched with the type that is wanted."""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self.name, self._values = name, values

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def table(self, key: str) -> Table:
        """The table under `key`, empty where there is none."""
        value = self._values.get(key)
        if value is not None and type(value) is not dict:
            raise self._wrong(key, "a table")
        return Table(f"{self.name}.{key}", value or {})

    def whole(self, key: str, default: Any = _REQUIRED) -> int:
        """A whole number; scaled channel counts may be written as 16384.0."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 1 << 31 or int(value) != value:
            raise self._wrong(key, "a whole number")
        return int(value)

    def number(self, key: str, default: Any = _REQUIRED) -> float:
        """A number."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, "a number")
        return float(value)

    def flag(self, key: str, default: Any = _REQUIRED) -> bool:
        """True or false."""
        value = self._value(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: Any = _REQUIRED) -> str:
        """One of the `allowed` words."""
        value = self._value(key, default)
        if not isinstance(value, str) or value not in allowed:
            raise self._wrong(key, " or ".join(allowed))
        return value

    def only(self, *known: str) -> Table:
        """Itself; raises SnapshotError where it has a key that is neither known nor neutral."""
        for key, value in self._values.items():
            if key not in known and key not in _NEUTRAL and value is not None:
                raise SnapshotError(f"{self.name} has the setting {describe(key)}={describe(value)}, which is not supported")
        return self

    def _value(self, key: str, default: Any) -> Any:
        value = self._values.get(key)
        if value is None and default is _REQUIRED:
            raise SnapshotError(f"{self.name} has no {key}; the file is damaged or of a kind that is not supported")
        return default if value is None else value

    def _wrong(self, key: str, wanted: str) -> SnapshotError:
        return SnapshotError(f"{self.name}.{key} is {describe(self._values.get(key))}, wanted {wanted}; other networks are not supported")


def generator_config(
    cfg: Table | None, arguments: Table, attributes: Table, multipliers: Mapping[str, float | None]
) -> GeneratorConfig:
    """The generator's configuration; `cfg` is None for StyleGAN2-ADA.

    `multipliers` holds the learning-rate multipliers found in the main mapping, the motion convolutions and the LSTM's mapping.
    """
    synthesis = arguments.table("synthesis_kwargs").only("channel_base", "channel_max", "num_fp16_res", "conv_clamp", "use_noise")
    mapping = arguments.table("mapping_kwargs").only("num_layers", "lr_multiplier")
    synthesis.choice("architecture", ("skip",), "skip")
    for table in (synthesis, mapping):
        table.choice("activation", ("lrelu",), "lrelu")
    _check_colours(attributes)
    common: dict[str, Any] = dict(
        resolution=attributes.whole("img_resolution"),
        z_dim=attributes.whole("z_dim"),
        w_dim=attributes.whole("w_dim"),
        c_dim=attributes.whole("c_dim"),
        channel_base=synthesis.whole("channel_base", 32768),
        channel_max=synthesis.whole("channel_max", 512),
        mapping_layers=mapping.whole("num_layers", 8),
        mapping_lr_multiplier=multipliers["mapping"] or 0.01,
        conv_clamp=synthesis.number("conv_clamp") if "conv_clamp" in synthesis else None,
        num_fp16_res=synthesis.whole("num_fp16_res", 0),
    )
    if cfg is None:
        return GeneratorConfig(**common, use_noise=synthesis.flag("use_noise", True), input_kind="bare")
    motion_in = cfg.table("time_enc").choice("cond_type", ("concat_const", "concat_w"))
    # The constant carries the motion codes exactly when the styles do not.
    input_kind: Literal["temporal", "const"] = "temporal" if motion_in == "concat_const" else "const"
    cfg.table("input").choice("type", (input_kind,))
    return GeneratorConfig(
        **common,
        use_noise=cfg.flag("use_noise", False),
        input_kind=input_kind,
        motion=_motion_config(cfg, multipliers),
        motion_in="input" if motion_in == "concat_const" else "styles",
        fps=cfg.table("sampling").number("fps", 25.0),
    )


def _motion_config(cfg: Table, multipliers: Mapping[str, float | None]) -> MotionConfig:
    motion, encoding = cfg.table("motion"), cfg.table("time_enc")
    strategy = motion.choice("gen_strategy", ("conv", "autoregressive"))
    kind: Literal["conv", "lstm"] = "conv" if strategy == "conv" else "lstm"
    if motion.flag("fourier", kind == "conv") != (kind == "conv"):
        raise SnapshotError(f"{motion.name} has gen_strategy={strategy} with fourier={kind != 'conv'}, which is not supported")
    return MotionConfig(
        kind=kind,
        z_dim=motion.whole("z_dim"),
        v_dim=motion.whole("v_dim"),
        distance=motion.whole("motion_z_distance"),
        kernel_size=motion.whole("kernel_size", 11),
        num_freqs=encoding.whole("dim", 256),
        min_period=encoding.number("min_period_len", 16.0),
        max_period=encoding.number("max_period_len", 1024.0),
        lr_multiplier=multipliers[kind] or 0.01,
        max_num_frames=cfg.table("sampling").whole("max_num_frames"),
        integer_t=not motion.flag("use_fractional_t", True),
    )


def discriminator_config(
    cfg: Table, arguments: Table, attributes: Table, *, time_embed_dim: int, mapping_lr_multiplier: float | None
) -> DiscriminatorConfig:
    """The discriminator's configuration."""
    arguments.choice("architecture", ("resnet",), "resnet")
    if cfg.flag("dummy_c", False):
        raise SnapshotError(f"{cfg.name}.dummy_c is set, which is not supported")
    mapping = arguments.table("mapping_kwargs").only("num_layers", "lr_multiplier")
    if mapping.whole("num_layers", 2) != 2:
        raise SnapshotError(f"{mapping.name}.num_layers is {mapping.whole('num_layers')}, wanted 2; other networks are not supported")
    epilogue = arguments.table("epilogue_kwargs").only("mbstd_group_size")
    sampling = cfg.table("sampling")
    _check_colours(attributes)
    return DiscriminatorConfig(
        resolution=attributes.whole("img_resolution"),
        c_dim=attributes.whole("c_dim"),
        channel_base=arguments.whole("channel_base", 32768),
        channel_max=arguments.whole("channel_max", 512),
        concat_res=cfg.whole("concat_res"),
        num_frames=sampling.whole("num_frames_per_video"),
        num_frames_div_factor=cfg.whole("num_frames_div_factor"),
        max_num_frames=sampling.whole("max_num_frames"),
        mbstd_group_size=epilogue.whole("mbstd_group_size", cfg.whole("mbstd_group_size", 4)),
        conv_clamp=arguments.number("conv_clamp") if "conv_clamp" in arguments else None,
        num_fp16_res=arguments.whole("num_fp16_res", 0),
        time_embed_dim=time_embed_dim,
        mapping_lr_multiplier=mapping_lr_multiplier or 0.01,
    )


def _check_colours(attributes: Table) -> None:
    if attributes.whole("img_channels", 3) != 3:
        raise SnapshotError(f"{attributes.name}.img_channels is {attributes.whole('img_channels')}, wanted 3; only colour images are supported")
