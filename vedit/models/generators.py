"""Generators by name or path: the built-in ones, those along VEDIT_MODEL_PATH, any checkpoint file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vedit.errors import VeditError
from vedit.models.inspection import refuse_pickle
from vedit.models.registry import UnknownModel
from vedit.models.store import local_generators, plain_name

if TYPE_CHECKING:  # `vedit models list` needs no torch
    from stylegan_v import Generator


class NoGenerator(VeditError, FileNotFoundError):
    """A path was given for a generator and nothing lies there."""


class ConditionalGenerator(VeditError, ValueError):
    """A generator wants to be told a class, and there is no saying which."""

    def __init__(self, name: str, classes: int) -> None:
        super().__init__(f"generator {name} draws {classes} classes and wants to be told which: give --class N, 0 to {classes - 1}, or take another")


class NoSuchClass(VeditError, ValueError):
    """A class was asked for that a generator does not have."""


def is_known(name: str) -> bool:
    """Whether `name` is a generator's name, built in or on the search path, rather than the path of a file."""
    return plain_name(name) and name in dict(local_generators())


def find_generator(name_or_path: str | Path) -> Path:
    """The checkpoint file of a generator: a built-in's or search path's name, else a path.

    Raises UnknownModel, NoGenerator, and NotAModel for a pickle.
    """
    text = str(name_or_path)
    if plain_name(text):
        known = dict(local_generators())
        if text in known:
            return known[text]
        if not Path(text).exists():
            raise UnknownModel(text, list(known), kind="generator")
    path = Path(text)
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise NoGenerator(f"generator {text} {found}; give a name (`vedit models list`) or a .safetensors file")
    refuse_pickle(path)
    return path


def load_generator(name_or_path: str | Path, device: str = "cpu", *, label: int | None = None, classes: bool = False) -> Generator:
    """A generator ready for use (eval, no gradients to its weights) by name or path.

    With `label` it is one of that class alone (see `stylegan_v.one_class`); with `classes` it may want labels when it is used.
    Raises UnknownModel with the names there are, NoGenerator, NotAModel, ConditionalGenerator, NoSuchClass, and the errors of
    `stylegan_v.load_generator`.
    """
    from stylegan_v import load_generator as load

    generator = load(find_generator(name_or_path), device=device)
    if label is not None:
        return _of_class(generator, label, str(name_or_path))
    if generator.cfg.c_dim and not classes:
        raise ConditionalGenerator(str(name_or_path), generator.cfg.c_dim)
    return generator


def _of_class(generator: Generator, label: int, name: str) -> Generator:
    import torch

    from stylegan_v.one_class import of_class

    count = generator.cfg.c_dim
    if not 0 <= label < count:
        raise NoSuchClass(f"found class {label}; generator {name} has {f'classes 0 to {count - 1}' if count else 'no classes'}")
    return of_class(generator, torch.nn.functional.one_hot(torch.tensor(label), count).float())
