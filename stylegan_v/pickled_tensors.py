"""The vocabulary of official snapshots, and their tensors: what such a file may name, and how its arrays are rebuilt with checks."""

from __future__ import annotations

import io
import math
import struct
from typing import Any

import torch
from torch import Tensor

from stylegan_v.unpickling import GlobalName, Inert, PersistentId, SnapshotError, Vocabulary, describe, read_pickle

_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_LEGACY_MAGIC, _LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # the start of torch's format before its zip archives
_MAX_RANK = 8
_SCALAR_FORMATS = {"f4": "<f", "f8": "<d", "i1": "<b", "i2": "<h", "i4": "<i", "i8": "<q", "u1": "<B", "u2": "<H", "u4": "<I", "u8": "<Q", "b1": "<?"}

# Every global that may stand in a file. The first groups are re-made below, the others stay inert; none is ever imported.
_NAMES = {
    "collections": {"OrderedDict", "defaultdict"},
    "builtins": {"dict", "list", "int", "float", "str", "bool", "set", "tuple"},
    "torch._utils": {"_rebuild_tensor_v2", "_rebuild_parameter"},
    "torch.storage": {"_load_from_bytes"},
    "numpy": {"dtype"},
    "numpy._core.multiarray": {"scalar"},
    "numpy.core.multiarray": {"scalar"},
    "typing": {"Any"},
    "omegaconf.dictconfig": {"DictConfig"},
    "omegaconf.listconfig": {"ListConfig"},
    "omegaconf.nodes": {"AnyNode"},
    "omegaconf.base": {"ContainerMetadata", "Metadata"},
    "torch.nn.modules.container": {"Sequential"},
    "torch.nn.modules.sparse": {"Embedding"},
    "torch.nn.modules.rnn": {"LSTM"},
}
_PACKAGE_NAMES = {  # StyleGAN-V puts `src.` before these, or before some of them
    "torch_utils.persistence": {"_reconstruct_persistent_obj"},
    "dnnlib.util": {"EasyDict"},
    "training.layers": {"TemporalDifferenceEncoder"},
}


def snapshot_vocabulary(max_bytes: int) -> Vocabulary:
    """What a snapshot may name; its tensors together may take `max_bytes`."""
    tensors = _Tensors(max_bytes)
    prefixed = {prefix + module: names for module, names in _PACKAGE_NAMES.items() for prefix in ("", "src.")}
    makers = {
        "collections.OrderedDict": _make_dict,
        "collections.defaultdict": lambda args: {},
        "builtins.dict": _make_dict,
        "builtins.set": _make_set,
        "dnnlib.util.EasyDict": _make_dict,
        "src.dnnlib.util.EasyDict": _make_dict,
        "torch._utils._rebuild_tensor_v2": tensors.rebuild,
        "torch._utils._rebuild_parameter": _make_parameter,
        "torch.storage._load_from_bytes": tensors.load_storage,
        "numpy._core.multiarray.scalar": _make_scalar,
        "numpy.core.multiarray.scalar": _make_scalar,
    }
    return Vocabulary({module: frozenset(names) for module, names in (_NAMES | prefixed).items()}, makers)


class _Tensors:
    """Rebuilds storages and tensors and counts what they take."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes

    def load_storage(self, args: tuple[Any, ...]) -> Tensor:
        """A storage of the nested archive `args[0]` as a tensor [numel], on the CPU wherever it was saved."""
        data = _only(args, bytes, "a storage")
        # The same bytes may be named many times over, so what is decoded is counted, not what is read.
        self._left -= len(data)
        if self._left < 0:
            raise SnapshotError("the tensors take more memory than the file has bytes; the file is not a snapshot")
        dtype, count = _check_storage(data)
        storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return torch.empty(0, dtype=dtype).set_(storage._untyped_storage, 0, (count,), (1,))

    def rebuild(self, args: tuple[Any, ...]) -> Tensor:
        """A view of a storage; `args` are storage, offset, size, stride and what autograd once knew."""
        if len(args) < 4 or not isinstance(args[0], Tensor):
            raise SnapshotError("a tensor has no storage; the file is damaged")
        storage, offset, size, stride = args[:4]
        numbers = [offset, *_dimensions(size), *_dimensions(stride)]
        if len(size) != len(stride) or any(type(n) is not int or n < 0 for n in numbers):
            raise SnapshotError("a tensor's offset, size or stride is not made of whole numbers ≥ 0; the file is damaged")
        # torch would silently enlarge a short storage, and stride 0 would make a large tensor of a small one.
        end = offset + 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if 0 not in size else offset
        if end > storage.numel() or math.prod(size) > storage.numel():
            raise SnapshotError(f"a tensor of size {list(size)} at offset {offset} does not fit into its storage of {storage.numel()}; the file is damaged")
        return storage.as_strided(size, stride, offset)


def _check_storage(data: bytes) -> tuple[torch.dtype, int]:
    """Type and element count of a nested archive, once its header is what torch writes and its length agrees."""
    stream, end = io.BytesIO(data), len(data)
    plain = Vocabulary({})
    named = Vocabulary({"torch": frozenset(_STORAGES)}, persistent=True)
    magic, protocol = read_pickle(stream, end, plain), read_pickle(stream, end, plain)
    system, saved, keys = read_pickle(stream, end, plain), read_pickle(stream, end, named), read_pickle(stream, end, plain)
    if magic != _LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise SnapshotError("a storage is not in torch's little-endian legacy format; the file is damaged")
    entry = saved.value if isinstance(saved, PersistentId) else None
    if not isinstance(entry, tuple) or len(entry) < 5 or entry[0] != "storage" or not isinstance(entry[1], GlobalName):
        raise SnapshotError("a nested archive holds something other than one storage; it was refused and nothing was run")
    dtype, key, count = _STORAGES[entry[1].name], entry[2], entry[4]
    if type(key) is not str or type(keys) is not list or len(keys) != 1 or type(keys[0]) is not str or keys[0] != key:
        raise SnapshotError("a nested archive's list of storages does not name its one storage; the file is damaged")
    body = data[stream.tell() :]
    whole = type(count) is int and 0 <= count < 1 << 40 and all(item is None for item in entry[5:])
    if not whole or body[:8] != struct.pack("<q", count) or len(body) - 8 != count * dtype.itemsize:
        raise SnapshotError(f"a storage claims {describe(count)} elements of {dtype}, but {len(body) - 8} bytes follow; the file is damaged")
    return dtype, count


def _dimensions(value: Any) -> tuple[Any, ...]:
    if type(value) is not tuple or len(value) > _MAX_RANK:
        raise SnapshotError(f"a tensor has a {type(value).__name__} for a shape, wanted at most {_MAX_RANK} numbers; the file is damaged")
    return value


def _make_parameter(args: tuple[Any, ...]) -> Tensor:
    if not args or not isinstance(args[0], Tensor):
        raise SnapshotError("a parameter has no tensor; the file is damaged")
    return args[0]


def _make_dict(args: tuple[Any, ...]) -> dict[Any, Any]:
    if args not in ((), ([],), ((),)):  # its items follow by opcodes of their own
        raise SnapshotError("a dict is built from arguments, wanted none; the file is not a snapshot")
    return {}


def _make_set(args: tuple[Any, ...]) -> set[Any]:
    items = args[0] if args else []
    if not isinstance(items, list | tuple) or not all(isinstance(item, str | int) for item in items):
        raise SnapshotError("a set is built from something other than names; the file is not a snapshot")
    return set(items)


def _make_scalar(args: tuple[Any, ...]) -> float | int | bool:
    """A numpy scalar: its dtype, which is inert, and its bytes."""
    if len(args) == 2 and isinstance(args[0], Inert) and args[0].kind == GlobalName("numpy", "dtype") and isinstance(args[1], bytes):
        code, state = args[0].args[0] if args[0].args else None, args[0].state
        small = type(state) is tuple and len(state) > 1 and state[1] in ("<", "|")  # little-endian
        layout = _SCALAR_FORMATS.get(code) if isinstance(code, str) and small else None
        if layout is not None and struct.calcsize(layout) == len(args[1]):
            value: float | int | bool = struct.unpack(layout, args[1])[0]
            return value
    raise SnapshotError("a numpy scalar is neither a number nor a truth value; the file is not a snapshot")


def _only(args: tuple[Any, ...], kind: type, what: str) -> Any:
    if len(args) != 1 or type(args[0]) is not kind:
        raise SnapshotError(f"{what} is built from something other than {kind.__name__}; the file is damaged")
    return args[0]
