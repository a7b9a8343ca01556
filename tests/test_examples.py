"""The scripts that make what ships run from beginning to end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from vedit import directions, guidance, models, video

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(script: str, *arguments: str | Path) -> str:
    done = subprocess.run([sys.executable, str(EXAMPLES / script), *map(str, arguments)], check=True, capture_output=True, text=True)
    return done.stdout


def test_the_pictures_of_the_readme_are_made_again(tmp_path: Path) -> None:
    video.write(tmp_path / "compare.mp4", [np.full((64, 192, 3), 40 * i, np.uint8) for i in range(4)], fps=25)
    run("make_pictures.py", tmp_path, tmp_path / "pictures")
    made = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert made == {path.name for path in (EXAMPLES / "pictures").iterdir()}
    for name in made - {"demo.jpg"}:  # JPEG, and another machine's last bits: not to the bit
        shipped, again = (np.asarray(Image.open(folder / name), np.float32) for folder in (EXAMPLES / "pictures", tmp_path / "pictures"))
        assert shipped.shape == again.shape and np.abs(shipped - again).mean() < 2, name


def test_statistics_are_measured_for_the_generator_that_is_named(tmp_path: Path) -> None:
    told = run("make_statistics.py", "skies-2", "--samples", "40", "--out", tmp_path).splitlines()
    shipped = directions.shipped_path(models.load_generator("skies-2"), guidance.load("builtin"))
    assert told[-1] == str(tmp_path / shipped.name) and shipped.is_file()
    found = directions.Statistics.load(tmp_path / shipped.name)
    assert found.w_mean.shape == directions.Statistics.load(shipped).w_mean.shape
