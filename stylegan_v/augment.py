"""Adaptive discriminator augmentation (Karras et al. 2020, Training GANs with limited data), the same for all frames of a clip.

What the discriminator sees, real and generated, is moved and recoloured at random, each transform with probability p, so that a small
data set cannot be learned by heart; a controller raises p as long as real clips are told too surely. Below p of about 0.8 none of it
leaks into what is generated (section 3.2 there).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stylegan_v.config import Config
from stylegan_v.ops.warp import LEAST, move_lattice, warp

# Strengths of appendix B: shifts as a share of the frame's size, scales and gains as standard deviations of the base-2 logarithm.
SHIFT_MAX, SCALE_STD, MOVE_STD, BRIGHTNESS_STD, CONTRAST_STD, SATURATION_STD = 0.125, 0.2, 0.125, 0.2, 0.5, 1.0

GROUPS = {
    "b": ("flip", "turn", "shift"),
    "g": ("scale", "rotate", "stretch", "move"),
    "c": ("brightness", "contrast", "luma_flip", "hue", "saturation"),
}


@dataclass(frozen=True)
class AugmentConfig(Config):
    """Which transforms are drawn: pixel blitting (b), general geometry (g), colour (c), or "none".

    The numbers multiply p for one transform each: 0 leaves it out. `flip` mirrors left and right, `turn` is by quarters,
    `shift` by whole pixels; `scale` is isotropic, `stretch` anisotropic, `move` by fractions of pixels.
    """

    pipeline: str = "bgc"
    flip: float = 1.0
    turn: float = 1.0
    shift: float = 1.0
    scale: float = 1.0
    rotate: float = 1.0
    stretch: float = 1.0
    move: float = 1.0
    brightness: float = 1.0
    contrast: float = 1.0
    luma_flip: float = 1.0
    hue: float = 1.0
    saturation: float = 1.0

    def __post_init__(self) -> None:
        letters: Any = self.pipeline
        good = isinstance(letters, str) and (letters == "none" or (0 < len(letters) == len(set(letters)) and set(letters) <= set(GROUPS)))
        self._require(good, "pipeline", "'none' or letters of 'bgc', each once")
        for names in GROUPS.values():
            for name in names:
                value = getattr(self, name)
                number = isinstance(value, int | float) and not isinstance(value, bool)
                self._require(number and 0 <= value <= 1e6, name, "a number from 0")

    def chance(self, name: str, p: float) -> float:
        """How probable the transform `name` is at p, in [0, 1]."""
        chosen = self.pipeline != "none" and any(letter in self.pipeline and name in names for letter, names in GROUPS.items())
        return min(1.0, p * float(getattr(self, name))) if chosen else 0.0


@dataclass(frozen=True)
class Drawn:
    """Parameters of N clips, on the CPU: what `Augment.draw` draws and `Augment.apply` does, in the order of the fields.

    Angles in radians, counter-clockwise; shifts (right, down) as a share of the frame's size. The neutral value changes nothing.
    """

    flip: Tensor  # [N] bool
    turn: Tensor  # [N] whole, quarters
    shift: Tensor  # [N, 2], rounded to whole pixels
    scale: Tensor  # [N] > 0
    before: Tensor  # [N], rotation before the stretch
    stretch: Tensor  # [N] > 0, the width's factor, the height's is its inverse
    after: Tensor  # [N], rotation after the stretch
    move: Tensor  # [N, 2]
    brightness: Tensor  # [N], added
    contrast: Tensor  # [N] > 0
    luma_flip: Tensor  # [N] bool: the luma changes its sign
    hue: Tensor  # [N], rotation about the grey axis
    saturation: Tensor  # [N] > 0

    @classmethod
    def neutral(cls, clips: int) -> Drawn:
        """Parameters that leave `clips` clips as they are."""
        none, one = torch.zeros(clips, dtype=torch.float64), torch.ones(clips, dtype=torch.float64)
        no, pair = none.bool(), torch.zeros(clips, 2, dtype=torch.float64)
        return cls(no, none.long(), pair, one, none, one, none, pair, none, one, no, none, one)

    def __len__(self) -> int:
        return len(self.flip)

    def __getitem__(self, clips: slice) -> Drawn:
        return Drawn(**{field.name: getattr(self, field.name)[clips] for field in dataclasses.fields(self)})

    def pixels(self, size: int) -> Tensor:
        """The whole shift in pixels of frames of this size, [N, 2]."""
        return (self.shift * size).round()

    def inverse(self, size: int) -> Tensor:
        """Where each place of the result comes from: [N, 2, 3], in pixels from the centre of frames of this size."""
        cosine = torch.tensor([1.0, 0.0, -1.0, 0.0], dtype=torch.float64)
        sine, turn = cosine.roll(1), self.turn % 4
        one = torch.ones_like(self.scale)
        steps = [
            _linear(1 - 2 * self.flip.double(), one),
            _linear(cosine[turn], cosine[turn], sine[turn]),
            _linear(one, one, shift=self.pixels(size)),
            _linear(self.scale, self.scale),
            _linear(self.before.cos(), self.before.cos(), self.before.sin()),
            _linear(self.stretch, 1 / self.stretch),
            _linear(self.after.cos(), self.after.cos(), self.after.sin()),
            _linear(one, one, shift=self.move * size),
        ]
        whole = steps[0]
        for step in steps[1:]:
            whole = step @ whole
        return torch.linalg.inv(whole)[:, :2]

    def kinds(self, size: int) -> Tensor:
        """[N]: 0 where the geometry is left alone, 1 where pixels go to pixels, 2 where they fall between."""
        lattice = self.flip | (self.turn % 4 != 0) | self.pixels(size).any(dim=1)
        general = (self.scale != 1) | (self.before != 0) | (self.stretch != 1) | (self.after != 0) | self.move.any(dim=1)
        return torch.where(general, 2, lattice.long())

    def colours(self) -> Tensor:
        """The colour maps [N, 3, 4] of (r, g, b, 1)."""
        n, grey = len(self), torch.full((3, 1), 1 / math.sqrt(3), dtype=torch.float64)
        eye, luma = torch.eye(3, dtype=torch.float64), grey @ grey.T
        x = float(grey[0])
        turn = torch.tensor([[0.0, -x, x], [x, 0.0, -x], [-x, x, 0.0]], dtype=torch.float64)  # the cross product with the grey axis

        def per_clip(value: Tensor) -> Tensor:
            return value.double()[:, None, None]

        linear = eye * per_clip(self.contrast)
        linear = (eye - 2 * luma * per_clip(self.luma_flip)) @ linear
        linear = (luma + (eye - luma) * per_clip(self.hue.cos()) + turn * per_clip(self.hue.sin())) @ linear
        linear = (luma + (eye - luma) * per_clip(self.saturation)) @ linear
        offset = linear @ per_clip(self.brightness).expand(n, 3, 1)  # brightness comes before all others
        return torch.cat([linear, offset], dim=2)

    def recoloured(self) -> Tensor:
        """[N] bool: where the colours change."""
        return (self.brightness != 0) | (self.contrast != 1) | self.luma_flip | (self.hue != 0) | (self.saturation != 1)


class Augment:
    """Random transforms of clips, one draw a clip. `draw` or `draw_for`, then `apply`; or both at once by calling it."""

    def __init__(self, cfg: AugmentConfig) -> None:
        self.cfg = cfg

    def __call__(self, frames: Tensor, p: float, rng: torch.Generator) -> Tensor:
        """Frames [N, T, 3, S, S] after a fresh draw of every clip."""
        return self.apply(frames, self.draw(len(frames), p, rng))

    def draw(self, clips: int, p: float, rng: torch.Generator) -> Drawn:
        """Parameters for so many clips; `rng`, a CPU generator, gives each clip's seed."""
        return self.draw_for(torch.randint(1 << 32, (clips,), generator=rng).tolist(), p)

    def draw_for(self, seeds: Sequence[int], p: float) -> Drawn:
        """Parameters of one clip a seed (of which torch uses 32 bits): a clip's do not depend on who else is in the batch.

        With growing p, what a seed has drawn stays and more is added. Raises ValueError for p outside [0, 1].
        """
        if not 0 <= p <= 1:
            raise ValueError(f"the augmentation's p is {p}, wanted a probability from 0 to 1")
        gates, uniform, normal = _randoms(seeds)

        def when(name: str, column: int, value: Tensor, neutral: Tensor) -> Tensor:
            chance = self.cfg.chance(name, p)
            if name == "rotate":
                chance = 1 - math.sqrt(1 - chance)  # of each of two, so that either happens with `chance`
            chosen = gates[:, column] < chance
            return torch.where(chosen[:, None] if value.ndim == 2 else chosen, value, neutral)

        n, angles = Drawn.neutral(len(seeds)), (2 * uniform - 1) * math.pi
        return Drawn(
            flip=when("flip", 0, uniform[:, 0] < 0.5, n.flip),
            turn=when("turn", 1, (uniform[:, 1] * 4).long(), n.turn),
            shift=when("shift", 2, (2 * uniform[:, 2:4] - 1) * SHIFT_MAX, n.shift),
            scale=when("scale", 3, 2 ** (normal[:, 0] * SCALE_STD), n.scale),
            before=when("rotate", 4, angles[:, 4], n.before),
            stretch=when("stretch", 5, 2 ** (normal[:, 1] * SCALE_STD), n.stretch),
            after=when("rotate", 6, angles[:, 5], n.after),
            move=when("move", 7, normal[:, 2:4] * MOVE_STD, n.move),
            brightness=when("brightness", 8, normal[:, 4] * BRIGHTNESS_STD, n.brightness),
            contrast=when("contrast", 9, 2 ** (normal[:, 5] * CONTRAST_STD), n.contrast),
            luma_flip=when("luma_flip", 10, uniform[:, 6] < 0.5, n.luma_flip),
            hue=when("hue", 11, angles[:, 7], n.hue),
            saturation=when("saturation", 12, 2 ** (normal[:, 6] * SATURATION_STD), n.saturation),
        )

    def apply(self, frames: Tensor, drawn: Drawn) -> Tensor:
        """Frames [N, T, 3, S, S] moved and recoloured, in the type they came in; not clamped.

        Clips with neutral parameters come back to the bit. Differentiable by the frames, twice too. Raises ValueError for frames
        that are not square or not as many clips as were drawn for.
        """
        good = frames.ndim == 5 and frames.shape[2] == 3 and frames.shape[3] == frames.shape[4] >= LEAST
        if not good or len(frames) != len(drawn):
            raise ValueError(f"frames are {tuple(frames.shape)}, wanted [{len(drawn)}, T, 3, S, S] with S from {LEAST}: one draw a clip")
        size = frames.shape[-1]
        x = frames.to(torch.promote_types(frames.dtype, torch.float32)).flatten(1, 2)
        inverse = drawn.inverse(size)
        x = _where(x, drawn.kinds(size) == 1, inverse, move_lattice)
        x = _where(x, drawn.kinds(size) == 2, inverse, warp)
        x = _where(x, drawn.recoloured(), drawn.colours(), _recolour)
        return x.unflatten(1, (-1, 3)).to(frames.dtype)


class AdaController:
    """p, the strength of augmentation: up while the mean sign of the logits of real clips is above `target`, else down.

    p is changed every `interval` steps, by what takes it from 0 to 1 within `kimg` thousand clips (a clip has one logit, and
    counts as one image). `state_dict` is plain data; a run that resumes from it has the same p ever after.
    """

    def __init__(self, target: float = 0.6, interval: int = 4, kimg: float = 500.0, p: float = 0.0) -> None:
        if not (-1 < target < 1 and interval >= 1 and kimg > 0 and 0 <= p <= 1):
            raise ValueError(f"target {target}, interval {interval}, kimg {kimg}, p {p}: wanted -1 < target < 1, interval ≥ 1, kimg > 0, 0 ≤ p ≤ 1")
        self.target, self.interval, self.kimg, self.p = target, interval, kimg, p
        self.sign = 0.0  # the last mean sign, for the log
        self._calls = 0
        self._tally: Tensor | None = None

    def update(self, real_logits: Tensor, total: Callable[[Tensor], Tensor] | None = None) -> float:
        """Count the logits of one step's real clips, change p when it is time, and return it.

        Where several processes share a batch, `total` sums a tensor over them, so that all have the same p and the same state.
        Logits that are not numbers leave p as it is.
        """
        logits = real_logits.detach()
        seen = torch.stack([logits.sign().sum().float(), logits.new_tensor(logits.numel(), dtype=torch.float32)])
        seen = seen if total is None else total(seen)
        self._tally = seen if self._tally is None else self._tally.to(seen.device) + seen  # on its device: read only when p changes
        self._calls += 1
        if self._calls == self.interval:
            signs, count = self._tally.tolist()
            self.sign = signs / max(count, 1.0)
            direction = (self.sign > self.target) - (self.sign < self.target)
            self.p = min(1.0, max(0.0, self.p + direction * count / (self.kimg * 1000)))
            self._calls, self._tally = 0, None
        return self.p

    def state_dict(self) -> dict[str, Any]:
        """p and what has been counted since it last changed, as plain data."""
        return {"p": self.p, "sign": self.sign, "calls": self._calls, "tally": [0.0, 0.0] if self._tally is None else self._tally.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.p, self.sign, self._calls = float(state["p"]), float(state["sign"]), int(state["calls"])
        self._tally = torch.tensor(state["tally"], dtype=torch.float32) if self._calls else None  # moved at the next update


def _randoms(seeds: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Gates [N, 13], uniform [N, 8] and normal [N, 7] numbers, always so many: what p is plays no part."""
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for seed in seeds:
        rng = torch.Generator().manual_seed(seed)
        gates, uniform = (torch.rand(count, generator=rng, dtype=torch.float64) for count in (13, 8))
        rows.append((gates, uniform, torch.randn(7, generator=rng, dtype=torch.float64)))
    if not rows:
        return torch.zeros(0, 13), torch.zeros(0, 8), torch.zeros(0, 7)
    gates, uniform, normal = (torch.stack(column) for column in zip(*rows, strict=True))
    return gates, uniform, normal


def _linear(xx: Tensor, yy: Tensor, sine: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
    """[N, 3, 3] matrices with diagonals (xx, yy, 1), a counter-clockwise sine and a shift [N, 2]; y points down."""
    matrix = torch.eye(3, dtype=torch.float64).repeat(len(xx), 1, 1)
    matrix[:, 0, 0], matrix[:, 1, 1] = xx, yy
    if sine is not None:
        matrix[:, 0, 1], matrix[:, 1, 0] = sine, -sine
    if shift is not None:
        matrix[:, :2, 2] = shift
    return matrix


def _where(x: Tensor, chosen: Tensor, parameters: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """x with the chosen clips changed and the others as they are, to the bit."""
    if not chosen.any():
        return x
    if chosen.all():
        return change(x, parameters)
    clips = chosen.nonzero().flatten()
    order = torch.cat([clips, (~chosen).nonzero().flatten()])
    changed = change(x[clips.to(x.device)], parameters[clips])
    rest = x[order[len(clips) :].to(x.device)]
    return torch.cat([changed, rest])[order.argsort().to(x.device)]


def _recolour(x: Tensor, matrix: Tensor) -> Tensor:
    """x [N, 3 T, S, S] with colours mapped by [N, 3, 4]."""
    matrix = matrix.to(x.device, x.dtype).unsqueeze(1)
    pixels = x.unflatten(1, (-1, 3)).flatten(3)  # [N, T, 3, S²]
    return (matrix[..., :3] @ pixels + matrix[..., 3:]).flatten(1, 2).unflatten(2, x.shape[2:])
