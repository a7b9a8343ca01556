"""Snapshots that would run code, or eat memory, are refused or loaded inertly; a sound one still loads."""

from __future__ import annotations

import io
import pickle
import random
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan_v import Generator, import_snapshot
from stylegan_v.checkpoint import model_hash
from stylegan_v.snapshot import SnapshotError
from stylegan_v.unpickling import Inert, Vocabulary, read_pickle
from tests.pickled import (
    Call,
    Raw,
    dump,
    emit,
    module_state,
    network,
    persistent,
    plain_global,
    stack_global,
    storage,
    tensor,
    tiny_generator,
)

_watching: list[str] | None = None


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _watching is not None and event in ("os.system", "subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork", "compile", "import", "pickle.find_class"):
        _watching.append(f"{event} {str(args)[:80]}")


sys.addaudithook(_audit)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return tiny_generator()


@pytest.fixture(scope="module")
def warm(generator: Generator, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever torch imports on its first use is imported before anything is watched."""
    sound = tmp_path_factory.mktemp("sound") / "sound.pkl"
    sound.write_bytes(dump({"G_ema": network(generator)}))
    import_snapshot(sound)


@pytest.fixture
def attempt(tmp_path: Path, warm: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], Any]]:
    """Import a file of the given bytes and return its networks or the error; nothing may be started, compiled or looked up meanwhile."""
    monkeypatch.chdir(tmp_path)  # where "touch canary" would leave its trace

    def run(data: bytes) -> Any:
        global _watching
        path = tmp_path / "hostile.pkl"
        path.write_bytes(data)
        _watching = seen = []
        try:
            return import_snapshot(path)
        except SnapshotError as error:
            assert "\n" not in str(error) and str(path) in str(error)
            return error
        finally:
            _watching = None
            # torch reads a nested storage with its own restricted unpickler, in Python, and may touch its own modules
            assert [event for event in seen if "torch" not in event] == []

    yield run
    assert not (tmp_path / "canary").exists()


def refused(result: Any, *words: str) -> None:
    assert isinstance(result, SnapshotError), f"was loaded: {result}"
    for word in words:
        assert word in str(result)


def test_a_sound_snapshot_in_the_official_layout_loads(attempt: Any, generator: Generator) -> None:
    found = attempt(dump({"G": None, "G_ema": network(generator), "D": None, "augment_pipe": None}))
    assert list(found) == ["G", "G_ema", "D"] and found["G"] is None and found["D"] is None
    assert found["G_ema"].cfg == generator.cfg
    assert found["G_ema"].hash == model_hash(generator)
    assert not found["G_ema"].training and not any(p.requires_grad for p in found["G_ema"].parameters())


def test_source_code_inside_a_snapshot_is_not_executed(attempt: Any, generator: Generator) -> None:
    source = "import os; os.system('touch canary'); raise SystemExit"
    found = attempt(dump({"G_ema": network(generator, module_src=source)}))
    assert found["G_ema"].hash == model_hash(generator)


def test_the_attacks_of_this_file_are_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(dump(Call("os.system", "touch canary")))
    assert (tmp_path / "canary").exists(), "the standard unpickler runs what this file tries"


GLOBALS = """
os.system posix.system nt.system os.popen os.execv subprocess.Popen subprocess.run subprocess.check_output pty.spawn runpy._run_code
builtins.eval builtins.exec builtins.compile builtins.getattr builtins.setattr builtins.__import__ builtins.open builtins.globals builtins.map
builtins.type builtins.object builtins.bytearray builtins.breakpoint __builtin__.eval __builtin__.getattr importlib.import_module
code.InteractiveInterpreter timeit.timeit cProfile.run pdb.run webbrowser.open shutil.rmtree ctypes.CDLL operator.attrgetter functools.partial
collections.namedtuple collections.Counter collections.deque collections.UserDict collections._sys collections.abc.Mapping
typing.ForwardRef typing.get_type_hints typing.NamedTuple copyreg._reconstructor copyreg.__newobj__ copy_reg._reconstructor
numpy.load numpy.fromfile numpy.frombuffer numpy.ndarray numpy.memmap numpy.core.multiarray._reconstruct numpy._core.multiarray.fromfile
numpy.f2py.compile numpy.f2py.crackfortran.getlincoef numpy.f2py.crackfortran.myeval numpy.testing.rundocs numpy.testing._private.utils.runstring
numpy.distutils.exec_command.exec_command numpy.lib.npyio.load numpy.lib._utils_impl.safe_eval
torch.load torch.save torch.serialization.load torch.serialization._load torch.hub.load torch.hub.load_state_dict_from_url torch.jit.load
torch.utils.model_zoo.load_url torch.utils.collect_env.run torch.utils.cpp_extension.load_inline torch.utils.bottleneck.__main__.run_cprofile
torch.utils._config_module.ConfigModule torch.utils.data.DataLoader torch._utils._import_dotted_name torch._utils._rebuild_wrapper_subclass
torch._utils._rebuild_sparse_tensor torch._tensor._rebuild_from_type_v2 torch._utils._rebuild_tensor torch.storage.TypedStorage torch.storage._StorageBase
torch.storage._new_dtypes torch._C._jit_get_operation torch.ops.load_library torch.classes.load_library torch.package.PackageImporter
torch.distributed.rpc.rpc_sync torch._inductor.codecache.PyCodeCache.load torch.fx._symbolic_trace.wrap torch.nn.modules.module.Module
torch.nn.modules.container.ModuleList torch.nn.Module torch.FloatStorage torch.Tensor torch.device
omegaconf.OmegaConf omegaconf.omegaconf.OmegaConf omegaconf.omegaconf.register_default_resolvers omegaconf.resolvers.oc.env
omegaconf.resolvers.oc.select omegaconf.dictconfig._get_value omegaconf._utils.get_yaml_loader omegaconf.nodes.ValueNode omegaconf.base.SCMode
torch_utils.persistence.persistent_class torch_utils.persistence._src_to_module src.torch_utils.persistence.import_hook
dnnlib.util.call_func_by_name src.dnnlib.util.open_url src.dnnlib.util.get_obj_by_name src.dnnlib.util.importlib
training.layers.torch src.training.layers.os src.src.dnnlib.util.EasyDict evil.dnnlib.util.EasyDict evil.torch_utils.persistence._reconstruct_persistent_obj
""".split()


@pytest.mark.parametrize("name", GLOBALS)
def test_globals_outside_the_vocabulary_are_refused_by_name(name: str, attempt: Any) -> None:
    module, attribute = name.rsplit(".", 1)
    for code in (plain_global(module, attribute), stack_global(module, attribute)):
        refused(attempt(dump({"G_ema": Raw(code + emit(("touch canary",)) + b"R")})), name, "nothing was run")
        refused(attempt(dump({"G_ema": code})), name)


DOTTED = [
    ("collections", "OrderedDict.fromkeys"), ("collections", "OrderedDict.__init__.__globals__"), ("collections", "_sys.modules"),
    ("builtins", "dict.fromkeys"), ("builtins", "int.__class__"), ("builtins", "list.__subclasses__"), ("typing", "Any.__class__"),
    ("numpy", "dtype.__class__"), ("numpy", "core.os.system"), ("numpy", "f2py.os.system"), ("torch._utils", "os.system"),
    ("torch._utils", "_rebuild_tensor_v2.__globals__"), ("torch.storage", "_load_from_bytes.__globals__"), ("torch.storage", "io.open"),
    ("torch.storage", "torch.load"), ("omegaconf.nodes", "AnyNode.__init__.__globals__"), ("omegaconf.base", "sys.modules"),
    ("torch.nn.modules.rnn", "LSTM.forward.__globals__"), ("torch.nn.modules.rnn", "torch.load"), ("training.layers", "os.system"),
    ("src.training.layers", "TemporalDifferenceEncoder.__init__"), ("torch_utils.persistence", "_reconstruct_persistent_obj.__globals__"),
    ("src.dnnlib.util", "EasyDict.__class__"), ("path", "os.system"), ("os", "path.os.system"), ("", "os.system"), ("posix", "system\x00"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name"), DOTTED)
def test_names_with_dots_do_not_reach_further(module: str, name: str, attempt: Any) -> None:
    for code in (plain_global(module, name), stack_global(module, name)):
        refused(attempt(dump(Raw(code + emit(("touch canary",)) + b"R"))), "nothing was run")


SYSTEM = b"cos\nsystem\n"
KNOWN = bytes(stack_global("omegaconf.nodes", "AnyNode"))
FUNCTION = bytes(stack_global("torch._utils", "_rebuild_tensor_v2"))
OPCODES = {
    "INST": b"(X\x05\x00\x00\x00touchios\nsystem\n",
    "INST of a known class": b"(iomegaconf.nodes\nAnyNode\n",
    "OBJ": b"(" + KNOWN + emit("touch") + b"o",
    "OBJ of os.system": b"(" + SYSTEM + emit("touch") + b"o",
    "EXT1": b"\x82\x01",
    "EXT2": b"\x83\x01\x00",
    "EXT4": b"\x84\x01\x00\x00\x00",
    "PERSID": b"Pos.system\n",
    "BINPERSID": emit(("storage", "x", "0", "cpu", 1)) + b"Q",
    "NEXT_BUFFER": b"\x97",
    "READONLY_BUFFER": b"N\x98",
    "BYTEARRAY8": b"\x96" + struct.pack("<Q", 1) + b"x",
    "NEWOBJ_EX": KNOWN + b")}\x92",
    "LONG4": b"\x8b" + struct.pack("<i", 2) + b"\x01\x00",
    "STRING": b"S'os'\n",
    "UNICODE": b"Vos\n",
    "INT": b"I1\n",
    "FLOAT": b"F1.5\n",
    "POP": b"N0",
    "DUP": b"N2",
    "GET": b"g0\n",
    "STACK_GLOBAL of bytes": emit(b"os") + emit(b"system") + b"\x93",
    "STACK_GLOBAL of a number": emit("os") + emit(1) + b"\x93",
    "STACK_GLOBAL of a global": KNOWN + emit("system") + b"\x93",
    "STACK_GLOBAL through the memo": emit("os") + b"q\x00" + emit("system") + b"q\x01h\x00h\x01\x93",
    "REDUCE of text": emit("os.system") + emit(("touch",)) + b"R",
    "REDUCE of an object": KNOWN + b")\x81" + emit(("touch",)) + b"R",
    "REDUCE with a list": KNOWN + b"]R",
    "NEWOBJ of an object": KNOWN + b")\x81)\x81",
    "BUILD on a class": KNOWN + emit((None, {"__setstate__": "x"})) + b"b",
    "BUILD on a function": FUNCTION + emit((None, {"__code__": 1, "__defaults__": ("x",)})) + b"b",
    "BUILD on a list": b"]" + emit({"append": 1}) + b"b",
    "BUILD on a tensor": emit(torch.zeros(2)) + emit({"data": 1}) + b"b",
    "APPEND to an object": KNOWN + b")\x81Na",
    "APPENDS to a tuple": b")(NNe",
    "SETITEM on a list": b"]NNs",
    "SETITEMS on an object": KNOWN + b")\x81(NNu",
    "SETITEMS, odd": b"}(Nu",
    "ADDITEMS to a dict": b"}(N\x90",
    "a container as a key": b"}]Ns",
    "an object as a key": b"}" + KNOWN + b")\x81Ns",
    "stack underflow": b"R",
    "no mark": b"t",
    "unknown memo": b"h\x07",
    "TUPLE3 of two": b"NN\x87",
    "text that is not UTF-8": b"X\x01\x00\x00\x00\xff",
    "a length beyond the end": b"B\xff\xff\xff\x7fabc",
    "a length beyond memory": b"\x8e" + struct.pack("<Q", 1 << 62) + b"abc",
    "an unknown opcode": b"\xff",
}  # fmt: skip


@pytest.mark.parametrize("name", OPCODES)
def test_opcodes_without_a_place_in_snapshots_are_refused(name: str, attempt: Any) -> None:
    refused(attempt(b"\x80\x04}" + emit("G_ema") + OPCODES[name] + b"s."))


@pytest.mark.parametrize("data", [b"\x80\x06N.", b"\x80\x01N.", b"\x80\x04N", b"\x80\x04", b"\x80\x04N."])
def test_odd_pickles_are_refused(data: bytes, attempt: Any) -> None:
    refused(attempt(data))


def test_state_of_an_object_is_kept_as_data_and_never_called() -> None:
    vocabulary = Vocabulary({"omegaconf.nodes": frozenset({"AnyNode"})})
    state = {"__setstate__": stack_global("omegaconf.nodes", "AnyNode"), "__class__": 1, "__reduce__": "x"}
    data = b"\x80\x04" + KNOWN + b")\x81" + emit(state) + b"b" + emit((None, {"kind": 2})) + b"b."
    found = read_pickle(io.BytesIO(data), len(data), vocabulary)
    assert type(found) is Inert and found.state == (None, {"kind": 2}) and str(found.kind) == "omegaconf.nodes.AnyNode"


def test_an_object_cannot_change_how_it_is_read(attempt: Any, generator: Generator) -> None:
    """A first BUILD that plants `__setstate__`, a second one that would call it with a command."""
    planted = KNOWN + b")\x81" + emit({"__setstate__": Raw(plain_global("builtins", "dict"))}) + b"b" + emit("touch") + b"b"
    found = attempt(dump({"G_ema": network(generator), "vis": Raw(planted)}))
    assert found["G_ema"].hash == model_hash(generator)


NESTED = {
    "a pickle that runs": lambda: pickle.dumps(0)[:-2] + SYSTEM + emit(("touch canary",)) + b"R.",
    "torch's header, then a pickle that runs": lambda: _header() + b"\x80\x02" + SYSTEM + emit(("touch canary",)) + b"R.\x80\x02].",
    "an archive that is no storage": lambda: _saved({"a": 1}),
    "an archive of a tensor": lambda: _saved(torch.zeros(2)),
    "a zip": lambda: _saved(torch.zeros(2)._typed_storage(), zipped=True),
    "a zip bomb": lambda: _zip_bomb(),
    "trailing bytes": lambda: storage(torch.zeros(2)) + b"x",
    "a short one": lambda: storage(torch.zeros(2))[:-1],
    "a false count": lambda: storage(torch.zeros(2))[:-16] + struct.pack("<q", 1 << 40) + bytes(8),
    "a false count in the name": lambda: storage(torch.zeros(77)).replace(b"K\x4d", b"K\x4e"),
    "another name": lambda: storage(torch.zeros(2)).replace(b"FloatStorage", b"os.system   "[:12]),
    "nothing": lambda: b"",
}  # fmt: skip


def _header() -> bytes:
    buffer = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}):
        pickle.dump(value, buffer, protocol=2)
    return buffer.getvalue()


def _saved(value: Any, zipped: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def _zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(1 << 20))
    return buffer.getvalue()


@pytest.mark.parametrize("name", NESTED)
def test_nested_storages_are_checked_before_torch_reads_them(name: str, attempt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = NESTED[name]()  # type: ignore[no-untyped-call]
    loads: list[Any] = []
    monkeypatch.setattr(torch, "load", lambda *args, **options: loads.append(options))
    refused(attempt(dump({"G_ema": tensor(data, 0, (1,), (1,))})))
    assert loads == []


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (5,), (1,)), (1, (4,), (1,)), (0, (2, 2), (4, 1)), (4, (1,), (1,)), (0, (1 << 40,), (1,)), (0, (1 << 62, 1 << 62), (1, 1)),
        (0, (8,), (0,)), (0, (1 << 40,), (0,)), (-1, (2,), (1,)), (3, (4,), (-1,)), (0, (-1,), (1,)), (0, (2,), (1, 1)), (0, (2, 2), (1,)),
        (0, (1,) * 9, (1,) * 9), (0.0, (2,), (1,)), (True, (2,), (1,)), (0, (2.0,), (1,)), (0, ("2",), (1,)), (0, [2], [1]), (0, None, None),
        (1 << 70, (1,), (1,)), (0, (1 << 70,), (1,)), (5, (0,), (1,)),
    ],
)  # fmt: skip
def test_tensors_beyond_their_storage_are_refused(offset: Any, size: Any, stride: Any, attempt: Any, generator: Generator) -> None:
    wrong = tensor(storage(torch.zeros(4)), offset, size, stride)
    refused(attempt(dump({"G_ema": network(generator), "vis": wrong})), "damaged")


def test_one_storage_cannot_be_decoded_over_and_over(attempt: Any, generator: Generator) -> None:
    data = storage(torch.zeros(4096))
    again = stack_global("torch.storage", "_load_from_bytes") + b"h\x00\x85R"
    code = emit(data) + b"q\x00" + Raw(again * 50)
    refused(attempt(b"\x80\x04(" + code + b"t."), "more memory")


def test_values_from_a_cuda_device_arrive_on_the_cpu(attempt: Any, generator: Generator) -> None:
    archive = storage(torch.arange(9.0)).replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    assert b"cuda:0" in archive
    buffers = {**module_state(generator.mapping), "_buffers": {"w_avg": tensor(archive, 0, (9,), (1,))}}
    parts = {**module_state(generator)["_modules"], "mapping": persistent("MappingNetwork", buffers)}
    found = attempt(dump({"G_ema": network(generator, _modules=parts)}))
    assert found["G_ema"].mapping.w_avg.tolist() == list(range(9))


def _cyclic_module() -> Raw:
    """A module whose part is itself."""
    state = {"_parameters": {}, "_buffers": {}, "_modules": {"again": Raw(b"h\x00")}}
    head = stack_global("torch.nn.modules.container", "Sequential") + b")\x81q\x00"
    return Raw(head + emit(state) + b"b")


def _doubling_modules(levels: int = 60) -> Raw:
    """Each level holds the one below twice, so that a walk along all paths would take 2**60 steps."""
    head = bytes(stack_global("torch.nn.modules.container", "Sequential")) + b")\x81"
    code = head + emit({"_modules": {}}) + b"bq\x00"
    for level in range(1, levels):
        below = Raw(b"h" + bytes([level - 1]))
        code += head + emit({"_modules": {"a": below, "b": below}}) + b"bq" + bytes([level])
    return Raw(b"(" + code + b"t")


def test_modules_that_contain_themselves_end(attempt: Any, generator: Generator) -> None:
    state = module_state(generator)
    for part in (_cyclic_module(), Raw(b"h\x3b")):  # h 3b: the outermost of the doubling ones
        parts = {**state["_modules"], "extra": part}
        extra = {"_modules": parts}
        data = dump({"first": _doubling_modules(), "G_ema": network(generator, **extra)})
        refused(attempt(data), "contain themselves")


def test_configurations_that_refer_to_themselves_or_explode_end(attempt: Any, generator: Generator) -> None:
    cycle = Raw(stack_global("omegaconf.dictconfig", "DictConfig") + b")\x81q\xff" + emit({"_content": {"motion": Raw(b"h\xff")}}) + b"b")
    refused(attempt(dump({"G_ema": network(generator, cfg=cycle)})), "configuration")
    code = b"]q\x00"
    for level in range(1, 15):
        code += b"](" + b"h" + bytes([level - 1]) + (b"h" + bytes([level - 1])) * 9 + b"eq" + bytes([level])
    bomb = Raw(emit({"motion": Raw(b"h\x0e")}))
    refused(attempt(dump({"first": Raw(b"(" + code + b"t"), "G_ema": network(generator, cfg=bomb)})), "configuration")


@pytest.mark.parametrize("kind", ["tuple", "list", "dict", "object", "state"])
def test_deep_nesting_does_not_overflow_the_stack(kind: str, attempt: Any, generator: Generator) -> None:
    depth = 50_000  # tens of thousands of C frames are what a stack holds
    code = {
        "tuple": b")" + b"\x85" * depth,
        "list": b"]" * depth + b"a" * (depth - 1),
        "dict": (b"}" + emit("k")) * depth + b"N" + b"s" * depth,
        "object": b")" + b"".join([b"q\x05" + KNOWN + b"h\x05\x85\x81"] * (depth // 10)),
        "state": b"N" + b"".join([b"q\x05" + KNOWN + b")\x81h\x05b"] * (depth // 10)),
    }[kind]
    if kind in ("object", "state"):
        code = b"(" + code + b"t"
    deep = Raw(code + b"q\xf0")
    found = attempt(dump({"first": deep, "G_ema": network(generator)}))
    assert found["G_ema"].hash == model_hash(generator)
    again = Raw(b"h\xf0")
    for place in ("cfg", "z_dim", "_buffers"):
        refused(attempt(dump({"first": deep, "G_ema": network(generator, **{place: again})})))
    refused(attempt(dump({"first": deep, "G_ema": again})))
    refused(attempt(dump(Raw(code + b")R"))))


def test_random_damage_is_refused_or_harmless(attempt: Any, generator: Generator) -> None:
    """Bytes changed, cut and repeated at random, most of them among the opcodes at the start; `attempt` fails on any other error."""
    sound, dice, refusals = dump({"G_ema": network(generator)}), random.Random(3), 0
    for _ in range(40):
        data = bytearray(sound)
        for _ in range(dice.choice((1, 2, 5))):
            place, other = dice.randrange(3000), dice.randrange(len(sound))
            match dice.randrange(4):
                case 0:
                    data[place] = dice.randrange(256)
                case 1:
                    del data[place : place + dice.randrange(1, 9)]
                case 2:
                    data[place : place + 50] = data[other : other + 50]
                case 3:
                    data[place] = dice.choice(b"R\x81b.()tu}se\x93chqQ")
        refusals += isinstance(attempt(bytes(data)), SnapshotError)
    assert refusals > 20


def test_files_that_are_no_snapshots_are_refused(tmp_path: Path, attempt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (b"", b"hello\n", b"<html>", b"PK\x03\x04", b"\x80", dump({}), dump([1]), dump({"state_dict": {}}), dump({"G_ema": 3}), dump({"D": None})):
        refused(attempt(data))
    for path in (tmp_path, tmp_path / "missing.pkl"):
        with pytest.raises(SnapshotError, match="not a file"):
            import_snapshot(path)
    monkeypatch.setattr("stylegan_v.unpickling.MAX_OPCODES", 1000)
    refused(attempt(dump([None] * 2000)), "opcodes")
    monkeypatch.setattr("stylegan_v.snapshot.MAX_BYTES", 1000)
    refused(attempt(dump("x" * 2000)), "bytes")
