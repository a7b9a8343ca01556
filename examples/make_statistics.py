"""The statistics that ship with the built-ins, one file for each generator: `python examples/make_statistics.py [GENERATOR]...`.

They say how a generator's contents and the built-in text–image model's view of them go together (see vedit/directions.py).
Anybody's first edit with another generator makes and caches the same; for the built-ins it is done once, here.
"""

from __future__ import annotations

import sys

from vedit import directions, guidance, models
from vedit.progress import Progress, finish


def show(progress: Progress) -> None:
    """One line every thousand samples."""
    if progress.done % 1000 == 0:
        print(f"{progress.stage} {progress.done}/{progress.total}", flush=True)


def main() -> None:
    """Make the named ones, or all."""
    model = guidance.load("builtin")
    for name in sys.argv[1:] or models.BUILTIN_GENERATORS:
        generator = models.load_generator(name)
        stats = finish(directions.measure(generator, model), show)
        path = directions.shipped_path(generator, model)
        path.parent.mkdir(exist_ok=True)
        stats.save(path)
        print(path)


if __name__ == "__main__":
    main()
