"""Official snapshots (`*.pkl`) of StyleGAN-V, its ablations, MoCoGAN+StyleGAN2 and StyleGAN2-ADA, imported without running them.

The file is read as data (`unpickling`), its few kinds of objects are decoded here into plain tables, hyper-parameters and named
tensors, and those are checked against networks of this package. `module_src`, the source code inside the file, is never looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from stylegan_v.checkpoint import CheckpointError, adopt, blank, model_hash
from stylegan_v.config import ConfigError
from stylegan_v.discriminator import Discriminator
from stylegan_v.generator import Generator
from stylegan_v.ops.resample import lowpass
from stylegan_v.pickled_tensors import snapshot_vocabulary
from stylegan_v.snapshot_config import Table, discriminator_config, generator_config
from stylegan_v.unpickling import Inert, SnapshotError, describe, read_pickle

__all__ = ["MAX_BYTES", "SnapshotError", "import_snapshot"]

_M = TypeVar("_M", bound=nn.Module)

MAX_BYTES = 4 << 30  # official files with the optimisers' state take about 1 GB
_MAX_MODULES = 5_000
_MAX_DEPTH = 16
_MAX_NODES = 50_000  # of a configuration; shared nodes count each time, so that sharing cannot make a small file explode


def import_snapshot(path: str | Path) -> dict[str, nn.Module | None]:
    """Networks of an official snapshot: keys `G`, `G_ema`, `D` where present, None where the file holds None.

    Generators come like those of `load_generator` (float32, CPU, eval mode, frozen, with `.hash`), a discriminator trainable.
    `D` is left out where it is of a kind that this package does not have (an image discriminator, MoCoGAN's pair).
    Raises SnapshotError, which names what was found, for everything else that does not fit. Nothing in the file is executed.
    """
    path = Path(path)
    try:
        content = _read(path)
        found: dict[str, nn.Module | None] = {}
        for key in ("G", "G_ema", "D"):
            if key not in content:
                continue
            record = _Record(key, content[key]) if content[key] is not None else None
            if key != "D":
                found[key] = _generator(record) if record else None
            elif record is None or _judges_clips(record):
                found[key] = _discriminator(record) if record else None
    except (SnapshotError, ConfigError, CheckpointError) as error:
        raise SnapshotError(f"{path}: {error}") from error
    if not found.keys() & {"G", "G_ema"}:
        raise SnapshotError(f"{path}: holds neither G nor G_ema; wanted a snapshot of a generator's training")
    return found


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise SnapshotError("is not a file; wanted an official snapshot (.pkl)")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise SnapshotError(f"has {size} bytes, snapshots have at most {MAX_BYTES}; it was not read")
    with path.open("rb") as stream:
        if stream.read(1) != b"\x80":
            raise SnapshotError("does not start like a pickle; wanted an official snapshot (.pkl), perhaps the download failed")
        stream.seek(0)
        content = read_pickle(stream, size, snapshot_vocabulary(size))
    if type(content) is not dict:
        raise SnapshotError(f"holds a {type(content).__name__}, wanted a dict with G, D and G_ema")
    return content


class _Record:
    """A module of the file: its class name and its `__dict__`, however it was pickled."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        if not isinstance(value, Inert):
            raise SnapshotError(f"{name} is a {type(value).__name__}, wanted a network")
        state: Any = value.state
        self.class_name = value.kind.name
        if value.kind.name == "_reconstruct_persistent_obj":
            meta = value.args[0] if len(value.args) == 1 and type(value.args[0]) is dict else {}
            if meta.get("type") != "class":
                raise SnapshotError(f"{name} is not a pickled class; the file is damaged")
            state, self.class_name = meta.get("state"), describe(meta.get("class_name"))
        if type(state) is not dict:
            raise SnapshotError(f"{name} ({self.class_name}) has no state; the file is damaged")
        self.state = state

    def table(self) -> Table:
        """Its plain attributes."""
        return Table(self.name, {key: value for key, value in self.state.items() if not isinstance(value, Inert)})

    def config(self) -> Table | None:
        """Its `cfg`; None where it has none (StyleGAN2-ADA)."""
        return Table(f"{self.name}.cfg", self._plain("cfg")) if "cfg" in self.state else None

    def arguments(self) -> Table:
        """The keyword arguments it was made with."""
        return Table(f"{self.name}._init_kwargs", self._plain("_init_kwargs"))

    def _plain(self, key: str) -> dict[str, Any]:
        value = _Plain()(self.state.get(key))
        if type(value) is not dict:
            raise SnapshotError(f"{self.name}.{key} is a {type(value).__name__}, wanted a table; the file is damaged")
        return value

    def part(self, key: str) -> dict[str, Any]:
        """One of `_parameters`, `_buffers`, `_modules`."""
        value = self.state.get(key, {})
        if type(value) is not dict or not all(isinstance(name, str) and len(name) < 100 for name in value):
            raise SnapshotError(f"{self.name}.{key} is not a table of names; the file is damaged")
        return value

    def modules(self) -> dict[str, _Record]:
        """Its parts by name."""
        return {name: _Record(f"{self.name}.{name}", value) for name, value in self.part("_modules").items() if value is not None}


class _Plain:
    """Decodes OmegaConf's nodes into plain data; they hold their value under `_content` or `_val`, and their parent, a cycle."""

    def __init__(self) -> None:
        self._nodes = 0

    def __call__(self, value: Any, depth: int = 0) -> Any:
        self._nodes += 1
        if depth > _MAX_DEPTH or self._nodes > _MAX_NODES:
            raise SnapshotError("a configuration refers to itself or is far too large; the file is not a snapshot")
        if isinstance(value, Inert) and type(value.state) is dict and value.kind.module.startswith("omegaconf."):
            return self(value.state.get("_content", value.state.get("_val")), depth + 1)
        if type(value) is dict:
            return {key: self(item, depth + 1) for key, item in value.items()}
        if type(value) in (list, tuple):
            return [self(item, depth + 1) for item in value]
        return value


def _tensors(network: _Record) -> dict[str, Tensor]:
    """All parameters and persistent buffers by their state-dict names, without the constant low-pass filters."""
    tensors: dict[str, Tensor] = {}
    queue, seen = [("", network)], 0
    while queue:
        prefix, record = queue.pop()
        seen += 1
        if seen > _MAX_MODULES or prefix.count(".") > _MAX_DEPTH:
            raise SnapshotError(f"{network.name} has modules that contain themselves, or far too many; the file is not a snapshot")
        passing = record.state.get("_non_persistent_buffers_set") or ()
        for name, value in (*record.part("_parameters").items(), *record.part("_buffers").items()):
            if value is None or (isinstance(passing, set) and name in passing):
                continue
            if not isinstance(value, Tensor) or not value.is_floating_point():
                raise SnapshotError(f"{record.name}.{name} is not a tensor of floats; the file is damaged")
            if name == "resample_filter":
                _check_filter(f"{record.name}.{name}", value)
            else:
                tensors[prefix + name] = value
        queue.extend((f"{prefix}{name}.", part) for name, part in record.modules().items())
    return tensors


def _check_filter(name: str, value: Tensor) -> None:
    """The networks here have the one filter [1, 3, 3, 1] built in."""
    if value.shape != (4, 4) or not torch.allclose(value.float(), lowpass(torch.zeros(())), atol=1e-6):
        raise SnapshotError(f"{name} is not the low-pass filter [1, 3, 3, 1]; networks with other filters are not supported")


def _generator(record: _Record) -> Generator:
    multipliers = {name: _lr_multiplier(record, place) for name, place in _MULTIPLIERS.items()}
    tensors = _tensors(record)
    config = generator_config(record.config(), record.arguments(), record.table(), multipliers)
    generator = _filled(lambda: Generator(config), tensors, record)
    generator.hash = model_hash(generator)
    return generator.eval().requires_grad_(False)


def _discriminator(record: _Record) -> Discriminator:
    tensors = _tensors(record)
    table = tensors.get("time_encoder.const_embed.weight")
    if table is None or table.ndim != 2:
        raise SnapshotError(f"{record.name} has no table of time differences; wanted a StyleGAN-V discriminator")
    config = discriminator_config(
        record.config() or Table(record.name, {}), record.arguments(), record.table(),
        time_embed_dim=table.shape[1], mapping_lr_multiplier=_lr_multiplier(record, ("mapping", "fc0")),
    )
    return _filled(lambda: Discriminator(config), tensors, record)


def _filled(build: Callable[[], _M], tensors: Mapping[str, Tensor], record: _Record) -> _M:
    where = f"{record.name} ({record.class_name})"
    module = blank(build, sum(tensor.numel() for tensor in tensors.values()), where)
    # Views of one storage become tensors of their own.
    adopt(module, {name: tensor.clone() for name, tensor in tensors.items()}, where)
    return module


def _judges_clips(record: _Record) -> bool:
    """Whether this is StyleGAN-V's discriminator: it concatenates frames and knows their times."""
    config = record.config()
    return config is not None and "concat_res" in config and "time_encoder" in record.part("_modules")


# Where a layer of each kind is; its bias gain is the multiplier its weights are stored with.
_MULTIPLIERS = {
    "mapping": ("mapping", "fc0"),
    "conv": ("synthesis", "motion_encoder", "conv", "0"),
    "lstm": ("synthesis", "motion_encoder", "mapping", "fc0"),
}


def _lr_multiplier(record: _Record, place: tuple[str, ...]) -> float | None:
    """The lr_multiplier of the layer at `place`, None where there is no such layer."""
    for name in place:
        parts = record.modules()
        if name not in parts:
            return None
        record = parts[name]
    gain = record.state.get("bias_gain")
    if not isinstance(gain, int | float) or isinstance(gain, bool) or not 0 < gain <= 1:
        raise SnapshotError(f"{record.name}.bias_gain is {describe(gain)}, wanted a number from 0 to 1; the file is damaged")
    return float(gain)
