"""The mapping network: z and c to w."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stylegan_v.layers import Linear, normalise


class Mapping(nn.Module):
    """z [N, z_dim], c [N, c_dim] → w, StyleGAN2's way (a normalised label embedding is appended to the normalised z).

    With `num_ws` the result is broadcast to ws [N, L, D] and `w_avg` tracks its mean. `z_dim` may be 0 (labels alone).
    """

    w_avg: Tensor

    def __init__(
        self, z_dim: int, w_dim: int, *, c_dim: int = 0, num_ws: int | None = None, num_layers: int = 2, lr_multiplier: float = 0.01
    ) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.num_ws, self.num_layers = z_dim, c_dim, num_ws, num_layers
        if c_dim:
            self.embed = Linear(c_dim, w_dim)
        width = z_dim + (w_dim if c_dim else 0)
        for i in range(num_layers):
            setattr(self, f"fc{i}", Linear(width, w_dim, lr_multiplier=lr_multiplier, act=True))
            width = w_dim
        if num_ws is not None:
            self.register_buffer("w_avg", torch.zeros(w_dim))

    def w(self, z: Tensor | None, c: Tensor | None = None) -> Tensor:
        """w [N, D] of z [N, z_dim] and, for a conditional network, labels c [N, c_dim]."""
        parts = [] if z is None else [normalise(z)]
        if self.c_dim:
            if c is None or c.shape[-1] != self.c_dim:
                found = "no labels" if c is None else f"labels of size {c.shape[-1]}"
                raise ValueError(f"this network is conditional: it wants labels c [N, {self.c_dim}], not {found}")
            parts.append(normalise(self.embed(c)))
        x = torch.cat(parts, dim=1)
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)
        return x

    def forward(self, z: Tensor, c: Tensor | None = None, *, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """ws [N, L, D]; `psi` pulls the first `cutoff` rows (all by default) towards w_avg."""
        if self.num_ws is None:
            return self.w(z, c)
        ws = self.w(z, c).unsqueeze(1).repeat(1, self.num_ws, 1)
        if psi == 1:
            return ws
        cut = self.num_ws if cutoff is None else cutoff
        return torch.cat([self.w_avg.lerp(ws[:, :cut], psi), ws[:, cut:]], dim=1)
