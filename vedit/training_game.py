"""Training on a person's own clips from a recipe: the data set, the run's folder, and what is kept of it around the core loop."""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stylegan_v import Generator, save_generator
from stylegan_v.archive import DataError
from stylegan_v.checkpoint import CheckpointError
from stylegan_v.config import Config, ConfigError
from stylegan_v.data import ClipDataset
from stylegan_v.game import Game, GameEvent
from stylegan_v.game_config import GameConfig, SamplingConfig
from stylegan_v.game_draws import real_sampler, usable_clips
from stylegan_v.game_fit import check_clips, unused_labels
from stylegan_v.game_state import NETWORKS, begin_with
from stylegan_v.guard import TrainingDiverged
from stylegan_v.ranks import Ranks
from stylegan_v.snapshot import SnapshotError
from vedit.data.manifest import manifest_of, rate_remark
from vedit.data.reading import known_whole, read_through, remember_whole
from vedit.data.sources import holds_videos
from vedit.errors import VeditError
from vedit.memory import ran_out
from vedit.models.store import plain_name
from vedit.progress import Progress, Task
from vedit.training import Recipe, RecipeError, begun_from, overrule
from vedit.training_metrics import MetricsConfig, evaluator
from vedit.training_watch import Keeper, TrainingWarning, Watch, WatchConfig

Evaluate = Callable[[Generator], dict[str, float]]


@dataclass(frozen=True)
class DataConfig(Config):
    """Where the clips are (`path`, a folder or .zip of frames) and how they are drawn; `workers` threads read them ahead."""

    path: str = ""
    flip: bool = False
    max_span: int = 32
    workers: int = 1

    def __post_init__(self) -> None:
        self._require(isinstance(self.path, str), "path", "the path of a data set")
        self._require_counts("workers", least=0, most=256)
        self.sampling  # noqa: B018 - checks flip and max_span

    @property
    def sampling(self) -> SamplingConfig:
        """The part that the steps of a run depend on."""
        return SamplingConfig(self.flip, self.max_span)


@dataclass(frozen=True)
class GameRecipe(Config):
    """A recipe of a generator for a person's own clips: `data`, the run (`game`, see GameConfig), and what is kept and looked at.

    The state is written every `save_every` steps, which is the most that a killed run loses. `begin_with` names a generator (built in, or a
    file), an official snapshot (.pkl) or another run's state.pt to go on from; `begin_discriminator` a discriminator's where that has none.
    """

    name: str
    game: GameConfig
    data: DataConfig = field(default_factory=DataConfig)
    save_every: int = 500
    begin_with: str = ""
    begin_discriminator: str = ""
    watch: WatchConfig = field(default_factory=WatchConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)

    def __post_init__(self) -> None:
        tables: dict[str, type[Config]] = {"data": DataConfig, "watch": WatchConfig, "metrics": MetricsConfig}
        for key, kind in tables.items():
            self._table(key, kind)
            self._require(isinstance(getattr(self, key), kind), key, "a table")
        game: Any = self.game
        if isinstance(game, dict):
            if "sampling" in game:
                raise ConfigError("is no table here: flip and max_span belong into [data]", "game.sampling")
            try:
                game = GameConfig.from_dict({**game, "sampling": self.data.sampling})
            except ConfigError as error:
                table, _, key = error.key.partition(".")
                raise ConfigError(error.text, f"data.{key}" if table == "sampling" else f"game.{error.key}".rstrip(".")) from None
        self._require(isinstance(game, GameConfig), "game", "a table")
        object.__setattr__(self, "game", replace(game, sampling=self.data.sampling))
        moving = [name for name in self.metrics.names if name.startswith("fvd")]
        self._require(not (game.still and moving), "metrics.names", "fid, kid and pr alone: an image generator draws no clips")
        self._require(isinstance(self.name, str) and plain_name(self.name), "name", "letters, digits, '.', '_', '+' and '-'")
        self._require_counts("save_every")
        for key in ("begin_with", "begin_discriminator"):
            self._require(isinstance(getattr(self, key), str), key, "a file")

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain data, as its file has it."""
        values = super().to_dict()
        del values["game"]["sampling"]
        return values


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe | GameRecipe:
    """The recipe in a TOML file, of the game on clips if it has a table [game], with `changes` as for `Recipe.read`; raises RecipeError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        if not values.keys() & {"game", "data", "train"}:
            found = f"; found {', '.join(sorted(values))}" if values else ""
            raise RecipeError(f"{path}: has neither a table [game] (for your own clips) nor [train] (for a world), so it is no recipe of vedit train{found}")
        if not values.keys() & {"game", "data"}:
            return Recipe.read(path, changes)
        for change in changes:
            overrule(values, change)
        return GameRecipe.from_dict(values)
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}; name an existing recipe such as recipes/custom-256.toml") from None
    except RecipeError:
        raise
    except ValueError as error:  # ConfigError, broken TOML and broken text among them
        raise RecipeError(f"{path}: {error}") from None


def train_game(
    recipe: GameRecipe, out: Path, *, resume: bool = False, device: str = "cpu", ranks: Ranks | None = None, evaluate: Evaluate | None = None
) -> Task[Path]:
    """Play the game of a recipe in the folder `out`; returns the path of the trained generator (its moving average).

    Writes `state.pt` (the whole state, exact resume), `NAME.safetensors` (the generator so far), `snapshots/`, `log.jsonl`, sheets and
    sample videos; of several processes the first one does. All frames are read through first, which is done once for a data set.
    `evaluate` replaces the recipe's metrics. Raises RecipeError, DataError, TrainingDiverged.
    """
    ranks = ranks or Ranks()
    clips = fitting_clips(recipe)
    try:
        game = Game(recipe.game, clips, ranks=ranks, device=device, workers=recipe.data.workers)
    except ConfigError as error:  # a batch that does not divide among the processes
        clips.close()
        raise RecipeError(str(error)) from None
    except DataError as error:
        clips.close()
        raise RecipeError(f"{recipe.data.path}: {error}") from None
    try:
        _begin(game, recipe, out, resume)
        game.check_agreement("begin_with and the run's folder have to be the same for all machines")
        if evaluate is None and ranks.first:
            evaluate = evaluator(recipe.metrics, clips, device)
        yield from whole(clips, recipe, ranks)
        ranks.wait()  # nobody writes before all could begin
        return (yield from _run(game, recipe, out, evaluate))
    finally:
        game.close()
        clips.close()


def _run(game: Game, recipe: GameRecipe, out: Path, evaluate: Evaluate | None) -> Task[Path]:
    """The loop: every process plays, the first one writes."""
    desk = _Desk(game, recipe, out, evaluate) if game.ranks.first else None
    total, due = recipe.game.total_steps, False
    try:
        with nullcontext() if desk is None else desk.watch.aside():
            for told in game.learn_codes():
                yield Progress(told.stage, told.done, told.total, f"error {told.error:.3f}" if told.stage == "codes" else "")
        for event in game.run():
            if desk is not None:
                desk.note(event)
            due = due or event.step % recipe.save_every == 0 or event.step == total
            if game.step == event.step and (game.healthy or (event.step == total and game.usable)):
                if desk is not None:
                    desk.keep(event)
                if due:  # since a step that was left out, perhaps
                    game.save(out / "state.pt")
                    due = False
            note = " ".join(f"{key} {event.figures[key]:.3f}" for key in ("paired", "generator", "discriminator") if key in event.figures)
            yield Progress("train", event.step, total, note)
        if due:
            streak = game.guard.streak
            raise TrainingDiverged(f"the last {streak} steps were not finite, and what they left is not worth keeping; begin again with a lower lr")
    except DataError as error:  # all was read through before, so it has changed since
        if game.healthy and game.ranks.size == 1:  # the others would wait for a process that has failed
            game.save(out / "state.pt")
        raise RecipeError(f"{error}; put the file back as it was, then go on with --resume") from None
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        raise RecipeError(f"memory ran out with micro-batches of {game.micro} clips; set a smaller game.micro_batch (with --resume, too)") from error
    finally:
        if desk is not None:
            desk.watch.close()
    return out / f"{recipe.name}.safetensors"


class _Desk:
    """What the first process keeps of a run."""

    def __init__(self, game: Game, recipe: GameRecipe, out: Path, evaluate: Evaluate | None) -> None:
        self.game, self.recipe = game, recipe
        self.evaluate = evaluate
        out.mkdir(parents=True, exist_ok=True)  # not before the run can begin
        self.keeper = Keeper(out, recipe.name, recipe.watch.keep, recipe.metrics.best)
        self.watch = Watch(recipe.watch, game, out)
        self._due: set[str] = set()

    def note(self, event: GameEvent) -> None:
        """Log a step, and remember what is due from it on; it may have been left out, and nothing is kept of such a one."""
        recipe, last = self.recipe, event.step == self.recipe.game.total_steps
        every = {"generator": recipe.save_every, "sheet": recipe.watch.sheet_every}
        every |= {"figures": recipe.metrics.every} if self.evaluate is not None else {}
        self._due |= {what for what, steps in every.items() if last or event.step % steps == 0}
        self.watch.note(event, self.game)

    def keep(self, event: GameEvent) -> None:
        """Write generator, sheet and figures, whatever of them is due."""
        due, self._due = self._due, set()
        if not due:
            return
        with self.watch.aside():
            origin = {"recipe": self.recipe.name, "data": Path(self.recipe.data.path).name, "steps": str(event.step)}
            save_generator(self.game.ema, self.keeper.result, half=False, **origin)
            if "sheet" in due:
                self.watch.show(event.step, self.game)
                self.keeper.keep(event.step)
            if "figures" in due:
                self._measure(event)

    def _measure(self, event: GameEvent) -> None:
        """Take the figures; a training does not end because they cannot be taken."""
        assert self.evaluate is not None
        try:
            figures = self.evaluate(self.game.ema)
        except (VeditError, DataError, MemoryError, RuntimeError) as error:
            if not isinstance(error, VeditError | DataError) and not ran_out(error):
                raise
            warnings.warn(f"step {event.step}: no figures: {error}", TrainingWarning, stacklevel=3)
            return
        self.watch.measured(event, figures)
        self.keeper.compare(event.step, figures)


def _begin(game: Game, recipe: GameRecipe, out: Path, resume: bool) -> None:
    """Go on with the run in `out`, or begin one, from other weights where the recipe says so."""
    state = out / "state.pt"
    if resume and not state.exists():
        warnings.warn(f"{out} holds no run to go on with: a new one begins there", TrainingWarning, stacklevel=2)
    if state.exists():
        if not resume:
            raise RecipeError(f"{out} already holds a run; go on with --resume or choose another folder")
        try:
            game.load(state)
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            if ran_out(error):
                raise
            raise RecipeError(f"the run in {out} cannot go on ({' '.join(str(error).split())[:300]}); choose another --out") from error
        return
    judged = False
    for key in ("begin_with", "begin_discriminator"):
        if path := getattr(recipe, key):
            parts = NETWORKS if key == "begin_with" else ("discriminator",)
            try:
                taken = begin_with(game, begun_from(recipe.name, key, path), parts)
            except (CheckpointError, SnapshotError) as error:
                raise RecipeError(f"{key}: {error}") from error
            judged = judged or "discriminator" in taken
            if key == "begin_discriminator" and not taken:
                raise RecipeError(f"{key}: {path} holds no discriminator; give a file that does, or leave the key out")
    if recipe.game.freeze and not judged:
        remedy = "name one in begin_discriminator, begin with a .pkl or state.pt, or go without (--set game.freeze=0)"
        raise RecipeError(f"game.freeze={recipe.game.freeze} keeps layers of a discriminator as they are, and there is none to begin with; {remedy}")


def open_clips(recipe: GameRecipe) -> ClipDataset:
    """The recipe's data set; raises RecipeError where there is none, or where it is a folder of videos."""
    if not recipe.data.path:
        raise RecipeError("the recipe names no data; give --data DATASET, a folder or .zip made by `vedit data prepare`")
    path, size = Path(recipe.data.path), recipe.game.generator.resolution
    try:
        clips = ClipDataset.open(path, resolution=size)
    except DataError as error:
        if holds_videos(path):
            made = f"{path.stem or 'clips'}.zip"
            remedy = f"if its videos are meant, run `vedit data prepare {path} -o {made} --size {size}`, then give --data {made}"
            raise RecipeError(f"{error}; it holds videos, wanted were clips as frames: {remedy}") from error
        raise RecipeError(f"{error} (`vedit data check {path} --recipe FILE` tells more)") from error
    return clips


def remarks(recipe: GameRecipe, clips: ClipDataset) -> list[str]:
    """What a person should know of a recipe and its data set, which goes with it; raises DataError for a manifest that cannot be read."""
    rates, labels = rate_remark(manifest_of(clips), recipe.game.generator.fps), unused_labels(recipe.game, clips.c_dim)
    begun = [f"--set {key}=" for key in ("begin_with", "begin_discriminator") if getattr(recipe, key)]
    if labels and begun:
        anew = " ".join([*begun, *(["--set game.freeze=0"] if recipe.game.freeze else [])])
        labels += f" together with {anew}: what it begins with knows none either, so it begins anew"
    return [remark for remark in (rates, labels) if remark]


def fitting_clips(recipe: GameRecipe) -> ClipDataset:
    """The recipe's data set, of the networks' resolution and labels and with clips that are long enough; RecipeError where it is not."""
    clips = open_clips(recipe)
    oddities = [str(note) for note in clips.notes if note.where.endswith("dataset.json")]  # the others are of files that are left out
    try:
        for text in [*oddities, *remarks(recipe, clips)]:
            warnings.warn(f"{clips.path}: {text}", TrainingWarning, stacklevel=2)
        check_clips(recipe.game, clips)
        real_sampler(recipe.game, clips, Ranks())
    except (DataError, ConfigError) as error:
        clips.close()
        path = str(clips.path)
        raise RecipeError(f"{error}" if str(error).startswith(path) else f"{path}: {error}") from None
    return clips


def whole(clips: ClipDataset, recipe: GameRecipe, ranks: Ranks) -> Task[None]:
    """Read the clips that a training can meet, unless all processes know that it was done before; raises DataError for a broken frame.

    Every machine reads all, since it may have files of its own, and its processes each their share.
    """
    usable = usable_clips(recipe.game, clips)
    known = known_whole(clips, usable)
    if ranks.agree(known) and known:
        return
    yield from read_through(clips, usable[ranks.local_rank :: ranks.local_size], recipe.data.workers)
    ranks.wait()
    if ranks.local_rank == 0:
        remember_whole(clips, usable)
