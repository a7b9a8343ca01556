"""Whether the outer structure of a file is whole: some containers lose frames without a word from their reader."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_IN_SEGMENT = {_CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1254C367, 0x1941A469, 0x1043A770, 0xEC, 0xBF}
_IN_CLUSTER = {0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0xAF, 0x5854, 0xEC, 0xBF}
_SYNC, _PACKET, _AT_ONCE = 0x47, 188, 1 << 14
_OPEN = -1  # the size of an element that ends where another begins, as in recordings of live streams


class _Broken(Exception):
    """The structure ends or makes no sense here."""


def broken_at(path: Path, container: str, track: int) -> int | None:
    """Where the structure of a Matroska, FLV, GIF or MPEG-TS file breaks off, in bytes; None where it is whole, or of another kind.

    `container` is FFmpeg's name, `track` the number of a transport stream's packets. Only headers are read: Matroska's elements
    down to blocks (RFC 9559), FLV's tags (Adobe Flash Video File Format, version 10.1), GIF's blocks (GIF89a), packets of 188
    bytes and their continuity counters (ISO/IEC 13818-1).
    """
    if container == "mpegts":
        return _transport(path, track)
    walker = next((walker for name, walker in _WALKERS.items() if name in container.split(",")), None)
    if walker is None:
        return None
    with path.open("rb") as file:
        try:
            walker(file, path.stat().st_size)
        except _Broken:
            return file.tell()
    return None


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise _Broken
    return data


def _skip(file: BinaryIO, count: int, end: int) -> None:
    if file.tell() + count > end:
        raise _Broken
    file.seek(count, 1)


def _element(file: BinaryIO) -> tuple[int, int]:
    """ID and size of the EBML element that begins here."""
    first = _exactly(file, 1)
    length = 9 - first[0].bit_length()
    if length > 4:
        raise _Broken
    name = int.from_bytes(first + _exactly(file, length - 1), "big")
    first = _exactly(file, 1)
    length = 9 - first[0].bit_length()
    if length > 8:
        raise _Broken
    size = int.from_bytes(first + _exactly(file, length - 1), "big") & ((1 << 7 * length) - 1)
    return name, _OPEN if size == (1 << 7 * length) - 1 else size


def _matroska(file: BinaryIO, total: int) -> None:
    name, size = _element(file)
    if name != _EBML:
        raise _Broken
    _skip(file, size, total)
    name, size = _element(file)
    if name != _SEGMENT:
        raise _Broken
    end = total if size == _OPEN else file.tell() + size
    allowed, limit = _IN_SEGMENT, end  # clusters are entered: their blocks are walked like the segment's children
    while file.tell() < end:
        if file.tell() >= limit:
            allowed, limit = _IN_SEGMENT, end
        name, size = _element(file)
        if name not in allowed and name not in (_IN_SEGMENT if limit == end else ()):
            raise _Broken
        if name == _CLUSTER:
            allowed, limit = _IN_CLUSTER, end if size == _OPEN else file.tell() + size
            if limit > min(end, total):
                raise _Broken
        elif size == _OPEN:
            raise _Broken
        else:
            _skip(file, size, min(limit, total))


def _flv(file: BinaryIO, total: int) -> None:
    header = _exactly(file, 9)
    file.seek(0)
    _skip(file, int.from_bytes(header[5:9], "big") + 4, total)
    stated: bool | None = None  # whether this file's tags are followed by their own size in 4 bytes, as they should: the first one tells
    while file.tell() < total:
        tag = _exactly(file, 11)
        if tag[0] & 0x1F not in (8, 9, 18):
            raise _Broken
        size = int.from_bytes(tag[1:4], "big")
        _skip(file, size, total)
        agrees = int.from_bytes(_exactly(file, 4), "big") == len(tag) + size
        stated = agrees if stated is None else stated
        if stated and not agrees:
            raise _Broken


def _gif(file: BinaryIO, total: int) -> None:
    _table(file, _exactly(file, 13)[10], total)
    while True:
        kind = _exactly(file, 1)
        if kind == b";":
            return
        if kind == b",":
            _table(file, _exactly(file, 9)[8], total)
        elif kind != b"!":
            raise _Broken
        _exactly(file, 1)  # an extension's label, or the code size of an image
        while size := _exactly(file, 1)[0]:
            _skip(file, size, total)


def _table(file: BinaryIO, flags: int, total: int) -> None:
    if flags & 0x80:
        _skip(file, 3 << (flags & 7) + 1, total)


def _transport(path: Path, track: int) -> int | None:
    """Where a transport stream loses its beat or a packet of a track is missing; None for packets of other sizes than 188 bytes."""
    last: int | None = None
    with path.open("rb") as file:
        for place in itertools.count(0, _AT_ONCE * _PACKET):
            data = file.read(_AT_ONCE * _PACKET)
            rows = np.frombuffer(data, np.uint8, len(data) // _PACKET * _PACKET).reshape(-1, _PACKET)
            if place == 0 and not (len(rows) and (rows[:8, 0] == _SYNC).all()):
                return None
            lost = np.flatnonzero(rows[:, 0] != _SYNC)
            rows = rows[: lost[0]] if len(lost) else rows
            numbers = (rows[:, 1] & 0x1F).astype(int) << 8 | rows[:, 2]
            own = np.flatnonzero((numbers == track) & (rows[:, 3] & 0x10 > 0))  # those with a payload are counted
            counters = (rows[own, 3] & 0x0F).tolist()
            restarts = ((rows[own, 3] & 0x20 > 0) & (rows[own, 4] > 0) & (rows[own, 5] & 0x80 > 0)).tolist()
            for i, counter, restart in zip(own.tolist(), counters, restarts):
                if last is not None and not restart and counter not in (last, (last + 1) % 16):
                    return place + i * _PACKET
                last = counter
            if len(lost) or len(data) % _PACKET:
                return place + len(rows) * _PACKET
            if not data:
                return None
    return None


_WALKERS: dict[str, Callable[[BinaryIO, int], None]] = {"matroska": _matroska, "flv": _flv, "gif": _gif}
