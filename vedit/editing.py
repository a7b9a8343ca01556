"""Editing by words: a prompt becomes one change of styles for the whole clip, saved with the project under a name."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vedit.errors import VeditError
from vedit.progress import Progress, Task
from vedit.regions import Region, RegionError, parse
from vedit.timing import keyframe_value, parse_keyframes

if TYPE_CHECKING:
    from stylegan_v import Generator
    from vedit.workspace import Workspace

SCHEMA = 1
MASK = "region.mask"  # its name beside the layers of direction.safetensors
MAX_PROMPT = 300  # characters; no text–image model reads more than 77 tokens
MAX_STRENGTH = 10.0  # far beyond what looks natural, not yet beyond what a network computes

Keyframes = tuple[tuple[float, float], ...]


class EditError(VeditError, ValueError):
    """A prompt, strength, name or stored edit that makes no sense."""


@dataclass(frozen=True)
class Edit:
    """One edit of a clip.

    direction: Δs [I] of every style layer at strength 1, as `synthesis(..., styles_delta=…)` takes it.
    strength: keyframes ((seconds, value), …); one keyframe holds for the whole clip.
    generator: hash of the generator whose layers the direction means.  guidance: name of the text–image model.
    warnings: what a person should be told, one line each.
    """

    name: str
    prompt: str
    neutral: str
    strength: Keyframes
    direction: Mapping[str, Tensor]
    generator: str
    guidance: str = "builtin"
    method: str = "global"
    disentangle: float | None = None
    region: Region | None = field(default=None, compare=False)  # None: the whole frame
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def strength_at(self, seconds: float) -> float:
        """The strength at a moment of the clip: straight lines between keyframes, the ends hold outside."""
        return keyframe_value(self.strength, seconds)

    def styles_delta(self, times: Sequence[float], factor: float = 1.0) -> dict[str, Tensor]:
        """Changes [T, I] of every layer at `times` (seconds), or [1, I] where they are all alike; `factor` re-weighs the whole edit."""
        strengths = torch.tensor([self.strength_at(time) * factor for time in times])
        if len(times) > 1 and bool((strengths == strengths[0]).all()):
            strengths = strengths[:1]
        return {layer: strengths[:, None] * change for layer, change in self.direction.items()}

    def to_files(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What goes into edit.json and into direction.safetensors."""
        info = {
            "schema": SCHEMA, "name": self.name, "prompt": self.prompt, "neutral": self.neutral, "strength": [list(pair) for pair in self.strength],
            "generator": self.generator, "guidance": self.guidance, "method": self.method, "disentangle": self.disentangle, "warnings": list(self.warnings),
            "region": None if self.region is None else self.region.to_info(),
        }  # fmt: skip
        tensors = {layer: change.detach().cpu().contiguous() for layer, change in self.direction.items()}
        if self.region is not None and self.region.mask is not None:
            tensors[MASK] = torch.from_numpy(self.region.mask)
        return info, tensors

    @classmethod
    def from_files(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Edit:
        """The edit of edit.json and direction.safetensors. Raises EditError for what no edit can hold."""
        try:
            if info["schema"] != SCHEMA:
                raise EditError(
                    f"an edit of schema {info['schema']} was found, wanted {SCHEMA}; use the version of vedit that made it"
                )
            strength = _checked_keyframes(tuple((float(t), float(v)) for t, v in info["strength"]))
            texts = {key: info[key] for key in ("name", "prompt", "neutral", "generator", "guidance", "method")}
            if not all(isinstance(text, str) for text in texts.values()):
                raise TypeError("its texts are no texts")
            disentangle = None if info["disentangle"] is None else float(info["disentangle"])
            warnings = tuple(str(line) for line in info["warnings"])
            name = check_name(texts["name"])
            kept = info.get("region")
            region = None if kept is None else Region.from_info(kept, tensors.get(MASK))
        except (KeyError, TypeError, AttributeError, RegionError) as error:
            raise EditError(f"a stored edit is damaged ({error}); remove it and make it again") from error
        tensors = {layer: change for layer, change in tensors.items() if layer != MASK}
        if not tensors or any(
            value.ndim != 1 or not value.is_floating_point() or not value.isfinite().all() for value in tensors.values()
        ):
            raise EditError(
                f"the direction of the edit {name} is damaged: wanted finite vectors, one a layer; remove it and make it again"
            )
        return cls(strength=strength, direction=tensors, disentangle=disentangle, region=region, warnings=warnings, **texts)


def edit(
    workspace: Workspace, prompt: str, *, neutral: str | None = None, strength: str | float | Sequence[tuple[float, float]] = 1.0,
    disentangle: float | None = None, method: str = "global", region: str | None = None, name: str | None = None, clip: str | None = None,
    device: str = "cpu",
) -> Task[Edit]:  # fmt: skip
    """Make an edit from words and save it in the project; see `make` for arguments and errors."""
    taken = [existing.name if isinstance(existing, Edit) else str(existing) for existing in workspace.list_edits()]
    place = None
    if region is not None:
        if not {"size", "follows_face"} <= set(workspace.info):
            raise EditError("this project was made before there were regions; project the clip again")
        width, height = workspace.info["size"]  # of the source
        place = parse(region, (width, height), bool(workspace.info["follows_face"]))
    generator = workspace.generator(device)
    result = yield from make(
        generator,
        prompt,
        neutral=neutral,
        strength=strength,
        disentangle=disentangle,
        method=method,
        region=place,
        name=name,
        clip=clip,
        taken=taken,
        content=workspace.latents().ws.mean(dim=0),
    )
    workspace.save_edit(result.name, *result.to_files())
    return result


def make(
    generator: Generator, prompt: str, *, neutral: str | None = None, strength: str | float | Sequence[tuple[float, float]] = 1.0,
    disentangle: float | None = None, method: str = "global", region: Region | None = None, name: str | None = None, clip: str | None = None,
    taken: Sequence[str] = (), content: Tensor | None = None,
) -> Task[Edit]:  # fmt: skip
    """Make an edit for a generator from words.

    neutral: the text the prompt is measured against; None chooses one that fits what the generator shows.
    strength: a number (1 is a clear, natural change; negative reverses), keyframes, or either as text: "0.7", "0s=0,2s=1".
    region: where the edit acts; None is the whole frame.  content: the w [D] to be edited, which bounds how far strength 1 goes.
    disentangle: in [0, 1], leaves out the weakest channels; None lets vedit choose.  clip: a model as in `vedit.guidance`.
    name: must be new; None makes one from the prompt, numbered where `taken` has it.

    Raises EditError, GuidanceError and TimingError (each a ValueError) before anything long begins.
    """
    prompt = check_prompt(prompt, "prompt")
    neutral = None if neutral is None else check_prompt(neutral, "neutral text")
    keyframes = check_strength(strength)
    _check_disentangle(disentangle)
    if method != "global":
        raise EditError(f"the method {method!r} is not available; wanted global")
    name = unique_name(prompt, taken) if name is None else check_name(name)
    if name in taken:
        raise EditError(
            f"the project already has an edit called {name}; choose another --name or remove that one first"
        )

    from vedit import directions, guidance

    yield Progress("words", 0, 1, f"loading the text–image model {clip or 'builtin'}")
    model = guidance.load(clip or "builtin")
    stats = yield from directions.statistics(generator, model)
    found = directions.direction(stats, generator, model, prompt, neutral, disentangle, content)
    warnings = [
        unknown_words_warning(model.unknown_words(text), what)
        for text, what in ((prompt, "prompt"), (neutral or "", "neutral text"))
    ]
    yield Progress("words", 1, 1)
    return Edit(
        name=name, prompt=prompt, neutral=found.neutral, strength=keyframes, direction=found.delta, generator=stats.generator,
        guidance=model.name, method=method, disentangle=disentangle, region=region, warnings=tuple(line for line in warnings if line),
    )  # fmt: skip


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


def check_strength(strength: str | float | Sequence[tuple[float, float]]) -> Keyframes:
    """Keyframes of a number, of keyframes or of either as text; raises EditError or TimingError.

    >>> check_strength(0.5), check_strength("0s=0,2s=1")
    (((0.0, 0.5),), ((0.0, 0.0), (2.0, 1.0)))
    """
    if isinstance(strength, str):
        return _checked_keyframes(parse_keyframes(strength))
    if isinstance(strength, int | float):
        return _checked_keyframes(((0.0, float(strength)),))
    return _checked_keyframes(tuple((float(time), float(value)) for time, value in strength))


def _checked_keyframes(keyframes: Keyframes) -> Keyframes:
    if not keyframes:
        raise EditError("the strength has no keyframes; give a number or TIME=VALUE,…")
    for time, value in keyframes:
        if not math.isfinite(value) or abs(value) > MAX_STRENGTH:
            raise EditError(
                f"the strength is {value:g}; give a number from {-MAX_STRENGTH:g} to {MAX_STRENGTH:g} (1 is a clear change)"
            )
        if not math.isfinite(time):
            raise EditError(f"a strength stands at the time {time}; give finite seconds")
    if any(later[0] <= earlier[0] for earlier, later in zip(keyframes, keyframes[1:], strict=False)):
        raise EditError("the keyframes of the strength do not rise in time; order them, each time once")
    return keyframes


def _check_disentangle(value: float | None) -> None:
    if value is not None and not 0 <= value <= 1:  # nan fails too
        raise EditError(f"--disentangle is {value}; give a number from 0 (all channels) to 1 (the strongest alone)")


def check_name(name: str) -> str:
    """The name of an edit if it can name a folder of the project, else EditError.

    >>> check_name("older-2")
    'older-2'
    """
    from vedit import workspace

    try:
        if name.lower() in _RESERVED:
            raise EditError(f"an edit cannot be called {name!r}: Windows keeps that name; choose another")
        return workspace.check_name(name)
    except workspace.WorkspaceError as error:
        raise EditError(str(error)) from error


# no file can have these names on Windows
_RESERVED = frozenset(["con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))])
_SMALL_WORDS = frozenset("a an the of with and person".split())


def unique_name(prompt: str, taken: Sequence[str]) -> str:
    """A short name for a prompt, numbered where it is taken.

    >>> unique_name("A person with a beard", []), unique_name("an old person", ["old"]), unique_name("北极光", [])
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
    while name in taken:
        number += 1
        name = f"{slug}-{number}"
    return name


def load_edits(workspace: Workspace) -> list[Edit]:
    """Every edit of a project, in the order in which they apply."""
    return [Edit.from_files(*workspace.load_edit(name)) for name in workspace.list_edits()]
