"""Optimised edits: a change of styles that a text–image model sees go where the words point, on key frames of the clip itself.

The loss is directional (after Patashnik et al. 2021 and Gal et al. 2022): the image vector of a framed, lit and blurred view of the
edited frame, less that of the same view of the unedited one, shall point along the difference of the two texts, and go as far along it
as the global direction does. What is not asked for is held by the change's own size, in units of the styles' spread, by a perceptual distance to the
unedited frame, and outside a region by the pixels. One change serves all frames, so that it holds over time.

Layers move on their own, but each as its styles vary among the generator's own contents, all channels together, and they begin with the
global direction: channels that move one by one please the text–image model and change the picture less (README tells the figures).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from stylegan_v import Generator
from stylegan_v.config import Config
from vedit.guidance import Guidance
from vedit.perceptual import Perceptual
from vedit.progress import Progress, Task
from vedit.views import vary

Delta = Mapping[str, Tensor]
EVEN = 0x0EED  # seed of the views by which two changes are compared
LEAST = 0.75  # standard deviations that the image vector shall go along the texts even where the global direction brings it less far


@dataclass(frozen=True)
class OptimiseConfig(Config):
    """Lengths and weights. It ends after `steps`, or sooner on a plateau: when a `window` of steps gains less than `gain` of the loss."""

    keys: int = 8
    batch: int = 3
    views: int = 2
    steps: int = 120
    window: int = 20
    gain: float = 0.01
    lr: float = 0.05
    short: float = 2.0
    size: float = 0.05
    structure: float = 2.0
    outside: float = 20.0

    def __post_init__(self) -> None:
        self._require_counts("keys", "batch", "views", "steps", "window", most=100_000)
        self._require_positive("gain", "lr", "short", "size", "structure", "outside")


@dataclass(frozen=True)
class Keys:
    """Key frames of a clip: ws [1, L, D] or [1, K, L, D], motion_v [1, K, V] or None, unedited frames [K, 3, H, W], and the masks
    [K, 1, H, W] of the region, None for the whole frame."""

    ws: Tensor
    motion_v: Tensor | None
    plain: Tensor
    masks: Tensor | None = None

    @classmethod
    def of(cls, generator: Generator, ws: Tensor, motion_v: Tensor | None, masks: Tensor | None = None) -> Keys:
        """Keys of these latents, with their unedited frames rendered."""
        with torch.no_grad():
            plain = generator.synthesis(ws, motion_v=motion_v)[0].clamp(-1, 1)
        return cls(ws, motion_v, plain, None if masks is None else masks.to(plain))

    def at(self, index: Tensor) -> Keys:
        """Some of them: the key frames at `index` [B]."""
        ws = self.ws[:, index] if self.ws.ndim == 4 else self.ws
        motion_v = None if self.motion_v is None else self.motion_v[:, index]
        return Keys(ws, motion_v, self.plain[index], None if self.masks is None else self.masks[index])

    def edited(self, generator: Generator, delta: Delta) -> tuple[Tensor, Tensor]:
        """Frames [K, 3, H, W] under a change of styles: whole, and as they will be shown, unedited outside the region."""
        whole = generator.synthesis(self.ws, motion_v=self.motion_v, styles_delta=dict(delta) or None)[0]
        return whole, whole if self.masks is None else torch.lerp(self.plain, whole, self.masks)


@dataclass(frozen=True)
class Aim:
    """What is wanted: the difference of the texts `text` [E], and how far the image vector shall go along it."""

    guidance: Guidance
    perceptual: Perceptual
    text: Tensor
    far: float


def distance_along(generator: Generator, guidance: Guidance, text: Tensor, keys: Keys, delta: Delta) -> float:
    """How far a change of styles moves the image vector of the key frames along the texts, in the mean over views."""
    with torch.no_grad():
        shown = keys.edited(generator, {name: value.to(keys.plain) for name, value in delta.items()})[1]
        change = _vectors(guidance, shown, 2, EVEN) - _vectors(guidance, keys.plain, 2, EVEN)
        return float(change.mean(dim=(0, 1)).cpu() @ F.normalize(text, dim=0))


@dataclass(frozen=True)
class Optimised:
    """A change of styles and what was traded for it: figures of the start and of the end on the same views of all key frames."""

    delta: dict[str, Tensor]
    figures: dict[str, Any]


def optimise(
    generator: Generator, aim: Aim, keys: Keys, ways: Delta, start: Delta, cfg: OptimiseConfig | None = None, seed: int = 0
) -> Task[Optimised]:
    """Change styles, from `start`, so that the key frames go where the texts point; the start itself where nothing better is found.

    `ways` maps the layers that may change to matrices [I, K], from values of deviation 1 to changes of their styles; other layers stay as
    they are in `start`. The same seed gives the same change on the same machine.
    """
    cfg = cfg or OptimiseConfig()
    generator.requires_grad_(False)
    search = _Search(generator, aim, keys, cfg, {name: way.to(keys.plain) for name, way in ways.items()}, dict(start))
    free = {name: way.new_zeros(way.shape[1]).requires_grad_() for name, way in search.ways.items()}
    still = {name: value.detach().clone() for name, value in free.items()}
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(list(free.values()), lr=cfg.lr, betas=(0.9, 0.99))
    losses: list[float] = []
    while len(losses) < cfg.steps and not _plateau(losses, cfg):
        index = torch.randperm(len(keys.plain), generator=rng)[: cfg.batch]
        terms = search.terms(free, keys.at(index), int(torch.randint(1 << 30, (1,), generator=rng)))
        loss = _total(terms, cfg)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        note = f"agreement {terms['agreement'].item():.2f}, distance {terms['structure'].item():.4f}"
        yield Progress("optimize", len(losses), cfg.steps, note)
    yield Progress("optimize", cfg.steps, cfg.steps)
    before, after = search.figures(still), search.figures(free)
    better = after["loss"] < before["loss"]
    delta = {name: value.detach().cpu() for name, value in search.change(free if better else still).items()}
    return Optimised(delta, {"steps": len(losses), "seed": seed, "kept": "end" if better else "start", "start": before, "end": after})


@dataclass(frozen=True)
class _Search:
    """The changes of styles that can be reached from `start`, and what each of them is worth."""

    generator: Generator
    aim: Aim
    keys: Keys
    cfg: OptimiseConfig
    ways: Delta
    start: Delta

    def change(self, moved: Delta) -> dict[str, Tensor]:
        """Δs [I] of every layer for values [K] along its ways."""
        change = {name: value.to(self.keys.plain) for name, value in self.start.items()}
        return change | {name: change.get(name, 0.0) + way @ moved[name] for name, way in self.ways.items()}

    def terms(self, moved: Delta, keys: Keys, view: int) -> dict[str, Tensor]:
        """What the loss is made of, each a scalar: agreement with the texts, what is short of the way, size, structure, what lies outside."""
        aim, views = self.aim, self.cfg.views
        whole, shown = keys.edited(self.generator, self.change(moved))
        text = aim.text.to(aim.guidance.device)
        with torch.no_grad():
            seen = _vectors(aim.guidance, keys.plain, views, view)
            features = aim.perceptual.features(keys.plain)
        change = (_vectors(aim.guidance, shown, views, view) - seen).mean(dim=0)  # [B, E]
        outside = whole.new_zeros(()) if keys.masks is None else ((1 - keys.masks) * (whole - keys.plain)).square().mean()
        return {
            "agreement": F.cosine_similarity(change, text[None], dim=1, eps=1e-6).mean(),
            "short": (1 - (change @ F.normalize(text, dim=0)).mean() / aim.far).relu(),  # going further than asked for gains nothing
            "size": torch.stack([value.square().sum() for value in moved.values()]).mean(),
            "structure": aim.perceptual.distance(aim.perceptual.features(shown), features).mean(),
            "outside": outside,
        }

    @torch.no_grad()
    def figures(self, moved: Delta) -> dict[str, float]:
        """The loss and its terms over all key frames, in views that are always the same."""
        terms = self.terms(moved, self.keys, EVEN)
        return {"loss": _total(terms, self.cfg).item()} | {name: value.item() for name, value in terms.items()}


def traded(figures: Mapping[str, Any]) -> str:
    """The figures of an optimisation in one line for a person."""
    start, end = figures["start"], figures["end"]
    line = ", ".join(f"{name} {start[key]:.2g} → {end[key]:.2g}" for name, key in (("agreement", "agreement"), ("distance to the unedited", "structure")))
    kept = "" if figures["kept"] == "end" else "; nothing better than the start was found, which is kept"
    return f"{line} in {figures['steps']} steps{kept}"


def _total(terms: Mapping[str, Tensor], cfg: OptimiseConfig) -> Tensor:
    """The loss: all terms but the agreement, which it wants high, by their weights."""
    return 1 - terms["agreement"] + sum(getattr(cfg, name) * terms[name] for name in ("short", "size", "structure", "outside"))


def _vectors(guidance: Guidance, frames: Tensor, views: int, seed: int) -> Tensor:
    """Image vectors [views, B, E] of frames in varied views, which a seed fixes."""
    varied = vary(frames.cpu().repeat(views, 1, 1, 1), torch.Generator().manual_seed(seed))
    return guidance.encode_images(varied).unflatten(0, (views, len(frames)))


def _plateau(losses: list[float], cfg: OptimiseConfig) -> bool:
    """Whether the last window of steps gained too little over the one before; asked once a window."""
    window = cfg.window
    if len(losses) < 2 * window or len(losses) % window:
        return False
    before, now = sum(losses[-2 * window : -window]), sum(losses[-window:])
    return now > before - cfg.gain * abs(before)
