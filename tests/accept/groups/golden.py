"""The six golden networks, every output and gradient, on both paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor

from stylegan_v import import_snapshot
from tests.accept.table import Row, Setting, at_most, skip

ORDER = 10
NAMES = ("stylegan_v", "stylegan_v_cond", "lstm_dz1", "lstm_dz16", "mocogan_sg2", "stylegan2_ada")
Way = Literal["fast", "reference"]


def run(setting: Setting) -> Iterator[Row]:
    for name in NAMES:
        snapshot, io = setting.data / "golden" / f"{name}.pkl", setting.data / "golden" / f"{name}.io.safetensors"
        if not (snapshot.is_file() and io.is_file()):
            yield skip(f"golden {name}", f"{snapshot} is absent; set VEDIT_TEST_DATA")
            continue
        for path in ("fast", "reference"):
            errors = compare(import_snapshot(snapshot), load_file(io), path)
            worst = max(errors, key=lambda key: errors[key])
            yield at_most(
                f"golden {name}, {path} path, {len(errors)} outputs ({worst})",
                max(errors.values()),
                1e-4,
                digits=2,
                errors=errors,
            )


def compare(networks: dict[str, Any], io: dict[str, Tensor], path: Way) -> dict[str, float]:
    """Relative error ‖a − b‖ / ‖b‖ of every output in the file, by name."""
    found = generator_outputs(networks["G_ema"], io, path)
    if "d_logits" in io:
        found |= discriminator_outputs(networks["D"], io, path)
    absent = sorted(set(io) - set(found) - {"z", "c", "t", "motion_z", "ws_plus", "d_video", "d_t", "d_c"})
    if absent:
        raise AssertionError(f"outputs that nothing was compared with: {', '.join(absent)}")
    return {name: float((value.detach() - io[name]).norm() / io[name].norm()) for name, value in found.items()}


def generator_outputs(generator: Any, io: dict[str, Tensor], path: Way) -> dict[str, Tensor]:
    c = io["c"] if io.get("c") is not None and io["c"].shape[1] else None
    with torch.no_grad():
        ws, ws_psi07 = generator.mapping(io["z"], c), generator.mapping(io["z"], c, psi=0.7)
        found = {"ws": ws, "ws_psi07": ws_psi07}
        if "img_noise_const" in io:
            found["img_noise_const"] = generator.synthesis(io["ws_plus"], path=path).flatten(0, 1)
            found["img_psi07_noise_none"] = generator.synthesis(ws_psi07, noise="none", path=path).flatten(0, 1)
            return found
        t, motion_z = io["t"], io["motion_z"]
        found["motion_v"] = generator.motion(t, motion_z, c).flatten(0, 1)
        found["img"] = generator.synthesis(io["ws_plus"], t, motion_z, c, path=path).flatten(0, 1)
        found["img_psi07"] = generator.synthesis(ws_psi07, t[:, :2], motion_z, c, path=path).flatten(0, 1)
    if "ws_grad" in io:
        ws_plus = io["ws_plus"].clone().requires_grad_(True)
        frames = generator.synthesis(ws_plus, t[:, :3], motion_z, c, path=path).flatten(0, 1)
        (found["ws_grad"],) = torch.autograd.grad((frames * io["d_video"][:6]).sum(), ws_plus)
    return found


def discriminator_outputs(discriminator: Any, io: dict[str, Tensor], path: Way) -> dict[str, Tensor]:
    frames = io["d_video"].clone().requires_grad_(True)
    clips = frames.unflatten(0, io["d_t"].shape)
    c = io["d_c"] if io["d_c"].shape[1] else None
    logits = discriminator(clips, io["d_t"], c, path=path)
    found = {"d_logits": logits}
    if "d_grad" in io:
        (found["d_grad"],) = torch.autograd.grad(logits.sum(), frames)
    return found
