"""What a person types on the command line, turned into values; errors name what was found and what is allowed."""

from __future__ import annotations

import math

from vedit.errors import VeditError

MAX_SEEDS = 10_000
HIGHEST_SEED = (1 << 32) - 1  # more bits than torch's generator on the CPU takes in: two seeds would draw the same


class BadArgument(VeditError, ValueError):
    """An argument that cannot be read."""


def parse_seeds(text: str) -> list[int]:
    """Seeds from "3", "0-8" or "0-2,7".

    >>> parse_seeds("0-2,7")
    [0, 1, 2, 7]
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise BadArgument(f"found {part!r} in --seeds {text!r}; write seeds as 3, 0-8 or 0-2,7")
        if (int(last) if dash else int(first)) - int(first) + len(seeds) >= MAX_SEEDS:
            raise BadArgument(f"--seeds {text!r} names more than {MAX_SEEDS} seeds; write fewer")
        if int(last if dash else first) > HIGHEST_SEED:
            raise BadArgument(f"--seeds {text!r} goes beyond the highest seed, {HIGHEST_SEED}")
        seeds.extend(range(int(first), int(last if dash else first) + 1))
    return seeds


def parse_edit(text: str) -> tuple[str, float | None]:
    """An edit's name and the strength to render it with, None for its own, from NAME or NAME=STRENGTH.

    >>> parse_edit("old"), parse_edit("old=-0.5")
    (('old', None), ('old', -0.5))
    """
    name, equals, strength = text.rpartition("=")
    if not equals:
        return text, None
    try:
        value = float(strength)
    except ValueError:
        value = math.nan
    if not name or not math.isfinite(value):
        raise BadArgument(f"found --edit {text!r}; write NAME or NAME=STRENGTH, such as old=0.5")
    return name, value


def parse_length(name: str, value: float | None) -> float | None:
    """`value` if it is None or a finite number of seconds from 0; raises BadArgument."""
    if value is not None and not 0 <= value < math.inf:
        raise BadArgument(f"found {name} {value}; give seconds of 0 or more")
    return value


def check_blend(blend: str | None, paste_back: bool) -> None:
    """Raise BadArgument for a way of pasting back where nothing is."""
    if blend is not None and not paste_back:
        raise BadArgument(f"found --blend {blend} without --paste-back; give both, or leave --blend out")
