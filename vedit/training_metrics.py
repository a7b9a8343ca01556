"""Figures of a generator while it is trained, taken against the clips it is trained on."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from stylegan_v import Generator
from stylegan_v.config import Config
from stylegan_v.data import ClipDataset
from vedit.progress import finish
from vedit.training import RecipeError


class MetricsWarning(UserWarning):
    """What a reader of the figures has to know."""


@dataclass(frozen=True)
class MetricsConfig(Config):
    """Which figures are taken (`names`, such as fid and fvd16, none by default), every so many steps, with which features.

    `best` is the figure, lower being better, by whose least value a generator is kept: `fvd16`, or `fvd16-squeeze` with these features alone.
    """

    names: tuple[str, ...] = ()
    every: int = 5000
    clips: int = 256
    features: tuple[str, ...] = ("auto",)
    best: str = ""

    def __post_init__(self) -> None:
        known_features = import_module("vedit.metrics.features").NAMES  # imported here: most recipes' settings need no metrics
        for key, known in (("names", import_module("vedit.metrics").METRICS), ("features", known_features)):
            value: Any = getattr(self, key)
            good = isinstance(value, list | tuple) and all(name in known for name in value)
            self._require(good, key, f"a list of some of {', '.join(known)}")
            object.__setattr__(self, key, tuple(value))
        self._require_counts("every")
        self._require_counts("clips", least=2)
        self._require(isinstance(self.best, str), "best", "the name of a figure")
        distances = [name for name in self.names if name != "pr"]
        known = not self.best or self.best.partition("-")[0] in distances
        self._require(known, "best", f"a distance among names ({', '.join(distances) or 'none'}), such as fvd16 or fvd16-squeeze")


def evaluator(cfg: MetricsConfig, clips: ClipDataset, device: str) -> Callable[[Generator], dict[str, float]] | None:
    """A function that takes a generator's figures against the clips it is trained on; None where the recipe wants none.

    Features that are not on this machine, and clips that are too few or too short for a figure (RecipeError), are errors at once, not after
    thousands of steps.
    """
    if not cfg.names:
        return None
    metrics, sources = import_module("vedit.metrics"), import_module("vedit.metrics.sources")
    settings = metrics.Settings(metrics=cfg.names, features=cfg.features, clips=cfg.clips)
    device = device.partition(":")[0]
    real = sources.DatasetSource(clips, "the clips", f"data {clips.hash}")
    try:
        metrics.require(real, settings, device)
    except metrics.MetricsError as error:
        raise RecipeError(f"metrics: {error}; or go without (--set 'metrics.names=[]' --set metrics.best=)") from error
    told: set[str] = set()

    def evaluate(generator: Generator) -> dict[str, float]:
        found = finish(metrics.compare(real, sources.GeneratorSource(generator), settings, device=device))
        for note in found.notes:
            if note not in told:
                warnings.warn(note, MetricsWarning, stacklevel=2)
        told.update(found.notes)
        return {name: float(figure.mean) for name, figure in found.figures.items()}

    return evaluate
