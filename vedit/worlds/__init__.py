"""Procedural worlds with known attributes: training data, ground truth for tests, and the demo."""

from __future__ import annotations

from vedit.errors import VeditError
from vedit.worlds.base import World

NAMES = ("portraits", "skies")


class UnknownWorld(VeditError, ValueError):
    """A world that does not exist was asked for."""


def world(name: str) -> World:
    """The world called `name`; raises UnknownWorld (a ValueError)."""
    if name == "portraits":
        from vedit.worlds.portraits import Portraits

        return Portraits()
    if name == "skies":
        from vedit.worlds.skies import Skies

        return Skies()
    raise UnknownWorld(f"there is no world {name!r}; choose one of {', '.join(NAMES)}")
