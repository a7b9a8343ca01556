"""Train a judge by its recipe: `python -m tests.accept.train_judge recipes/judge-portraits-1.toml [-o FILE]`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tqdm import tqdm

from vedit import judge as judges
from vedit.errors import VeditError
from vedit.judge_training import load_recipe, train
from vedit.models.store import ASSETS
from vedit.progress import Progress, finish


def main(arguments: list[str] | None = None) -> int:
    """Train, save, and print R² on held-out world frames; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.accept.train_judge", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("-o", "--out", type=Path, help="default: the package's assets")
    parser.add_argument("--frames", type=int, help="overrules the recipe, for a short trial")
    options = parser.parse_args(arguments)
    try:
        recipe = load_recipe(options.recipe, **({"frames": options.frames} if options.frames else {}))
    except VeditError as error:
        print(error, file=sys.stderr)
        return 2
    begin = time.process_time()
    with tqdm(total=recipe.frames, unit=" frames", mininterval=5) as bar:

        def show(progress: Progress) -> None:
            bar.set_postfix_str(progress.note, refresh=False)
            bar.update(progress.done - bar.n)

        judge = finish(train(recipe), show)
    out = options.out or ASSETS / f"judge-{recipe.world}-1.safetensors"
    judges.save(judge, out, recipe=options.recipe.name)
    print(f"{out}: {time.process_time() - begin:.0f} CPU-seconds")
    for column, figure in sorted(judges.validity(judges.load(out), None).items(), key=lambda item: item[1]):
        print(f"  {figure:6.3f}  {column}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
