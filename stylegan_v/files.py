"""Writing files so that a kill at any moment leaves the old one or the new one, and seeing those of another machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path beside `path` to write to; what is there in the end takes its place, after an error nothing does.

    >>> with replacing("notes.txt") as beside:  # doctest: +SKIP
    ...     beside.write_text("whole or not at all")
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.touch()
        mode = beside.stat().st_mode
        yield beside
        beside.chmod(mode)  # some writers (safetensors) make files that nobody else may read
        with beside.open("r+b") as written:
            os.fsync(written.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def appears(path: Path, seconds: float = 60.0) -> bool:
    """Whether a file is seen within so many seconds: shared folders tell other machines of a new one a little later."""
    end = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.5)
    return path.exists()
