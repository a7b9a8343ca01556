"""The generator: mapping and synthesis under one roof."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stylegan_v.config import GeneratorConfig
from stylegan_v.mapping import Mapping
from stylegan_v.synthesis import Synthesis


class Generator(nn.Module):
    """A StyleGAN-V generator or one of its relatives (LSTM codes, MoCoGAN+StyleGAN2, StyleGAN2-ADA images).

    `mapping(z, c=None, *, psi=1.0, cutoff=None)` gives ws, `synthesis(ws, t, motion_z, …)` gives frames.
    `metadata` and `hash` are filled in by `load_generator`.
    """

    def __init__(self, cfg: GeneratorConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.synthesis = Synthesis(cfg)
        self.mapping = Mapping(
            cfg.z_dim, cfg.w_dim, c_dim=cfg.c_dim, num_ws=self.synthesis.num_ws, num_layers=cfg.mapping_layers, lr_multiplier=cfg.mapping_lr_multiplier
        )
        self.metadata: dict[str, str] = {}
        self.hash = ""

    @property
    def num_ws(self) -> int:
        """L, the rows of ws."""
        return self.synthesis.num_ws

    @property
    def fps(self) -> float:
        """Frames per second of the generator's clock t."""
        return self.cfg.fps

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.mapping.w_avg.device

    def num_motion_codes(self, max_t: float) -> int:
        """How many motion codes M frames up to `max_t` need; 0 for an image generator."""
        return self.synthesis.motion_encoder.num_codes(max_t) if self.cfg.motion else 0

    def trajectory(self, motion_z: Tensor, c: Tensor | None = None) -> Tensor:
        """u [N, M', v_dim], what the motion convolutions (or the LSTM) make of motion_z [N, M, z_dim]."""
        return self.synthesis.motion_encoder.trajectory(motion_z, c)

    def motion(self, t: Tensor, motion_z: Tensor | None, c: Tensor | None = None, *, u: Tensor | None = None) -> Tensor:
        """motion_v [N, T, V] at frames t [N, T], from motion_z [N, M, z_dim] or from a trajectory `u` that replaces it."""
        if u is None:
            if motion_z is None:
                raise ValueError("motion wants motion_z or a trajectory u")
            u = self.trajectory(motion_z, c)
        return self.synthesis.motion_encoder(t, u, c)

    def styles(self, ws: Tensor, motion_v: Tensor | None = None) -> dict[str, Tensor]:
        """Styles of every layer by name, [N, 1 or T, I] (see `Synthesis.styles`)."""
        return self.synthesis.styles(ws, motion_v)

    def set_precision(self, dtype: torch.dtype, highest: int | None = None) -> Generator:
        """Run the convolutions in `dtype` (float32, bfloat16 or float16); weights and the image sum stay float32.

        With `highest` those of so many highest resolutions alone, the others in float32.
        """
        self.synthesis.compute_dtype = dtype
        self.synthesis.reduced_from = 4 if highest is None else 2 * self.cfg.resolution >> highest
        return self

    def forward(self, z: Tensor, t: Tensor | None = None, motion_z: Tensor | None = None, c: Tensor | None = None, **options: Any) -> Tensor:
        """Frames [N, T, 3, H, W] of contents z [N, z_dim] at t [N, T]; `psi` and `cutoff` go to the mapping, the rest to synthesis."""
        ws = self.mapping(z, c, psi=options.pop("psi", 1.0), cutoff=options.pop("cutoff", None))
        return self.synthesis(ws, t, motion_z, c, **options)
