"""Mixing two clips: rows of a project's content move towards another's, as an edit that is weighed, faded and stacked like any other.

Style affines are linear, so that moving a row of ws is the same as changing the styles of the layers that read it: strength 0 is the
clip itself, 1 has the other's rows (style mixing; with all rows, the other's content under this clip's motion), between lies a
straight line. What drifts in the clip's own content goes on drifting, about the other's mean.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from stylegan_v import Generator
from vedit.devices import pick_device
from vedit.edits import Edit, check_strength
from vedit.latents import LatentVideo
from vedit.wording import EditError, new_name
from vedit.workspace import Workspace


def mix(
    workspace: Workspace, other: Workspace, *, layers: str = "all", strength: str | float | Sequence[tuple[float, float]] = 1.0,
    name: str | None = None, device: str = "auto",
) -> Edit:  # fmt: skip
    """Make an edit that moves the content of a project towards another's and save it.

    layers: rows of ws, as "0-3" (pose and shape come first, colours last), "0-3,7" or "all".  strength and name as for words.
    Raises EditError, a ValueError: for projects of two generators, rows that are not there, contents that do not differ; and DeviceError.
    """
    keyframes, name = check_strength(strength), new_name(name, f"mix {other.path.stem}", workspace.list_edits())
    mine, theirs = workspace.info["generator"], other.info["generator"]
    if mine["hash"] != theirs["hash"]:
        raise EditError(
            f"{workspace.path} was made with the generator {mine['name']} ({mine['hash'][:12]}), {other.path} with {theirs['name']} ({theirs['hash'][:12]}); "
            "mix projects of one generator"
        )
    generator = workspace.generator(pick_device(device))
    rows = parse_rows(layers, generator.num_ws)
    changes = mean_content(other, generator) - mean_content(workspace, generator)
    if not bool(changes[rows].any()):
        raise EditError(f"{other.path} has the same content in these layers; nothing would change")
    warnings: tuple[str, ...] = ()
    if other.info.get("tuned"):
        warnings = (f"{other.path} has a generator of its own (fidelity max): what that one alone can draw does not come along",)
    edit = Edit(
        name=name, prompt=f"{other.path.name}, layers {layers}", neutral="", strength=keyframes, direction=row_direction(generator, changes, rows),
        generator=mine["hash"], guidance="", method="mix", kind="mix", warnings=warnings,
        figures={"from": str(other.path.resolve()), "layers": rows},
    )  # fmt: skip
    workspace.save_edit(edit.name, *edit.to_files())
    return edit


def mean_content(workspace: Workspace, generator: Generator) -> Tensor:
    """ws [L, D] of a project, its drift averaged over the clip's frames."""
    latents = workspace.latents()
    latents.check(generator)
    return content_at(latents, torch.tensor(workspace.clock(generator.fps).t, dtype=torch.float64))


def content_at(latents: LatentVideo, t: Tensor) -> Tensor:
    """The mean of ws [L, D] over moments t [T] of the clip."""
    if latents.content is None:
        return latents.ws
    weights = latents.content.weights(t).mean(dim=0).to(latents.ws)
    return latents.ws + torch.tensordot(weights, latents.content.coefs, dims=1)


def row_direction(generator: Generator, changes: Tensor, rows: Sequence[int]) -> dict[str, Tensor]:
    """Δs [I] of every layer that reads one of `rows`, for changes of ws [L, D]."""
    direction = {}
    for name, row, layer in generator.synthesis.layers():
        if row in rows:
            affine = layer.affine.weight.detach()[:, : changes.shape[1]] * layer.affine.weight_gain
            direction[name] = (affine @ changes[row].to(affine)).cpu()
    return direction


def parse_rows(text: str, count: int) -> list[int]:
    """Rows of ws out of "all", "3", "0-3" or "0-3,7", each once, in order; raises EditError.

    >>> parse_rows("0-2,5", 10), parse_rows("all", 3)
    ([0, 1, 2, 5], [0, 1, 2])
    """
    if text.strip() == "all":
        return list(range(count))
    rows: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,4})\s*(?:-\s*([0-9]{1,4}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < count:
            raise EditError(f"the layers are {text!r}; give all, or rows from 0 to {count - 1}, such as 0-3 or 0-3,7")
        rows.update(range(first, last + 1))
    return sorted(rows)
