"""The latent video: a clip as continuous functions of t, so that any frame rate can be rendered from it.

Content is `ws [L, D]`, motion a trajectory `u [M, v_dim]` of codes, one every `distance` frames of the generator's clock.
Real footage adds two smooth residuals, cubic B-splines in t: a drift of ws and a residual of motion_v. Beyond the clip
they fade to zero within one code distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stylegan_v import Generator
from vedit.errors import VeditError


class LatentError(VeditError, ValueError):
    """Stored latents do not fit their generator or each other."""


@dataclass
class Spline:
    """A cubic B-spline of t with coefficients [K, …], uniform knots `spacing` apart (frames of t) from 0 to `span`.

    >>> spline = Spline.zeros(10.0, 2.0, (3,))
    >>> spline(torch.tensor([0.0, 4.5])).shape
    torch.Size([2, 3])
    """

    coefs: Tensor
    spacing: float
    span: float

    @classmethod
    def zeros(cls, span: float, spacing: float, shape: tuple[int, ...]) -> Spline:
        """The spline that is zero everywhere, with as many knots as the span wants; raises LatentError."""
        return cls(torch.zeros(knots(span, spacing), *shape), spacing, span)

    def scaled(self, scale: Tensor) -> Spline:
        """The spline whose values are these times `scale`."""
        return Spline(self.coefs * scale, self.spacing, self.span)

    def halved(self) -> Spline:
        """The same spline with twice as many knots, by the subdivision rule of uniform cubic B-splines.

        >>> spline = Spline(torch.tensor([[0.0], [1.0], [4.0], [9.0], [3.0]]), 2.0, 3.0)
        >>> t = torch.linspace(0, 3, 7)
        >>> torch.allclose(spline.halved()(t), spline(t)), spline.halved().spacing
        (True, 1.0)
        """
        c = self.coefs
        coefs = c.new_empty(knots(self.span, self.spacing / 2), *c.shape[1:])
        between, at = (c[:-1] + c[1:]) / 2, (c[:-2] + 6 * c[1:-1] + c[2:]) / 8
        coefs[0::2], coefs[1::2] = between[: -(-len(coefs) // 2)], at[: len(coefs) // 2]
        return Spline(coefs, self.spacing / 2, self.span)

    def __call__(self, t: Tensor) -> Tensor:
        """Values [T, …] at t [T], on any device; t beyond the span is taken at its end."""
        return torch.tensordot(self.weights(t).to(self.coefs.dtype).to(self.coefs.device), self.coefs, dims=1)

    def weights(self, t: Tensor) -> Tensor:
        """Basis weights [T, K] at t [T], rows summing to 1: piecewise cubic, twice continuously differentiable."""
        count = self.coefs.shape[0]
        position = (t.double() / self.spacing).clamp(0, self.span / self.spacing)
        index = position.floor().clamp(max=count - 4)
        x = position - index
        basis = torch.stack([(1 - x) ** 3, 3 * x**3 - 6 * x**2 + 4, -3 * x**3 + 3 * x**2 + 3 * x + 1, x**3], dim=1) / 6
        columns = index.long().unsqueeze(1) + torch.arange(4, device=t.device)
        return torch.zeros(t.shape[0], count, dtype=basis.dtype, device=t.device).scatter(1, columns, basis)


def knots(span: float, spacing: float) -> int:
    """How many coefficients a spline over `span` has; raises LatentError.

    >>> knots(10.0, 2.0)
    9
    """
    if not (spacing > 0 and 0 <= span < math.inf):
        raise LatentError(f"knots {spacing} frames apart over {span} frames are no spline; the spacing must be positive")
    return math.floor(span / spacing) + 4


def fade(t: Tensor, span: float, distance: float) -> Tensor:
    """1 within [0, span], smoothly to 0 at `distance` beyond it, [T]."""
    outside = (torch.maximum(t - span, -t) / distance).clamp(0, 1)
    return 1 - outside**2 * (3 - 2 * outside)


@dataclass
class LatentVideo:
    """Everything a clip is in a generator's latent space.

    `ws` [L, D]; `u` [M, v_dim] and the `motion_z` [M', z_dim] that extends it (None for an image generator); `content` and
    `motion` are the residual splines of ws [·, L, D] and motion_v [·, V], or None; `span` is t of the last frame.
    """

    ws: Tensor
    u: Tensor | None
    motion_z: Tensor | None
    span: float
    content: Spline | None = None
    motion: Spline | None = None

    def at(self, generator: Generator, t: Tensor) -> tuple[Tensor, Tensor | None]:
        """ws [1, T, L, D] (or [1, L, D] without drift) and motion_v [1, T, V] at t [T] (frames of the generator's clock, on the CPU)."""
        ws = self.ws.unsqueeze(0)
        distance = float(generator.cfg.motion.distance) if generator.cfg.motion else 16.0
        weight = fade(t, self.span, distance).to(ws.dtype).to(ws.device)
        if self.content is not None:
            ws = ws.unsqueeze(1) + (self.content(t) * weight[:, None, None]).unsqueeze(0)
        elif self.u is None:
            ws = ws.unsqueeze(1).expand(1, t.shape[0], *self.ws.shape)
        if self.u is None:
            return ws, None
        motion_v = generator.motion(t.unsqueeze(0), None, u=self.trajectory(generator, t).unsqueeze(0))
        if self.motion is not None:
            motion_v = motion_v + (self.motion(t) * weight[:, None]).unsqueeze(0)
        return ws, motion_v

    def trajectory(self, generator: Generator, t: Tensor) -> Tensor:
        """u [M'', v_dim], long enough for every t: the optimised codes, then those of motion_z, extended by noise of its own."""
        assert self.u is not None and self.motion_z is not None and generator.cfg.motion is not None
        need = int(float(t.max()) // generator.cfg.motion.distance) + 2 if t.numel() else 0
        have = self.u.shape[0]
        if need <= have:
            return self.u
        codes = extend_codes(self.motion_z, generator.num_motion_codes(float(t.max())))
        with torch.no_grad():
            further = generator.trajectory(codes.unsqueeze(0))[0]
        return torch.cat([self.u, further[have:]])

    def check(self, generator: Generator) -> None:
        """Raise LatentError unless every tensor has the shape that this generator wants."""
        cfg = generator.cfg
        motion = cfg.motion
        wanted: dict[str, tuple[Tensor | None, tuple[int, ...] | None, int]] = {  # what there is, its last dimensions, its rank
            "ws": (self.ws, (generator.num_ws, cfg.w_dim), 2),
            "u": (self.u, (motion.z_dim if motion.kind == "lstm" else motion.v_dim,) if motion else None, 2),
            "motion_z": (self.motion_z, (motion.z_dim,) if motion else None, 2),
            "content": (self.content.coefs if self.content else None, (generator.num_ws, cfg.w_dim), 3),
            "motion": (self.motion.coefs if self.motion else None, (cfg.motion_dim,) if motion else None, 2),
        }
        for name, (tensor, last, rank) in wanted.items():
            missing = tensor is None and name in ("u", "motion_z") and last is not None
            if missing or (tensor is not None and (last is None or tensor.ndim != rank or tuple(tensor.shape)[rank - len(last) :] != last)):
                found = "missing" if tensor is None else f"of shape {list(tensor.shape)}"
                raise LatentError(f"the stored latents do not fit their generator: {name} is {found}; project the clip again")

    def to(self, device: torch.device | str) -> LatentVideo:
        """The same on another device."""

        def moved(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.detach().to(device)

        def placed(spline: Spline | None) -> Spline | None:
            return None if spline is None else Spline(spline.coefs.detach().to(device), spline.spacing, spline.span)

        ws = self.ws.detach().to(device)
        return LatentVideo(ws, moved(self.u), moved(self.motion_z), self.span, placed(self.content), placed(self.motion))

    def state(self) -> dict[str, Tensor]:
        """Plain tensors that `from_state` turns back into the latent video."""
        state = {"ws": self.ws, "span": torch.tensor([self.span], dtype=torch.float64)}
        for name, tensor in (("u", self.u), ("motion_z", self.motion_z)):
            if tensor is not None:
                state[name] = tensor
        for name, spline in (("content", self.content), ("motion", self.motion)):
            if spline is not None:
                state[name] = spline.coefs
                state[f"{name}_spacing"] = torch.tensor([spline.spacing], dtype=torch.float64)
        return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> LatentVideo:
        """The latent video of stored tensors; raises LatentError where they do not fit together."""
        if not all(tensor.is_floating_point() and tensor.isfinite().all() for tensor in state.values()):
            raise LatentError("the stored latents hold values that are no finite numbers; project the clip again")
        try:
            span = float(state["span"][0])
            video = cls(state["ws"].clone(), state.get("u"), state.get("motion_z"), span)
            for name in ("content", "motion"):
                if name in state:
                    spline = Spline(state[name], float(state[f"{name}_spacing"][0]), span)
                    found, wanted = spline.coefs.shape[0], knots(span, spline.spacing)
                    if found != wanted:
                        raise LatentError(f"the {name} residual has {found} knots, its clip wants {wanted}; project the clip again")
                    setattr(video, name, spline)
        except (KeyError, IndexError) as error:
            raise LatentError(f"the stored latents lack {error}; project the clip again") from None
        return video


def extend_codes(motion_z: Tensor, count: int) -> Tensor:
    """motion_z [M, C] continued to at least `count` codes with noise that depends on nothing but the place in the sequence."""
    have, width = motion_z.shape
    if count <= have:
        return motion_z
    rows = [torch.randn(width, generator=torch.Generator().manual_seed(0x5EED + i)) for i in range(have, count)]
    return torch.cat([motion_z, torch.stack(rows).to(motion_z)])
