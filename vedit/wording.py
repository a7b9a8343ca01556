"""The words of an edit: prompts that say something, and names that can be folders."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from vedit.errors import VeditError

MAX_PROMPT = 300  # characters; no text–image model reads more than 77 tokens


class EditError(VeditError, ValueError):
    """A prompt, strength, name or stored edit that makes no sense."""


def unknown_words_warning(unknown: Sequence[str], what: str = "prompt") -> str:
    """One line about words a model has never seen; empty where there are none."""
    if not unknown:
        return ""
    listed = ", ".join(f'"{word}"' for word in unknown)
    return f"the text–image model has never seen {listed} of the {what}: the edit may do something else; see `vedit models info clip-1` for the words it knows"


def check_prompt(text: str, what: str = "prompt") -> str:
    """The text with single blanks, or EditError: empty, several lines, control characters, longer than any model reads.

    >>> check_prompt("  an old   person ")
    'an old person'
    """
    if not isinstance(text, str):
        raise EditError(f'the {what} is {text!r}; give words, such as "an old person"')
    stripped = text.strip()
    if not any(character.isalnum() for character in stripped):
        found = "empty" if not stripped else f"{stripped[:20]!r}, without a word"
        raise EditError(f'the {what} is {found}; say what the picture should show, such as "an old person"')
    if len(stripped) > MAX_PROMPT:
        raise EditError(f"the {what} has {len(stripped)} characters, at most {MAX_PROMPT} are read; shorten it")
    if any(unicodedata.category(character) == "Cc" or character in "\u2028\u2029" for character in stripped):
        raise EditError(f"the {what} has line breaks or control characters; write it on one line")
    return " ".join(stripped.split())


def check_name(name: str) -> str:
    """The name of an edit if it can name a folder of the project, else EditError.

    >>> check_name("older-2")
    'older-2'
    """
    if not _NAME.fullmatch(name) or name.endswith((".", " ")):
        raise EditError(f"{name!r} cannot name an edit: wanted up to 64 letters, digits, spaces, '.', '_' and '-'")
    if name.partition(".")[0].strip().lower() in _RESERVED:
        raise EditError(f"an edit cannot be called {name!r}: Windows keeps that name; choose another")
    return name


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
# no file can have these names on Windows, with or without a suffix
_RESERVED = frozenset(["con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))])
_SMALL_WORDS = frozenset("a an the of with and person".split())


def unique_name(prompt: str, taken: Collection[str]) -> str:
    """A short name for a prompt, numbered where it is taken.

    >>> unique_name("A person with a beard", []), unique_name("an old person", ["Old"]), unique_name("北极光", [])
    ('beard', 'old-2', 'edit')
    """
    pieces = re.findall(r"[a-z0-9]+", unicodedata.normalize("NFKD", prompt).lower())
    pieces = [piece for piece in pieces if piece not in _SMALL_WORDS] or pieces or ["edit"]
    slug = pieces[0][:24]
    for piece in pieces[1:]:
        if len(slug) + 1 + len(piece) > 24:
            break
        slug = f"{slug}-{piece}"
    if slug in _RESERVED:
        slug += "-edit"
    number, name = 1, slug
    while named_alike(name, taken):
        number += 1
        name = f"{slug}-{number}"
    return name


def new_name(name: str | None, prompt: str, taken: Collection[str]) -> str:
    """The name of a new edit: the one that is asked for, or one made from the prompt; EditError where it can be no name or is taken."""
    if name is None:
        return unique_name(prompt, taken)
    if alike := named_alike(check_name(name), taken):
        raise EditError(f"the project already has an edit called {alike}; choose another --name or remove that one first")
    return name


def named_alike(name: str, taken: Iterable[str]) -> str:
    """The one of `taken` whose folder may be that of `name`, as not every file system tells upper from lower case; empty for none.

    >>> named_alike("Old", ["beard", "old"])
    'old'
    """
    return next((other for other in taken if other.casefold() == name.casefold()), "")
