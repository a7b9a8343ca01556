"""Read a pickle as data: nothing named in the file is ever imported, looked up or called.

The standard unpickler runs whatever callable a file names, and a subclass with an allow-list still hands real classes to the file's
`BUILD` and `REDUCE` opcodes. This reader is therefore its own small stack machine over those opcodes that snapshots use; `pickletools` decodes their arguments.
A global becomes a `GlobalName`, an object an `Inert`; the handful of functions a snapshot needs are re-made here, with checks.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MAX_OPCODES = 3_000_000  # the largest official files hold some 200,000; each opcode costs at most a small object

_SCALARS = (str, int, float, bytes, type(None))


class SnapshotError(ValueError):
    """A snapshot that is not one, is damaged, names something unexpected or does not fit the known networks."""


@dataclass(frozen=True, slots=True)
class GlobalName:
    """A global the file names; only ever a pair of strings."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False, repr=False)
class Inert:
    """What stands for an object of the file: its class name, constructor arguments and state, none of them acted upon."""

    kind: GlobalName
    args: tuple[Any, ...] = ()
    state: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class PersistentId:
    """The argument of a persistent id; only the header of a nested storage may hold one."""

    value: Any


@dataclass(slots=True)
class Vocabulary:
    """What a file may name: module → names, and how the few names that matter are re-made from their arguments."""

    names: Mapping[str, frozenset[str]]
    makers: Mapping[str, Callable[[tuple[Any, ...]], Any]] = field(default_factory=dict)
    persistent: bool = False

    def look_up(self, module: str, name: str) -> GlobalName:
        """Return the token for an expected global, or refuse it by name."""
        # An exact match on both halves: "path.os.system" hidden in an allowed module is simply not in the set.
        if name not in self.names.get(module, frozenset()):
            raise SnapshotError(
                f"the file names {module[:100]}.{name[:100]}, which no snapshot needs; it was refused and nothing was run; "
                "use the official file, or do not trust this one"
            )
        return GlobalName(module, name)


class _Bounded:
    """A reader that never asks for more bytes than there are, so that a false length cannot allocate."""

    def __init__(self, stream: BinaryIO, end: int) -> None:
        self._stream, self._end = stream, end

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int) -> bytes:
        return self._stream.read(max(0, min(size, self._end - self.tell())))

    def readline(self) -> bytes:
        return self._stream.readline(4096)


def read_pickle(stream: BinaryIO, end: int, vocabulary: Vocabulary) -> Any:
    """Read one pickle from `stream`, which ends at byte `end`, and leave the stream just behind it.

    Returns plain containers and scalars, `Inert` objects and whatever the vocabulary's makers return.
    Raises SnapshotError on damage, on globals outside the vocabulary and on opcodes that no snapshot uses.
    """
    machine = _Machine(vocabulary)
    reader: Any = _Bounded(stream, end)
    try:
        for _ in range(MAX_OPCODES):
            code = reader.read(1)
            opcode = _OPCODES.get(code)
            if opcode is None or opcode.name not in machine.known:  # refused before its argument is decoded
                name = opcode.name if opcode else f"{code!r}, which is none"
                raise SnapshotError(f"the pickle uses the opcode {name}; no snapshot needs it, it was refused and nothing was run")
            machine.step(opcode.name, opcode.arg.reader(reader) if opcode.arg else None)
            if opcode.name == "STOP":
                return machine.result
        raise SnapshotError(f"the pickle has more than {MAX_OPCODES} opcodes, far beyond any snapshot; it was not read further")
    except SnapshotError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, EOFError) as error:
        raise SnapshotError(f"the pickle is damaged ({type(error).__name__}: {str(error)[:200]}); fetch the file again") from error


class _Machine:
    """The stack machine. Its work is linear in the number of opcodes and it never recurses."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.result: Any = None
        # Left out: INST, OBJ, EXT*, PERSID, the out-of-band buffers and everything of the text protocols.
        self.steps: dict[str, Callable[[Any], None]] = {
            name.removeprefix("_op_").upper(): getattr(self, name) for name in dir(type(self)) if name.startswith("_op_")
        }
        self.known = self.steps.keys() | _PUSHES | _CONSTANTS.keys()

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in _PUSHES:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        else:
            self.steps[opcode](argument)

    def _pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    # Framing, memo and stack

    def _op_proto(self, version: int) -> None:
        if not 2 <= version <= 5:
            raise SnapshotError(f"the pickle has protocol {version}, snapshots have 2 to 5; convert it or use the official file")

    def _op_frame(self, _: Any) -> None:
        pass  # a read-ahead hint

    def _op_stop(self, _: Any) -> None:
        self.result = self.stack.pop()

    def _op_mark(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def _op_memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _op_binput(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def _op_binget(self, index: int) -> None:
        self.stack.append(self.memo[index])

    _op_long_binput, _op_long_binget = _op_binput, _op_binget

    # Containers

    def _op_tuple(self, _: Any) -> None:
        items = self._pop_mark()
        self.stack.append(tuple(items))

    def _op_tuple1(self, _: Any) -> None:
        self._tuple(1)

    def _op_tuple2(self, _: Any) -> None:
        self._tuple(2)

    def _op_tuple3(self, _: Any) -> None:
        self._tuple(3)

    def _tuple(self, size: int) -> None:
        if len(self.stack) < size:
            raise IndexError("stack underflow")
        items = tuple(self.stack[-size:])
        del self.stack[-size:]
        self.stack.append(items)

    def _op_append(self, _: Any) -> None:
        item = self.stack.pop()
        self._extend([item])

    def _op_appends(self, _: Any) -> None:
        self._extend(self._pop_mark())

    def _extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise SnapshotError(f"the pickle appends to {describe(self.stack[-1])}, wanted a list; the file is not a snapshot")
        self.stack[-1].extend(items)

    def _op_setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def _op_setitems(self, _: Any) -> None:
        self._update(self._pop_mark())

    def _update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise SnapshotError(f"the pickle sets items of {describe(target)}, wanted a dict; the file is not a snapshot")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_hashable(key)] = value

    def _op_additems(self, _: Any) -> None:
        items = self._pop_mark()
        if type(self.stack[-1]) is not set:
            raise SnapshotError(f"the pickle adds items to {describe(self.stack[-1])}, wanted a set; the file is not a snapshot")
        self.stack[-1].update(map(_hashable, items))

    # Names and objects

    def _op_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")  # pickletools joins the two lines by a blank
        self.stack.append(self.vocabulary.look_up(module, name))

    def _op_stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise SnapshotError("the pickle builds the name of a global from something that is no text; it was refused")
        self.stack.append(self.vocabulary.look_up(module, name))

    def _op_reduce(self, _: Any) -> None:
        args, target = self.stack.pop(), self.stack.pop()
        self.stack.append(self._make(target, args))

    def _op_newobj(self, _: Any) -> None:
        self._op_reduce(None)

    def _make(self, target: Any, args: Any) -> Any:
        if type(target) is not GlobalName or type(args) is not tuple:
            raise SnapshotError(f"the pickle calls {describe(target)}, wanted a known global; it was refused and nothing was run")
        maker = self.vocabulary.makers.get(str(target))
        return Inert(target, args) if maker is None else maker(args)

    def _op_build(self, _: Any) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is Inert:
            target.state = state
        elif type(target) is not dict:  # attributes of a dict subclass mean nothing here and are dropped
            raise SnapshotError(f"the pickle sets the state of {describe(target)}, wanted an object; it was refused")

    def _op_binpersid(self, _: Any) -> None:
        if not self.vocabulary.persistent:
            raise SnapshotError("the pickle uses a persistent id, which no snapshot needs; it was refused and nothing was run")
        self.stack.append(PersistentId(self.stack.pop()))


_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_PUSHES = frozenset(
    "BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_SET": set,
    "EMPTY_TUPLE": tuple,
}


def _hashable(key: Any) -> Any:
    """Let only scalars be keys: hashing deeply nested tuples would overflow the C stack."""
    if not isinstance(key, _SCALARS):
        raise SnapshotError(f"the pickle uses {describe(key)} as a key, wanted text or a number; the file is not a snapshot")
    return key


def describe(value: Any) -> str:
    """A short form for messages; containers are only named, since to spell out a hostile one may take for ever."""
    if isinstance(value, Inert):
        return str(value.kind)
    if value is None or isinstance(value, str | int | float | GlobalName):
        return str(value)[:60]
    return f"a {type(value).__name__}"
