"""Checkpoints: one safetensors file with the tensors, and in its metadata the kind, the schema number and the configuration.

A file is untrusted input: its names and shapes are compared with those of the configured network before any tensor is read.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from stylegan_v.config import ConfigError, DiscriminatorConfig, GeneratorConfig
from stylegan_v.discriminator import Discriminator
from stylegan_v.files import replacing
from stylegan_v.generator import Generator

SCHEMA = 1
MAX_HEADER_BYTES = 16 << 20  # the largest network has some 300 tensors, a header of about 30 kB
_RESERVED = ("kind", "schema", "config")
_FLOATS = ("F16", "BF16", "F32", "F64")
_C = TypeVar("_C", GeneratorConfig, DiscriminatorConfig)
_M = TypeVar("_M", bound=nn.Module)


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, of another kind or schema, or its tensors do not fit its configuration."""


def save_generator(generator: Generator, path: str | Path, *, half: bool = False, **metadata: str) -> None:
    """Write `generator` to `path`, a `.safetensors` file, replacing it in one step; `half` stores float16.

    Further `metadata` (str → str, for example source, licence, world) is kept and comes back as `Generator.metadata`.
    """
    _save("generator", generator, generator.cfg.to_dict(), path, half, metadata)


def load_generator(path: str | Path, device: str | torch.device = "cpu") -> Generator:
    """Read a generator: float32, in eval mode, frozen, with `.metadata` (what was given to save_generator) and `.hash`.

    Raises CheckpointError for anything but a generator checkpoint of this or an earlier schema with exactly its tensors.
    """
    with _open(path, "generator") as (file, meta):
        generator = _read_tensors(path, file, lambda: Generator(_config(path, GeneratorConfig, meta)))
    generator.metadata = {key: value for key, value in meta.items() if key not in _RESERVED}
    generator.hash = model_hash(generator)
    return generator.eval().requires_grad_(False).to(device)


def save_discriminator(discriminator: Discriminator, path: str | Path, **metadata: str) -> None:
    """Write `discriminator` to `path`, as save_generator does."""
    _save("discriminator", discriminator, discriminator.cfg.to_dict(), path, False, metadata)


def load_discriminator(path: str | Path, device: str | torch.device = "cpu") -> Discriminator:
    """Read a discriminator: float32, in training mode, trainable. Raises CheckpointError like load_generator."""
    with _open(path, "discriminator") as (file, meta):
        discriminator = _read_tensors(path, file, lambda: Discriminator(_config(path, DiscriminatorConfig, meta)))
    return discriminator.to(device)


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of any safetensors file, no tensor being read; empty where it has none. Raises CheckpointError."""
    with _open(path, None) as (_, meta):
        return meta


def model_hash(module: nn.Module) -> str:
    """SHA-256, in hex, over the names and bytes of the module's tensors in the order of their names.

    Configuration, device and metadata do not enter; the same weights stored as float16 have another hash.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode() + b"\0")
        # a zero-dimensional tensor cannot be viewed as bytes
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def blank(build: Callable[[], _M], elements: int, where: str) -> _M:
    """What `build` makes, its weights left without values; nothing is drawn from a random generator.

    Raises CheckpointError, which begins with `where`, before the tensors take far more than `elements`, those of the file.
    """
    try:
        # With room to spare, so that a tensor that is only missing or misshapen is named by check_shapes instead.
        with _Blank(2 * elements + (1 << 22)):
            return build()
    except _TooLarge:
        raise CheckpointError(f"{where}: its configuration describes a larger network than its tensors; the file is damaged") from None


class _TooLarge(Exception):
    """A network would take more elements than allowed."""


class _Blank(TorchFunctionMode):
    """Count new tensors before they are allocated, and leave out the draws that would initialise them.

    Building on the meta device would do the same, but its arithmetic imports torch's compiler, which takes seconds.
    """

    _MAKERS = (torch.randn, torch.empty, torch.zeros, torch.ones, torch.full)

    def __init__(self, elements: int) -> None:
        super().__init__()
        self._left = elements

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self._MAKERS:
            sizes = args[:1] if func is torch.full else args
            self._left -= math.prod(n for size in sizes for n in ((size,) if isinstance(size, int) else size))
            if self._left < 0:
                raise _TooLarge
            func = torch.empty if func is torch.randn else func
        elif func in (nn.init.normal_, nn.init.uniform_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def adopt(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Make `tensors`, as float32, the weights of `module`; names and shapes must fit exactly.

    Raises CheckpointError, which begins with `where`, and names what does not fit.
    """
    check_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()}, module, where)
    module.load_state_dict({name: tensor.to(torch.float32) for name, tensor in tensors.items()}, strict=True, assign=True)


def check_shapes(found: Mapping[str, tuple[int, ...]], module: nn.Module, where: str) -> None:
    """Raise CheckpointError unless `found` has exactly the names and shapes of the module's state dict."""
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            problem = f"the tensor {name} {list(wanted[name])} is missing"
        elif name not in wanted:
            problem = f"the tensor {name[:200]} is not part of the network its configuration describes"
        elif found[name] != wanted[name]:
            problem = f"the tensor {name} has shape {list(found[name])}, wanted {list(wanted[name])}"
        else:
            continue
        raise CheckpointError(f"{where}: {problem}; the file is damaged or its configuration belongs to another network")


def _save(kind: str, module: nn.Module, config: dict[str, Any], path: str | Path, half: bool, metadata: Mapping[str, str]) -> None:
    for key, value in metadata.items():
        if key in _RESERVED or not isinstance(value, str):
            raise CheckpointError(f"metadata {key}={value!r} cannot be saved: wanted text under a name other than {', '.join(_RESERVED)}")
    dtype = torch.float16 if half else torch.float32
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in module.state_dict().items()}
    header = {"kind": kind, "schema": str(SCHEMA), "config": json.dumps(config), **metadata}
    with replacing(path) as beside:
        beside.write_bytes(_in_order(save(tensors, metadata=header)))


def _in_order(file: bytes) -> bytes:
    """A safetensors file with its metadata in the order of their names: the library's own order is another every time, so that equal runs
    would end in unequal files."""
    length = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + file[8 + length :]


@contextmanager
def _open(path: str | Path, kind: str | None) -> Iterator[tuple[Any, dict[str, str]]]:
    """The safetensors file and its metadata, after checks of header, kind and schema; errors become CheckpointError."""
    path = Path(path)
    _check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            meta = file.metadata() or {}
            if kind is not None:
                _check_kind(path, kind, meta)
            yield file, meta
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged ({str(error)[:200]}); fetch or export it again") from error


def _check_header(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file; wanted a .safetensors checkpoint")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or start[8:9] != b"{" or length > size - 8:
        raise CheckpointError(f"{path} is not a safetensors file; official .pkl snapshots go through import_snapshot")
    if length > MAX_HEADER_BYTES:
        raise CheckpointError(f"{path}: the header claims {length} bytes, at most {MAX_HEADER_BYTES} are allowed; the file is not a checkpoint")


def _check_kind(path: Path, kind: str, meta: Mapping[str, str]) -> None:
    if meta.get("kind") != kind:
        found = f"a {meta['kind'][:60]!r}" if "kind" in meta else "a safetensors file of some other program"
        raise CheckpointError(f"{path} is {found}, wanted a {kind} checkpoint")
    schema = meta.get("schema", "")
    if not (schema.isascii() and schema.isdigit() and len(schema) < 10 and int(schema) >= 1):
        raise CheckpointError(f"{path} has schema {schema[:20]!r}, wanted a number from 1 to {SCHEMA}; the file is damaged")
    if int(schema) > SCHEMA:
        raise CheckpointError(f"{path} has schema {schema}, this version reads up to {SCHEMA}; upgrade the program")


def _config(path: str | Path, cls: type[_C], meta: Mapping[str, str]) -> _C:
    try:
        values = json.loads(meta.get("config", ""))
        if not isinstance(values, dict):
            raise ConfigError(f"a table was wanted, not {type(values).__name__}")
        return cls.from_dict(values)
    except (ValueError, RecursionError) as error:  # JSON's and ConfigError are ValueErrors
        raise CheckpointError(f"{path}: its configuration cannot be used ({str(error)[:200]}); the file is damaged") from error


def _read_tensors(path: str | Path, file: Any, build: Callable[[], _M]) -> _M:
    slices = {name: file.get_slice(name) for name in file.keys()}
    shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
    module = blank(build, sum(map(math.prod, shapes.values())), str(path))
    check_shapes(shapes, module, str(path))
    for name, part in slices.items():
        if part.get_dtype() not in _FLOATS:
            raise CheckpointError(f"{path}: the tensor {name} holds {part.get_dtype()}, wanted one of {', '.join(_FLOATS)}")
    adopt(module, {name: file.get_tensor(name) for name in slices}, str(path))
    return module
