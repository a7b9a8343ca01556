"""The statistics that ship with the built-ins, one file for each generator: `python examples/make_statistics.py`.

They say how a generator's contents and the built-in text–image model's view of them go together (see vedit/directions.py).
Anybody's first edit with another generator makes and caches the same; for the built-ins it is done once, here.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vedit import directions, guidance, models
from vedit.progress import Progress, finish


def show(progress: Progress) -> None:
    """One line every thousand samples."""
    if progress.done % 1000 == 0:
        print(f"{progress.stage} {progress.done}/{progress.total}", flush=True)


def main() -> None:
    """Make the named ones, or all."""
    parser = argparse.ArgumentParser(description="measure the statistics of built-in generators")
    parser.add_argument("generators", nargs="*", default=models.BUILTIN_GENERATORS, metavar="GENERATOR")
    parser.add_argument("--samples", type=int, default=directions.SAMPLES, help="frames of each")
    parser.add_argument("--out", type=Path, help="a folder; where the built-ins' own are if left out")
    wanted = parser.parse_args()
    model = guidance.load("builtin")
    for name in wanted.generators:
        generator = models.load_generator(name)
        stats = finish(directions.measure(generator, model, samples=wanted.samples), show)
        path = directions.shipped_path(generator, model)
        path = path if wanted.out is None else wanted.out / path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        stats.save(path)
        print(path)


if __name__ == "__main__":
    main()
