"""Training a generator on a procedural world from a recipe: data, evaluation, sheets and checkpoints around the core loop."""

from __future__ import annotations

import json
import pickle
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegan_v.checkpoint import save_generator
from stylegan_v.config import Config, ConfigError
from stylegan_v.generator import Generator
from stylegan_v.training import TrainConfig, Trainer, TrainEvent
from vedit.errors import VeditError
from vedit.memory import ran_out
from vedit.models.generators import NoGenerator, find_generator, load_generator
from vedit.models.registry import UnknownModel
from vedit.models.store import plain_name
from vedit.pixels import save_sheet, to_pixels
from vedit.progress import Progress, Task
from vedit.scores import motion_correlation, psnr
from vedit.worlds import world
from vedit.worlds.base import World

FILES = (".safetensors", ".pkl", ".pt")  # that a run can begin with
HELD_OUT_SEED = 20_000_000  # trainings draw from seeds far below


class RecipeError(VeditError, ValueError):
    """A recipe file cannot be used; the message names file, key and remedy."""


@dataclass(frozen=True)
class Recipe(Config):
    """A recipe of a built-in generator: which world, and the run (`train`, see TrainConfig).

    `begin_with` names a generator of the same configuration to go on from (a name or a file, seen from where the command is run).
    """

    name: str
    world: str
    train: TrainConfig
    save_every: int = 500
    begin_with: str = ""

    def __post_init__(self) -> None:
        self._table("train", TrainConfig)
        self._require(isinstance(self.name, str) and plain_name(self.name), "name", "letters, digits, '.', '_', '+' and '-'")
        self._require_counts("save_every")
        self._check_inputs(world(self.world))

    def _check_inputs(self, place: World) -> None:
        """The generator's inputs are what the world's clips are drawn from, so it has to have as many of them."""
        where = f"as the world {self.world} has"
        self._require(self.train.generator.z_dim == place.z_dim, "train.generator.z_dim", f"{place.z_dim} {where}")
        motion: Any = self.train.generator.motion
        self._require(motion.z_dim == place.motion_z_dim, "train.generator.motion.z_dim", f"{place.motion_z_dim} {where}")
        self._require(motion.kernel_size >= place.kernel_size, "train.generator.motion.kernel_size", f"at least {place.kernel_size} {where}")
        self._require(motion.distance <= place.distance, "train.generator.motion.distance", f"at most {place.distance} {where}")

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Recipe:
        """The recipe in a TOML file, with `changes` such as "train.seed=3" or "train.stages.0.steps=100"; raises RecipeError."""
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
            for change in changes:
                overrule(values, change)
            return cls.from_dict(values)
        except OSError as error:
            raise RecipeError(f"{path}: {error.strerror}; name an existing recipe such as recipes/portraits-2.toml") from None
        except (tomllib.TOMLDecodeError, ConfigError, UnicodeDecodeError, ValueError) as error:
            raise RecipeError(f"{path}: {error}") from None


def overrule(values: dict[str, Any], change: str) -> None:
    """Set one value of a recipe's plain data; raises RecipeError.

    A value is written as in TOML, and a word needs no quotes.

    >>> recipe = {"train": {"seed": 1, "stages": [{"steps": 9}]}}
    >>> overrule(recipe, "train.stages.0.steps=100"); overrule(recipe, "train.precision=bf16"); recipe
    {'train': {'seed': 1, 'stages': [{'steps': 100}], 'precision': 'bf16'}}
    """
    key, sign, text = change.partition("=")
    if not sign or not key.strip():
        raise RecipeError(f"found --set {change!r}; wanted key=value, such as train.seed=3")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()  # a word needs no quotes
    place: Any = values
    *path, last = key.strip().split(".")
    try:
        for part in path:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        if isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value
    except (IndexError, TypeError, ValueError, AttributeError):
        raise RecipeError(f"found --set {change!r}, but the recipe has no place {key.strip()!r}; see its file for the keys") from None


def begun_from(recipe: str, key: str, name: str) -> Path:
    """The file that a recipe of that name goes on from by the setting `key`, which `name`s a generator or a file; RecipeError where it is not there."""
    try:
        if key == "begin_with":
            return find_generator(name)
        if Path(name).is_file():
            return Path(name)
    except UnknownModel as error:
        if Path(name).suffix not in FILES:
            raise RecipeError(f"{key}: {error}; or begin anew (--set {key}=)") from None
    except NoGenerator:
        pass
    remedy = f"the head of the recipe's file may say how to get it; or begin with another (--set {key}=FILE), or anew (--set {key}=)"
    raise RecipeError(f"{key} = {name} of the recipe {recipe} is not there: {remedy}")


def train(recipe: Recipe, out: Path, *, resume: bool = False, device: str = "cpu") -> Task[Path]:
    """Run a recipe into the folder `out`; returns the path of the trained generator (its moving average).

    Writes `state.pt` (the whole state, exact resume), `NAME.safetensors` (the generator so far), `log.jsonl` and sheets.
    """
    state, result = out / "state.pt", out / f"{recipe.name}.safetensors"
    place = world(recipe.world)
    trainer = Trainer(recipe.train, PairedWorld(place, recipe.train.generator.resolution), device)
    if state.exists():
        if not resume:
            raise RecipeError(f"{out} already holds a run; go on with --resume or choose another folder")
        try:
            trainer.load(state)
        except (ValueError, KeyError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            if ran_out(error):
                raise
            raise RecipeError(f"the run in {out} cannot go on ({' '.join(str(error).split())[:300]}); choose another --out") from error
    elif recipe.begin_with:
        _begin(trainer, recipe)
    out.mkdir(parents=True, exist_ok=True)  # not before the run can begin
    total = recipe.train.total_steps
    started, since = time.monotonic(), trainer.frames
    sums: dict[str, list[float]] = {}
    for event in trainer.run():
        for key, value in event.losses.items():
            sums.setdefault(key, []).append(value)
        if event.step % recipe.save_every == 0 or event.step == total:
            means = {key: sum(values) / len(values) for key, values in sums.items()}
            sums.clear()
            rate = (event.frames - since) / (time.monotonic() - started)
            _record(trainer, place, recipe, out, event, means | {"frames_per_s": rate})
            save_generator(trainer.ema, result, recipe=recipe.name, world=recipe.world, steps=str(event.step))
            trainer.save(state)
        yield Progress("train", event.step, total, " ".join(f"{key} {value:.3f}" for key, value in event.losses.items()))
    return result


def _begin(trainer: Trainer, recipe: Recipe) -> None:
    """Give the trainer the weights that the recipe goes on from."""
    first = load_generator(begun_from(recipe.name, "begin_with", recipe.begin_with))
    if first.cfg != recipe.train.generator:
        raise RecipeError(f"begin_with: {recipe.begin_with} has another configuration than [train.generator]; give both the same")
    for network in (trainer.generator, trainer.ema):
        network.load_state_dict(first.state_dict())


@dataclass(frozen=True)
class PairedWorld:
    """A world as a source of training: its clips, attributes and motion at given inputs."""

    place: World
    size: int

    def labels(self, z: Tensor, t: Tensor, motion_z: Tensor) -> tuple[Tensor, Tensor]:
        """Attributes [N, A] and motion [N, T, P]."""
        return self.place.attributes_from_z(z), self.place.motion_from_codes(t, motion_z)

    def __call__(self, z: Tensor, t: Tensor, motion_z: Tensor) -> Tensor:
        """Clips [N, T, 3, size, size] in [-1, 1]."""
        with torch.no_grad():
            return self.place.clips(z, t, motion_z, self.size)


def _record(trainer: Trainer, place: World, recipe: Recipe, out: Path, event: TrainEvent, values: dict[str, float]) -> None:
    scores = held_out(trainer.ema, place)
    line = {"step": event.step, "stage": event.stage, "frames": event.frames, **values, **scores}
    with (out / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in line.items()}) + "\n")
    save_sheet(out / f"sheet-{event.step:06d}.png", to_pixels(sheet(trainer.ema, place)), columns=8)


@torch.no_grad()
def held_out(generator: Generator, place: World, clips: int = 16, frames: int = 24) -> dict[str, float]:
    """Mean PSNR (dB) and motion correlation of a generator's clips against the world's own at unseen paired inputs."""
    generator.eval()
    real, fake = _pairs(generator, place, clips, torch.arange(frames).float().expand(clips, -1))
    quality = [psnr(a, b) for a, b in zip(fake, real, strict=True)]
    motion = [motion_correlation(a, b) for a, b in zip(fake, real, strict=True)]
    return {"psnr": sum(quality) / clips, "motion_correlation": sum(motion) / clips}


@torch.no_grad()
def sheet(generator: Generator, place: World) -> Tensor:
    """Frames [64, 3, H, W]: eight clips' worlds and generator's frames in alternating rows, eight moments each."""
    real, fake = _pairs(generator, place, 4, (torch.arange(8) * 6.0).expand(4, -1))
    return torch.stack([real, fake], dim=1).flatten(0, 2)


def _pairs(generator: Generator, place: World, clips: int, t: Tensor) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(HELD_OUT_SEED)
    z = torch.randn(clips, place.z_dim, generator=rng)
    motion_z = torch.randn(clips, generator.num_motion_codes(float(t.max())), place.motion_z_dim, generator=rng)
    real = place.clips(z, t, motion_z, generator.cfg.resolution)
    fake = generator.synthesis(generator.mapping(z.to(generator.device)), t.to(generator.device), motion_z.to(generator.device))
    return real, fake.cpu().clamp(-1, 1)
