"""What the built-in text–image model knows of single words and of captions, on held-out frames of both worlds and both generators."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.accept import footage
from tests.accept.table import Row, Setting, stated
from vedit import clip_scores, guidance, models
from vedit.clip_examples import ExamplePool
from vedit.clip_training import ClipRecipe
from vedit.worlds import NAMES, world

ORDER = 68
RECIPE = Path(__file__).parents[3] / "recipes" / "clip-1.toml"
FRAMES, CAPTIONS, ROUNDS = 1024, 64, 16


def run(setting: Setting) -> Iterator[Row]:
    recipe, model = ClipRecipe.read(RECIPE), guidance.load(setting.clip)
    frames = setting.count(FRAMES, 2 * CAPTIONS)
    for name in NAMES:
        for place, share in ((f"world {name}", 0.0), (models.GENERATOR_OF[name], 1.0)):
            pool = ExamplePool(world(name), 64, frames, CAPTIONS, footage.HELD_OUT + 600, models.find(models.GENERATOR_OF[name]), share)
            pool.fill(frames // CAPTIONS)
            for found in clip_scores.probe(model, pool, recipe.probes, frames):
                told = f"correlation {found.correlation:.2f}, the right one of two {found.pick:.2f}, leaks {found.leak:.2f} into {found.leaking}"
                yield stated(f"{place}: “{found.probe.prompt}” against “{found.probe.neutral}”, {frames} frames", told)
            share_right = clip_scores.retrieval(model, pool, CAPTIONS, setting.count(ROUNDS, 1))
            yield stated(f"{place}: a frame’s own caption out of {CAPTIONS} fits best", f"{share_right:.1%}")
