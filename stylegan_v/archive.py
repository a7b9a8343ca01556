"""The files of a folder or a zip that may come from anywhere: listed with their sizes, read within bounds, nothing outside."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

HERE = "./"  # what some programs begin every name with
MAX_DEPTH = 16  # folders within folders
MAX_NAME = 1024  # characters of a path


class DataError(ValueError):
    """Training data that cannot be used; one line names the file, what was found and what is wanted."""


@dataclass(frozen=True)
class Entry:
    """A file: its path within the data set with forward slashes, its size in bytes, and a mark of its content.

    The mark is the CRC-32 in a zip and the time of the last change (ns) in a folder.
    """

    name: str
    size: int
    mark: int


class Archive(Protocol):
    """A folder or a zip; `marks` is what the marks of its entries are, CRCs or times."""

    path: Path
    marks: str

    def entries(self) -> list[Entry]:
        """All files, hidden ones left out, sorted by name; raises DataError for links and paths that lead outside."""
        ...

    def read(self, entry: Entry, most: int) -> bytes:
        """The bytes of a file; raises DataError where it has more than `most`, is damaged or has changed since it was listed.

        A change shows in a zip by size and CRC; in a folder by size alone, so that another file of the same size passes.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def open_archive(path: str | Path) -> Archive:
    """The folder or zip at `path`; raises DataError."""
    path = Path(path)
    if path.is_dir():
        return Folder(path)
    if not path.exists():
        raise DataError(f"found nothing at {path}; give a folder of clips or a zip of one")
    return Zip(path)


class Folder:
    """A folder on disk, without the links in it."""

    marks = "times"

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[Entry]:
        """All files below the folder."""
        return sorted(self._walk(self.path, ""), key=lambda entry: entry.name)

    def _walk(self, folder: Path, above: str) -> Iterator[Entry]:
        try:
            with os.scandir(folder) as listing:
                items = sorted(listing, key=lambda item: item.name)
        except OSError as error:
            raise DataError(f"{folder} cannot be listed ({error.strerror}); check its permissions") from None
        for item in items:
            if item.name.startswith("."):
                continue
            name = _checked(above + item.name, self.path)
            if item.is_symlink():
                raise DataError(f"{self.path}: {name} is a link, which may lead anywhere; put the file itself there")
            if item.is_dir(follow_symlinks=False):
                yield from self._walk(folder / item.name, f"{name}/")
            elif item.is_file(follow_symlinks=False):
                about = item.stat(follow_symlinks=False)
                yield Entry(name, about.st_size, about.st_mtime_ns)

    def read(self, entry: Entry, most: int) -> bytes:
        """The bytes of a file."""
        _check_size(self.path, entry, most)
        try:
            handle = os.open(self.path / entry.name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
            with open(handle, "rb") as file:
                data = file.read(entry.size + 1)
        except OSError as error:
            raise DataError(f"{self.path}: {entry.name} cannot be read ({error.strerror}); it was there when the data set was opened") from None
        if len(data) != entry.size:
            raise DataError(f"{self.path}: {entry.name} has changed while in use: it had {entry.size} bytes; start again")
        return data

    def close(self) -> None:
        """A folder holds nothing open."""


class Zip:
    """A zip file. Every process opens it for itself, since the place in an open file is shared with forked ones; threads share."""

    marks = "CRCs"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: dict[int, zipfile.ZipFile] = {}

    def __getstate__(self) -> dict[str, Path]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def _file(self) -> zipfile.ZipFile:
        process = os.getpid()
        file = self._open.get(process)
        if file is None:
            file = self._open.setdefault(process, self._opened())  # of two threads that come at once, the first one's stays
            for other in list(self._open):
                if other != process:
                    self._open.pop(other, None)  # another thread may have been here
        return file

    def _opened(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise DataError(f"{self.path} is no zip that can be read ({error}); give a folder of clips or a whole zip of one") from None

    def _info(self, name: str) -> zipfile.ZipInfo:
        file = self._file()
        return file.getinfo(name if name in file.NameToInfo else HERE + name)

    def entries(self) -> list[Entry]:
        """All files of the zip."""
        found: dict[str, Entry] = {}
        for info in self._file().infolist():
            if info.filename == HERE:
                continue
            name = _checked(info.filename.removeprefix(HERE).rstrip("/"), self.path)
            if stat.S_ISLNK(info.external_attr >> 16):
                raise DataError(f"{self.path}: {name} is a link, which may lead anywhere; put the file itself there")
            if info.is_dir() or _hidden(name):
                continue
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(f"{self.path}: {name} is encrypted or compressed in a rare way; wanted: stored or deflated files")
            if name in found:
                raise DataError(f"{self.path}: {name} is there twice; wanted: every file once")
            found[name] = Entry(name, info.file_size, info.CRC)
        return sorted(found.values(), key=lambda entry: entry.name)

    def read(self, entry: Entry, most: int) -> bytes:
        """The bytes of a file, whose CRC is checked; never more than the listing declares."""
        _check_size(self.path, entry, most)
        try:
            info = self._info(entry.name)
            if (info.file_size, info.CRC) != (entry.size, entry.mark):
                raise DataError(f"{self.path} has changed while in use ({entry.name} is another file now); start again")
            with self._file().open(info) as file:
                data = file.read(entry.size + 1)
        except KeyError:
            raise DataError(f"{self.path} has changed while in use ({entry.name} is gone); start again") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise DataError(f"{self.path}: {entry.name} is damaged ({error or type(error).__name__}); write the zip again") from None
        if len(data) != entry.size:
            raise DataError(f"{self.path}: {entry.name} is damaged (it holds {len(data)} bytes, {entry.size} declared); write the zip again")
        return data

    def close(self) -> None:
        """Close this process's handle."""
        if (file := self._open.pop(os.getpid(), None)) is not None:
            file.close()


def _checked(name: str, path: Path) -> str:
    """The name itself if it is a plain path below the data set; raises DataError."""
    parts = PurePosixPath(name).parts
    plain = name.isprintable() and 0 < len(name) <= MAX_NAME and len(parts) <= MAX_DEPTH
    if not plain or name.startswith("/") or "\\" in name or ":" in name[:2] or ".." in parts:
        raise DataError(f"{path}: entry {name!r} leads outside or is no plain path; wanted names such as video/000000.jpg")
    return name


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _check_size(path: Path, entry: Entry, most: int) -> None:
    if entry.size > most:
        raise DataError(f"{path}: {entry.name} declares {entry.size} bytes, at most {most} are read; it is no image for training")
