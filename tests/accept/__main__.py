"""Run groups of acceptance checks and print one table."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from tests.accept import groups, table
from tests.accept.table import Row, Setting


def modules() -> dict[str, ModuleType]:
    """Every group by name, in the order in which they run."""
    found = [
        importlib.import_module(f"{groups.__name__}.{info.name}") for info in pkgutil.iter_modules(groups.__path__)
    ]
    return {module.__name__.rsplit(".", 1)[1]: module for module in sorted(found, key=lambda module: module.ORDER)}


def run(name: str, module: ModuleType, setting: Setting) -> Iterator[Row]:
    """The group's rows with name and time; a check that breaks is a failed row, with its traceback beside the pictures."""
    begin = time.monotonic()
    setting.out.mkdir(parents=True, exist_ok=True)
    (setting.out / "traceback.txt").unlink(missing_ok=True)
    try:
        for row in module.run(setting):
            now = time.monotonic()
            yield replace(row, group=name, seconds=now - begin)
            begin = now
    except Exception as error:
        (setting.out / "traceback.txt").write_text(traceback.format_exc())
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        yield Row("ran to its end", "no error", reason, "FAIL", {}, name, time.monotonic() - begin)


def commit() -> str:
    """The commit that is measured, with + where the working tree differs from it."""
    done = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 0 when no row fails."""
    known = modules()
    summary = "\n".join(f"  {name:12} {(module.__doc__ or '').splitlines()[0]}" for name, module in known.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.accept",
        description=f"{__doc__}\n\n{summary}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="default: all that are not on request")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("accept-output"),
        help="folder for pictures and JSON (default: accept-output)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("VEDIT_TEST_DATA", "../shared")),
        help="real clips and golden files",
    )
    parser.add_argument(
        "--beside",
        type=Path,
        nargs="+",
        default=[],
        help="generator files (portraits-….safetensors) to measure too: a warm start",
    )
    parser.add_argument(
        "--clip", default="builtin", help="text–image model that reads the prompts, as in vedit edit --clip"
    )
    parser.add_argument("--quick", action="store_true", help="few samples, to try the machinery")
    parser.add_argument("--only", default="", metavar="WORD", help="in groups that measure clip by clip: those whose names contain it")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.groups) - set(known))
    if unknown:
        parser.error(f"found {', '.join(unknown)}, wanted groups among {', '.join(known)}")
    chosen = options.groups or [name for name, module in known.items() if not getattr(module, "ON_REQUEST", False)]
    if (options.data / "weights").is_dir():  # real weights for LPIPS and fid-squeeze, where the caller named none
        os.environ.setdefault("VEDIT_MODEL_PATH", str((options.data / "weights").resolve()))
    rows: list[Row] = []
    for name in chosen:
        print(f"{name} …", flush=True)
        own: list[Row] = []
        setting = Setting(options.out / name, options.data, tuple(options.beside), options.clip, options.quick, options.only)
        for row in run(name, known[name], setting):
            own.append(row)
            print(f"  {row.verdict:6} {row.check}: {row.figure}" + (f" (bar {row.bar})" if row.bar else ""), flush=True)
            table.save_group(own, options.out / name, commit())
        rows += own
    table.collect(options.out, list(known))
    print("\n" + "\n".join(table.lines(rows)))
    failed = sum(row.verdict == "FAIL" for row in rows)
    print(
        f"\n{len(rows)} rows, {failed} failed, {sum(row.verdict == 'skip' for row in rows)} skipped; pictures and figures in {options.out}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
