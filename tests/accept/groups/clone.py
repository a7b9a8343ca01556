"""A fresh clone with empty caches: `make demo` and `make test`, timed (on request: it installs everything anew)."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.accept.table import Row, Setting, at_most, holds

ORDER = 90
ON_REQUEST = True
ROOT = Path(__file__).parents[3]
KEPT = (
    "PATH",
    "LANG",
    "TERM",
    "TMPDIR",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_CONFIG_FILE",
    "SSL_CERT_FILE",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
)


def run(setting: Setting) -> Iterator[Row]:
    home, clone = setting.out / "home", setting.out / "clone"
    for folder in (home, clone):
        shutil.rmtree(folder, ignore_errors=True)
    home.mkdir(parents=True)
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    for target, bar, of in (("demo", 20, "CPU"), ("test", 15, "wall-clock")):
        status, wall, cpu, log = make(target, clone.resolve(), home.resolve(), setting.out / f"make-{target}.log")
        last = next((line for line in reversed(log.splitlines()) if line.strip()), "")
        yield holds(
            f"fresh clone: make {target} ends well", "status 0", f"status {status}: {last.strip()[:100]}", status == 0
        )
        yield at_most(
            f"fresh clone: make {target}, {of} minutes, set-up included",
            (cpu if of == "CPU" else wall) / 60,
            bar,
            wall_s=wall,
            cpu_s=cpu,
        )


def make(target: str, clone: Path, home: Path, log: Path) -> tuple[int, float, float, str]:
    """Status, wall-clock and CPU-seconds and output of one make target, in an environment with nothing of this one's caches."""
    values = {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "HOME": str(home),
        "PIP_NO_CACHE_DIR": "1",
    }
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with log.open("w") as file:
        status = subprocess.run(
            ["make", target], cwd=clone, env=values, stdout=file, stderr=subprocess.STDOUT
        ).returncode
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return status, time.monotonic() - begin, cpu, log.read_text(errors="replace")
