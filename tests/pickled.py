"""A pickle assembler: writes what the standard pickler would refuse, and snapshots in the official layout from networks made here."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from stylegan_v import Generator, GeneratorConfig, MotionConfig

MOTION = MotionConfig(z_dim=5, v_dim=6, distance=4, kernel_size=3, num_freqs=4, min_period=4, max_period=16, max_num_frames=32)
TINY = GeneratorConfig(8, z_dim=7, w_dim=9, channel_base=64, channel_max=8, motion=MOTION, fps=30.0)


def tiny_generator() -> Generator:
    """A video generator of 8×8 pixels with random weights."""
    torch.manual_seed(1)
    return Generator(TINY).requires_grad_(False)


class Raw(bytes):
    """Opcodes that are written as they are."""


class Call:
    """A global called with arguments (REDUCE, or NEWOBJ with `new`), then given a state (BUILD) if there is one."""

    def __init__(self, name: str, *args: Any, state: Any = None, new: bool = False) -> None:
        self.module, self.name = name.rsplit(".", 1)
        self.args, self.state, self.new = args, state, new


def dump(value: Any) -> bytes:
    """A whole pickle, protocol 4."""
    return b"\x80\x04" + emit(value) + b"."


def emit(value: Any) -> bytes:
    """Opcodes that push `value`."""
    match value:
        case Raw():
            return bytes(value)
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(data)]) + data
        case float():
            return b"G" + struct.pack(">d", value)
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        case bytes():
            return b"B" + struct.pack("<I", len(value)) + value
        case tuple():
            return b"(" + b"".join(map(emit, value)) + b"t"
        case list():
            return b"](" + b"".join(map(emit, value)) + b"e"
        case set():
            return b"\x8f(" + b"".join(map(emit, value)) + b"\x90"
        case Mapping():
            return b"}(" + b"".join(emit(key) + emit(item) for key, item in value.items()) + b"u"
        case Tensor():
            return emit(tensor(storage(value), 0, tuple(value.shape), tuple(value.stride())))
        case Call():
            code = stack_global(value.module, value.name) + emit(value.args) + (b"\x81" if value.new else b"R")
            return code if value.state is None else code + emit(value.state) + b"b"
    raise TypeError(type(value))


def plain_global(module: str, name: str) -> Raw:
    return Raw(f"c{module}\n{name}\n".encode())


def stack_global(module: str, name: str) -> Raw:
    return Raw(emit(module) + emit(name) + b"\x93")


def tensor(data: bytes, offset: Any, size: Any, stride: Any) -> Call:
    """A tensor as torch pickles it."""
    hooks = Call("collections.OrderedDict")
    return Call("torch._utils._rebuild_tensor_v2", Call("torch.storage._load_from_bytes", data), offset, size, stride, False, hooks)


def storage(value: Tensor) -> bytes:
    """The nested archive of a tensor's values, in torch's legacy format."""
    buffer = io.BytesIO()
    torch.save(value.contiguous().clone()._typed_storage(), buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def parameter(value: Tensor) -> Call:
    """A parameter as torch pickles it."""
    return Call("torch._utils._rebuild_parameter", value.detach(), True, Call("collections.OrderedDict"))


def persistent(class_name: str, state: Any, module_src: str = "", kind: str = "class") -> Call:
    """An object the way official files hold their networks."""
    meta = {"type": kind, "version": 6, "module_src": module_src, "class_name": class_name, "state": state}
    return Call("src.torch_utils.persistence._reconstruct_persistent_obj", meta)


def module_state(module: nn.Module, module_src: str = "", **extra: Any) -> dict[str, Any]:
    """The `__dict__` of a module as in official files."""
    state: dict[str, Any] = {
        "training": False,
        "_parameters": {name: None if value is None else parameter(value) for name, value in module._parameters.items()},
        "_buffers": dict(module._buffers),
        "_non_persistent_buffers_set": set(),
        "_modules": {
            name: persistent(type(part).__name__, module_state(part, module_src), module_src)
            for name, part in module._modules.items()
            if part is not None
        },
        **extra,
    }
    if hasattr(module, "bias_gain"):
        state["bias_gain"] = module.bias_gain
    return state


def omega(value: Any, depth: int = 0) -> Raw:
    """Plain data as OmegaConf nodes; every node knows its parent, the outermost one through memo entry 200 + depth, a cycle."""
    parent = Raw(b"h" + bytes([200 + depth - 1])) if depth else None
    metadata = Call("omegaconf.base.ContainerMetadata", new=True, state={"ref_type": stack_global("typing", "Any"), "optional": True})
    if isinstance(value, Mapping):
        content: Any = {key: omega(item, depth + 1) for key, item in value.items()}
        head = stack_global("omegaconf.dictconfig", "DictConfig")
    elif isinstance(value, list):
        content = [omega(item, depth + 1) for item in value]
        head = stack_global("omegaconf.listconfig", "ListConfig")
    else:
        node = Call("omegaconf.nodes.AnyNode", new=True, state={"_metadata": None, "_parent": parent, "_val": value})
        return Raw(emit(node))
    state = {"_metadata": metadata, "_parent": parent, "_content": content}
    return Raw(head + b")\x81q" + bytes([200 + depth]) + emit(state) + b"b")


def network(generator: Generator, module_src: str = "", cfg: Any = None, kwargs: Any = None, **extra: Any) -> Call:
    """A video generator with motion convolutions in the official layout; `cfg`, `kwargs` and `extra` replace parts of it."""
    config, motion = generator.cfg, generator.cfg.motion
    assert motion is not None and motion.kind == "conv"
    state = {
        "cfg": omega(official_cfg(generator)) if cfg is None else cfg,
        "z_dim": config.z_dim, "w_dim": config.w_dim, "c_dim": config.c_dim, "img_resolution": config.resolution, "img_channels": 3,
        "_init_kwargs": official_kwargs(generator) if kwargs is None else kwargs,
    }
    return persistent("Generator", module_state(generator, module_src, **{**state, **extra}), module_src)


def official_kwargs(generator: Generator) -> dict[str, Any]:
    """`_init_kwargs` of an official video generator."""
    config = generator.cfg
    return {
        "mapping_kwargs": {"num_layers": config.mapping_layers},
        "synthesis_kwargs": {
            "channel_base": config.channel_base, "channel_max": config.channel_max,
            "num_fp16_res": config.num_fp16_res, "conv_clamp": config.conv_clamp,
        },
    }


def official_cfg(generator: Generator) -> dict[str, Any]:
    """`cfg` of an official video generator."""
    config, motion = generator.cfg, generator.cfg.motion
    return {
        "z_dim": config.z_dim, "w_dim": config.w_dim, "c_dim": config.c_dim, "use_noise": False, "fmaps": 0.5,
        "input": {"type": "temporal"},
        "sampling": {"num_frames_per_video": 3, "max_num_frames": motion.max_num_frames, "fps": 30, "total_dists": [1, 2, 4]},
        "motion": {
            "z_dim": motion.z_dim, "v_dim": motion.v_dim, "motion_z_distance": motion.distance, "gen_strategy": "conv",
            "kernel_size": motion.kernel_size, "use_fractional_t": True, "fourier": True,
        },
        "time_enc": {
            "cond_type": "concat_const", "dim": motion.num_freqs, "min_period_len": motion.min_period,
            "max_period_len": motion.max_period, "phase_dropout_std": 1.0,
        },
    }
