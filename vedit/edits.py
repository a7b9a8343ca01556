"""An edit of a clip: one change of styles for every moment, weighed by a strength in time, and the files that keep it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vedit.reach import Reach
from vedit.regions import Region
from vedit.timing import keyframe_value, parse_keyframes
from vedit.wording import EditError, check_name

if TYPE_CHECKING:
    from vedit.workspace import Workspace

SCHEMA = 1
KINDS = ("words", "mix")
MASK = "region.mask"  # its name beside the layers of direction.safetensors
MAX_STRENGTH = 10.0  # far beyond what looks natural, not yet beyond what a network computes

Keyframes = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Edit:
    """One edit of a clip.

    direction: Δs [I] of every style layer, as `synthesis(..., styles_delta=…)` takes it.  reach: how much of it a strength takes, for the
    content of this clip; None: as much as the strength says.
    strength: keyframes ((seconds, value), …); one keyframe holds for the whole clip.
    generator: hash of the generator whose layers the direction means.  guidance: name of the text–image model.
    kind: "words", or "mix" where the direction leads to another project's content.
    figures: what was measured when it was made, as JSON keeps it.  warnings: what a person should be told, one line each.
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
    reach: Reach | None = None
    region: Region | None = field(default=None, compare=False)  # None: the whole frame
    kind: str = "words"
    figures: Mapping[str, Any] = field(default_factory=dict, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def strength_at(self, seconds: float) -> float:
        """The strength at a moment of the clip: straight lines between keyframes, the ends hold outside."""
        return keyframe_value(self.strength, seconds)

    def weights(self, times: Sequence[float], factor: float = 1.0) -> Tensor:
        """What the direction is multiplied with [T] at `times` (seconds), where the strength is times `factor`."""
        strengths = (self.strength_at(time) * factor for time in times)
        return torch.tensor([strength if self.reach is None else self.reach(strength) for strength in strengths])

    def styles_delta(self, times: Sequence[float], factor: float = 1.0) -> dict[str, Tensor]:
        """Changes [T, I] of every layer at `times` (seconds), or [1, I] where they are all alike; `factor` re-weighs the whole edit."""
        weights = self.weights(times, factor)
        if len(times) > 1 and bool((weights == weights[0]).all()):
            weights = weights[:1]
        return {layer: weights[:, None] * change for layer, change in self.direction.items()}

    def to_files(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What goes into edit.json and into direction.safetensors."""
        info = {
            "schema": SCHEMA, "kind": self.kind, "name": self.name, "prompt": self.prompt, "neutral": self.neutral,
            "strength": [list(pair) for pair in self.strength], "generator": self.generator, "guidance": self.guidance, "method": self.method,
            "disentangle": self.disentangle, "warnings": list(self.warnings), "figures": dict(self.figures),
            "region": None if self.region is None else self.region.to_info(),
            "reach": None if self.reach is None else self.reach.to_info(),
        }  # fmt: skip
        tensors = {layer: change.detach().cpu().contiguous() for layer, change in self.direction.items()}
        for mask in (self.region.mask, self.region.moving) if self.region is not None else ():
            if mask is not None:
                tensors[MASK] = torch.from_numpy(mask)
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
            kind, figures = info.get("kind", "words"), info.get("figures", {})
            if kind not in KINDS or not isinstance(figures, dict):
                raise TypeError(f"kind {kind!r} or its figures")
            name = check_name(texts["name"])
            kept = info.get("region")
            region = None if kept is None else Region.from_info(kept, tensors.get(MASK))
            reach = None if info.get("reach") is None else Reach.from_info(info["reach"])
        except EditError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise EditError(f"a stored edit is damaged ({error}); remove it and make it again") from error
        tensors = {layer: change for layer, change in tensors.items() if layer != MASK}
        if not tensors or any(
            value.ndim != 1 or not value.is_floating_point() or not value.isfinite().all() for value in tensors.values()
        ):
            raise EditError(
                f"the direction of the edit {name} is damaged: wanted finite vectors, one a layer; remove it and make it again"
            )
        return cls(
            strength=strength, direction=tensors, disentangle=disentangle, reach=reach, region=region, kind=kind, figures=figures, warnings=warnings, **texts
        )  # fmt: skip


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


def load_edits(workspace: Workspace) -> list[Edit]:
    """Every edit of a project, in the order in which they apply."""
    return [Edit.from_files(*workspace.load_edit(name)) for name in workspace.list_edits()]
