"""The whole state of a game in one file, and beginnings from somebody else's weights."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

import torch
from torch import Tensor, nn

from stylegan_v.checkpoint import CheckpointError, check_shapes, load_discriminator, load_generator, read_metadata
from stylegan_v.config import ConfigError, DiscriminatorConfig, GeneratorConfig
from stylegan_v.discriminator import Discriminator
from stylegan_v.files import replacing
from stylegan_v.game_config import GameConfig
from stylegan_v.generator import Generator
from stylegan_v.memory import ran_out
from stylegan_v.snapshot import import_snapshot

if TYPE_CHECKING:
    from stylegan_v.game import Game
    from stylegan_v.game_draws import Clips

FREE = ("kimg", "guard", "micro_batch")  # settings that a run may change when it goes on
NETWORKS = ("generator", "ema", "discriminator")
# settings that weights were trained for, and no shape tells; buffers that follow from the configuration
SHAPELESS = ("motion.distance", "motion.min_period", "motion.max_period", "motion.integer_t", "fps")
DERIVED = ("freqs", "phase_scales")


class GameWarning(UserWarning):
    """Something about a beginning that a person should know."""


def save(game: Game, path: Path) -> None:
    """Write weights, optimisers, averages and counters."""
    state: dict[str, Any] = {
        "config": game.cfg.to_dict(),
        "clips": identity(game.clips),
        "fingerprint": dict(game.clips.fingerprint),
        "processes": game.ranks.size,
        "step": game.step,
        "began_good": game.began_good,
        "codes_learned": game.codes_learned,
        "ada": game.ada.state_dict(),
        "guard": game.guard.state_dict(),
    }
    for name, part in _parts(game).items():
        state[name] = part.state_dict()
    with replacing(path) as beside:
        torch.save(state, beside)


def load(game: Game, path: Path) -> None:
    """Read what `save` wrote; raises ValueError where it belongs to other settings or other clips. Nothing in the file is executed."""
    state = _read(path, game.device)
    found, wanted = GameConfig.from_dict(state["config"]).to_dict(), game.cfg.to_dict()
    if changed := sorted(key for key in wanted if key not in FREE and found[key] != wanted[key]):
        raise ValueError(f"{path} was made with another {changed[0]}; choose another output folder or restore the recipe")
    _check_clips(game, path, state)
    share = found["batch"] // state["processes"]
    if (micro := min(found["micro_batch"] or share, share)) != game.micro:
        what = f"{path} was made in micro-batches of {micro} clips and goes on in those of {game.micro}: the same clips and draws"
        warnings.warn(f"{what}, other groups for the minibatch standard deviation", GameWarning, stacklevel=3)
    for name, part in _parts(game).items():
        part.load_state_dict(state[name])
    game.step, game.began_good = state["step"], state.get("began_good", False)
    game.codes_learned = state.get("codes_learned", True)
    game.ada.load_state_dict(state["ada"])
    game.guard.load_state_dict(state["guard"])


def _check_clips(game: Game, path: Path, state: dict[str, Any]) -> None:
    """Raise ValueError where a state was made with other clips; warn where times of change alone differ, which those of a copied folder do."""
    found, here = state.get("fingerprint", {}), game.clips.fingerprint  # states of earlier versions have none

    def differs(key: str) -> bool:
        return key in found and key in here and found[key] != here[key]

    if state["clips"] != identity(game.clips):
        raise ValueError(f"{path} was made with other clips; choose another output folder or restore the data")
    if game.cfg.generator.c_dim and differs("labels"):
        raise ValueError(f"{path} was made with other labels of these clips; choose another output folder or restore dataset.json")
    if differs("sizes") or differs("CRCs"):
        remedy = f"restore the data, or begin another run with its weights (--set begin_with={path})"
        raise ValueError(f"{path} was made with other frames in clips of these names; {remedy}")
    if game.ranks.first and found and found.get("times") != here.get("times"):  # other machines may have copies of their own
        what = f"{path}: by names and sizes the clips' files are those it was made with, and no more is known (a copy has other times of change)"
        warnings.warn(f"{what}: it goes on with them", GameWarning, stacklevel=4)


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    """The content of a state's file, tensors and plain data alone; raises ValueError where it is none."""
    if not is_zipfile(path):  # torch's older format is not read: its reader meets broken files with errors of every kind
        raise ValueError(f"{path} is not the state of a training; wanted a state.pt")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        if ran_out(error):
            raise
        raise ValueError(f"{path} is damaged ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(state, dict) or not state.keys() >= {"config", "generator", "ema", "judges"}:
        raise ValueError(f"{path} is not the state of a training on clips; wanted a state.pt")
    return state


def identity(clips: Clips) -> str:
    """A hash of what the draws depend on: names and lengths of the clips, their size and that of their labels."""
    listed = "\n".join(f"{name}\0{length}" for name, length in zip(clips.names, clips.lengths, strict=True))
    return hashlib.sha256(f"{clips.resolution} {clips.c_dim}\n{listed}".encode()).hexdigest()


def _parts(game: Game) -> dict[str, Any]:
    parts = {
        "generator": game.generator,
        "ema": game.ema,
        "judges": game.judges,
        "optimizer": game.optimizer,
        "judge_optimizer": game.judge_optimizer,
    }
    return parts if game.pairs is None else parts | {"pairs": game.pairs}


def begin_with(game: Game, path: Path, only: Collection[str] = NETWORKS) -> list[str]:
    """Give the networks, or `only` some of them, the weights in `path` to go on from, and return which of them were there.

    `path` is an official snapshot (.pkl), the state of another game (.pt), or a generator's or discriminator's file (.safetensors).
    Raises CheckpointError or SnapshotError where they do not fit; the resolution is looked at first. Where the weights were trained for
    other periods, distances or rates than the configuration's, which stand, a GameWarning names them.
    """
    found = {name: network for name, network in _networks(path).items() if name in only}
    wanted: dict[str, Generator | Discriminator] = {"generator": game.generator, "ema": game.ema}
    judge = game.judges["clip"] if "clip" in game.judges else None
    if isinstance(judge, Discriminator):
        wanted["discriminator"] = judge
    taken = []
    for name, module in wanted.items():
        if name not in found:
            continue
        resolution = found[name].cfg.resolution
        if resolution != game.cfg.generator.resolution:
            raise CheckpointError(
                f"{path}: its {name} makes {resolution}x{resolution} pixels, this recipe {game.cfg.generator.resolution}x{game.cfg.generator.resolution};"
                " begin with one of the same resolution"
            )
        tensors, derived = found[name].state_dict(), {key: value for key, value in module.state_dict().items() if key.endswith(DERIVED)}
        apart = differences(found[name].cfg, module.cfg)
        try:
            check_shapes({key: tuple(tensor.shape) for key, tensor in tensors.items()}, module, f"{path}: {name}")
        except CheckpointError:
            if not apart:
                raise
            what = "; ".join(f"{key} {of}" for key, of in _causes(apart, found[name].cfg, module.cfg).items())
            raise CheckpointError(f"{path}: its {name} is another network than this recipe's ({what}); take a recipe with its settings") from None
        module.load_state_dict(_regained(tensors, found[name], module) | derived)
        taken.append(name)
        others = "; ".join(f"{key} {of}" for key, of in apart.items() if key in SHAPELESS and (derived or "period" not in key))
        if others and name != "ema":  # which has the generator's
            what = f"{path}: its {name} was trained with other settings ({others}): it begins with its weights and has to learn the difference"
            warnings.warn(what, GameWarning, stacklevel=3)
    game.began_good = game.began_good or "ema" in taken
    return taken


def differences(found: GeneratorConfig | DiscriminatorConfig, wanted: GeneratorConfig | DiscriminatorConfig) -> dict[str, str]:
    """Every setting in which two networks' configurations differ, and how in words.

    >>> differences(GeneratorConfig(resolution=64), GeneratorConfig(resolution=64, fps=30.0))
    {'fps': '25.0, here 30.0'}
    """

    def flat(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
        for key, value in values.items():
            yield from flat(value, f"{before}{key}.") if isinstance(value, dict) else [(before + key, value)]

    mine, theirs = dict(flat(found.to_dict())), dict(flat(wanted.to_dict()))
    return {key: f"{mine.get(key)}, here {theirs.get(key)}" for key in mine | theirs if mine.get(key) != theirs.get(key)}


def _causes(apart: dict[str, str], found: GeneratorConfig | DiscriminatorConfig, wanted: GeneratorConfig | DiscriminatorConfig) -> dict[str, str]:
    """Those of the settings `apart` in which two configurations differ that shape a tensor each on its own; all where none does."""
    here = _shapes(wanted)
    return {key: of for key, of in apart.items() if _shapes_with(key, found, wanted) != here} or apart


def _shapes_with(
    key: str, found: GeneratorConfig | DiscriminatorConfig, wanted: GeneratorConfig | DiscriminatorConfig
) -> dict[str, tuple[int, ...]] | None:
    """The shapes of the wanted network with one setting of the other's, None where it cannot have that alone."""
    values, others = wanted.to_dict(), found.to_dict()
    table, _, inner = key.partition(".")
    try:
        if inner:
            values[table][inner] = others[table][inner]
        else:
            values[table] = others[table]
        return _shapes(type(wanted).from_dict(values))
    except (ConfigError, KeyError, TypeError):  # tables that one of them does not have
        return None


def _shapes(cfg: GeneratorConfig | DiscriminatorConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's tensors, without the tensors."""
    with torch.device("meta"):
        network = Generator(cfg) if isinstance(cfg, GeneratorConfig) else Discriminator(cfg)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _regained(tensors: dict[str, Tensor], source: nn.Module, target: nn.Module) -> dict[str, Tensor]:
    """The tensors of `source` as `target` stores them: layers keep weights divided by their learning rate's multiplier, which may differ."""
    for place, layer in target.named_modules():
        for kind in ("weight", "bias"):
            key, gain = f"{place}.{kind}", getattr(layer, f"{kind}_gain", None)
            if gain is not None and tensors.get(key) is not None:
                tensors[key] = tensors[key] * (getattr(source.get_submodule(place), f"{kind}_gain") / gain)
    return tensors


def _networks(path: Path) -> dict[str, Generator | Discriminator]:
    """Generator, ema and discriminator, as far as a file holds them."""
    if path.suffix == ".pkl":
        networks = {name: network for name, network in import_snapshot(path).items() if isinstance(network, Generator | Discriminator)}
        first = {"generator": ("G", "G_ema"), "ema": ("G_ema", "G"), "discriminator": ("D",)}
        named = {part: [networks[key] for key in keys if key in networks] for part, keys in first.items()}
        return {part: candidates[0] for part, candidates in named.items() if candidates}
    if path.suffix == ".pt":
        return _of_a_state(path)
    if read_metadata(path).get("kind") == "discriminator":
        return {"discriminator": load_discriminator(path)}
    generator = load_generator(path)
    return {"generator": generator, "ema": generator}


def _of_a_state(path: Path) -> dict[str, Generator | Discriminator]:
    try:
        state = _read(path, torch.device("cpu"))
        cfg = GameConfig.from_dict(state["config"])
        found: dict[str, Generator | Discriminator] = {name: Generator(cfg.generator) for name in ("generator", "ema")}
        for name in found:
            found[name].load_state_dict(state[name])
        if cfg.discriminator is not None:
            found["discriminator"] = Discriminator(cfg.discriminator)
            judged = {name.removeprefix("clip."): tensor for name, tensor in state["judges"].items() if name.startswith("clip.")}
            found["discriminator"].load_state_dict(judged)
    except (ValueError, RuntimeError) as error:  # ConfigError, and tensors that do not fit the configuration beside them
        if ran_out(error):
            raise
        raise CheckpointError(" ".join(str(error).split())[:300]) from error
    return found
