"""Fetching one file from upstream: resumed where it broke off, checked before it takes its place."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from vedit.errors import VeditError
from vedit.models.registry import ModelFile
from vedit.progress import Progress, Task

CHUNK = 1 << 20
LARGEST = 16 << 30  # bytes; no model known here is near it, and a server that never ends must not fill the disk
TIMEOUT = 30.0  # seconds without a byte


class DownloadFailed(VeditError, OSError):
    """A file could not be fetched; what came is kept, and the next try goes on there."""


class BadDownload(VeditError, ValueError):
    """What upstream offers or has sent is not the file that was wanted, and is not taken for it."""


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def download(file: ModelFile, target: Path, *, attempts: int = 3, pause: float = 1.0) -> Task[Path]:
    """Fetch `file` to `target`, going on where an earlier try stopped, and return `target`.

    The bytes gather in `target` + ".part"; only a file of the right size and hash is renamed to `target`. A connection that
    breaks is tried again `attempts` times, `pause` seconds apart. Raises DownloadFailed or BadDownload.
    """
    assert file.url is not None
    if urlsplit(file.url).scheme not in ("https", "http"):
        raise DownloadFailed(f"{file.url} is no https address; {file.name} cannot be fetched from there")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for attempt in range(attempts):
        try:
            yield from _receive(file, part)
            break
        except urllib.error.HTTPError as error:  # the server has spoken: trying again changes nothing
            raise DownloadFailed(
                f"{file.url} answered {error.code} {error.reason}; fetch {file.name} by other means and put it into {target.parent}"
            ) from error
        except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
            if attempt + 1 == attempts:
                reason = getattr(error, "reason", None) or error
                raise DownloadFailed(
                    f"{file.name} could not be fetched from {file.url} ({reason}); try again, it goes on where it stopped, "
                    f"or put the file into {target.parent}"
                ) from error
            time.sleep(pause)
    _check(file, part)
    os.replace(part, target)
    _tag_of(part).unlink(missing_ok=True)
    return target


def _tag_of(part: Path) -> Path:
    """Where the server's name for the version that `part` holds the start of is noted."""
    return part.with_name(part.name + ".etag")


def _receive(file: ModelFile, part: Path) -> Task[None]:
    """Append to `part` what is still missing; start over where the server's file is another one than before."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "vedit", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if _tag_of(part).exists():
            headers["If-Range"] = _tag_of(part).read_text().strip()
    assert file.url is not None
    try:
        response = urllib.request.urlopen(urllib.request.Request(file.url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return  # everything was there already
        part.unlink()
        yield from _receive(file, part)
        return
    with response:
        if response.status != 206 or not str(response.headers.get("Content-Range", "")).startswith(f"bytes {have}-"):
            have = 0
        announced = response.headers.get("Content-Length")
        total = have + int(announced) if announced and announced.isdigit() else None
        _refuse_wrong_size(file, total, part)
        if (tag := response.headers.get("ETag", "")) and not tag.startswith("W/"):
            _tag_of(part).write_text(tag)
        else:
            _tag_of(part).unlink(missing_ok=True)
        with part.open("r+b" if have else "wb") as stream:
            stream.seek(have)
            while chunk := response.read(CHUNK):
                have += len(chunk)
                if have > (file.size or LARGEST):
                    raise BadDownload(f"{file.url} sent more than the {file.size or LARGEST} bytes that {file.name} has")
                stream.write(chunk)
                yield Progress("download", have, total, file.name)
        if total is not None and have < total:
            raise ConnectionError(f"the connection ended after {have} of {total} bytes")


def _refuse_wrong_size(file: ModelFile, total: int | None, part: Path) -> None:
    """Stop before a byte is written where the announced size is wrong or does not fit on the disk."""
    if total is None:
        return
    if (file.size is not None and total != file.size) or total > LARGEST:
        raise BadDownload(f"{file.url} offers {total} bytes where {file.name} has {file.size or f'at most {LARGEST}'}; upstream has changed")
    have = part.stat().st_size if part.exists() else 0
    if shutil.disk_usage(part.parent).free < total - have:
        raise DownloadFailed(f"{file.name} needs {total} bytes and {part.parent} has less left; make room or set XDG_CACHE_HOME")


def _check(file: ModelFile, part: Path) -> None:
    """Remove `part` and raise BadDownload unless its size and hash are those of `file`."""
    size = part.stat().st_size
    found = sha256_of(part)
    if (file.size is None or size == file.size) and found.startswith(file.sha256):
        return
    part.unlink()
    _tag_of(part).unlink(missing_ok=True)
    wanted = f"sha256 {file.sha256 or 'unknown'}" + (f" and {file.size} bytes" if file.size is not None else "")
    raise BadDownload(f"{file.name} arrived with sha256 {found[:16]}… and {size} bytes, wanted {wanted}; it was removed, try again")
