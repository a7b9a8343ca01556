"""The judge: a small network that reads a world's attributes from a frame, so that "older" or "bluer" becomes a figure.

It is trained on world frames only (`vedit.judge_training`) and proves itself on *generator* frames, whose attributes are
known by pairing (`validity`). An edit counts when the wanted attribute moves at least `COUNTS` standard deviations.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from stylegan_v.files import replacing
from vedit import scores
from vedit.errors import VeditError
from vedit.models.store import ASSETS
from vedit.worlds import NAMES, World, world

if TYPE_CHECKING:
    from stylegan_v import Generator

SIZE = 64  # pixels: frames of another size are area-resized first
COUNTS = 0.25  # standard deviations that an edit must move its attribute to count
CONTROL = 0.1  # standard deviations that a random direction of equal image change should stay below
STANDARD_DEVIATION = 1 / math.sqrt(
    3
)  # of every column: uniform in [-1, 1]; of every unit direction of independent columns too


class JudgeError(VeditError, ValueError):
    """A judge that is missing, damaged or of another world, or a column that it does not know."""


class Judge(nn.Module):
    """Reads attributes [F, A] and motion channels [F, P] from frames [F, 3, H, W] in [-1, 1]; about 0.36 M parameters."""

    def __init__(self, world_name: str, columns: tuple[str, ...], motions: tuple[str, ...], width: int = 24) -> None:
        super().__init__()
        self.world_name, self.columns, self.motions, self.width = world_name, tuple(columns), tuple(motions), width
        self.features = nn.Sequential(
            *_convolution(3, width, stride=2, kernel=5),
            *_convolution(width, width),
            *_convolution(width, 2 * width, stride=2),
            *_convolution(2 * width, 2 * width),
            *_convolution(2 * width, 4 * width, stride=2),
            *_convolution(4 * width, 4 * width),
            *_convolution(4 * width, width, kernel=1),
        )
        # The 8×8 map is flattened, not averaged: where a thing stands tells a brow from a beard.
        self.read_out = nn.Sequential(
            nn.Linear(width * 64, 128), nn.ReLU(), nn.Linear(128, len(columns) + len(motions))
        )

    def predict(self, frames: Tensor) -> Tensor:
        """Attributes and motion side by side, [F, A + P], not clamped."""
        frames = scores.at_size(frames, SIZE).contiguous(memory_format=torch.channels_last)
        values: Tensor = self.read_out(self.features(frames).flatten(1))
        return values

    def forward(self, frames: Tensor) -> Tensor:
        """Attributes [F, A] of frames [F, 3, H, W] in [-1, 1], in the order of `columns`."""
        return self.predict(frames)[:, : len(self.columns)]

    def motion(self, frames: Tensor) -> Tensor:
        """Motion channels [F, P], in the order of `motions`."""
        return self.predict(frames)[:, len(self.columns) :]


def _convolution(channels_in: int, channels_out: int, stride: int = 1, kernel: int = 3) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)]


def new(world_name: str, width: int = 24) -> Judge:
    """An untrained judge of the world of that name."""
    place = world(world_name)
    return Judge(place.name, place.columns, tuple(motion.name for motion in place.motions), width)


def save(judge: Judge, path: Path, **metadata: str) -> None:
    """Write a judge as one safetensors file (float16), whose metadata carries what is needed to build it again."""
    config = {"world": judge.world_name, "columns": judge.columns, "motions": judge.motions, "width": judge.width}
    tensors = {name: _storable(tensor) for name, tensor in judge.state_dict().items() if "num_batches" not in name}
    path.parent.mkdir(parents=True, exist_ok=True)
    described = {"kind": "judge", "schema": "1", "config": json.dumps(config), **metadata}
    with replacing(path) as beside:
        beside.write_bytes(save_tensors(tensors, described))  # save_file would leave a file that only its owner can read


def _storable(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().to(torch.float16)


def load(source: str | Path) -> Judge:
    """The built-in judge of a world (`portraits`, `skies`), or one from a file; ready to read, on the CPU.

    Raises JudgeError where the file is absent, is not a judge, or was trained on another version of the world's columns.
    """
    path = ASSETS / f"judge-{source}-1.safetensors" if source in NAMES else Path(source)
    if not path.is_file():
        raise JudgeError(
            f"found no judge at {path}, wanted a file made by a recipe recipes/judge-*.toml; train it first"
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name).float() for name in file.keys()}
    except SafetensorError as error:
        raise JudgeError(f"{path} is not a readable safetensors file ({error}); train the judge again") from error
    judge = _from_metadata(metadata, path)
    _check_state(judge, state, path)
    judge.load_state_dict(state, strict=False)
    return judge.eval().requires_grad_(False)


def _from_metadata(metadata: Mapping[str, str], path: Path) -> Judge:
    if metadata.get("kind") != "judge" or metadata.get("schema") != "1":
        raise JudgeError(
            f"{path} holds {metadata.get('kind', 'no kind')!r}, wanted a judge of schema 1; train it again"
        )
    try:
        config = json.loads(metadata["config"])
        judge = new(config["world"], max(1, min(int(config["width"]), 64)))
        reads = tuple(config["columns"]), tuple(config["motions"])
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise JudgeError(f"{path} has no configuration of a judge ({type(error).__name__}: {error}); train it again") from error
    if reads != (judge.columns, judge.motions):
        raise JudgeError(
            f"{path} reads other columns than the world {config['world']!r} has today; train the judge again"
        )
    return judge


def _check_state(judge: Judge, state: Mapping[str, Tensor], path: Path) -> None:
    wanted = {name: tensor.shape for name, tensor in judge.state_dict().items() if "num_batches" not in name}
    if {name: tensor.shape for name, tensor in state.items()} != wanted:
        raise JudgeError(f"{path} holds other tensors than its configuration asks for; train the judge again")


@dataclass(frozen=True)
class Target:
    """What a prompt should do: a direction over attribute columns, normalised on use. A colour's target is a hue (a, b, light)."""

    direction: Mapping[str, float]

    def row(self, columns: tuple[str, ...]) -> Tensor:
        """The unit direction [A] over `columns`; raises JudgeError for a column that is not among them.

        >>> Target({"age": 2.0}).row(("age", "beard")).tolist()
        [1.0, 0.0]
        """
        unknown = sorted(set(self.direction) - set(columns))
        if unknown:
            raise JudgeError(
                f"found the columns {', '.join(unknown)}, wanted some of {', '.join(columns)}; name those of the world"
            )
        row = torch.tensor([float(self.direction.get(column, 0.0)) for column in columns])
        return row / row.norm()


def response(before: Tensor, after: Tensor, target: Target, columns: tuple[str, ...]) -> Tensor:
    """How far judged attributes [..., A] moved along a target, [...], in standard deviations of the attribute."""
    return (after - before) @ target.row(columns) / STANDARD_DEVIATION


def validity(
    judge: Judge, generator: Generator | None, *, clips: int = 256, frames: int = 4, seed: int = 20_000_000
) -> dict[str, float]:
    """R² of every column and motion channel on frames whose truth is known by pairing (see `readings`)."""
    figures = r_squared(*readings(judge, generator, clips=clips, frames=frames, seed=seed))
    return dict(zip(judge.columns + judge.motions, figures.tolist(), strict=True))


@torch.no_grad()
def readings(
    judge: Judge, generator: Generator | None, *, clips: int = 256, frames: int = 4, seed: int = 20_000_000
) -> tuple[Tensor, Tensor]:
    """Truth and reading, both [F, A + P], on frames of a paired generator; without a generator, on the world's own.

    Drawn from `clips` contents and motions that no training used (seeds from 20,000,000), `frames` moments of each.
    """
    place = world(judge.world_name)
    truth, read = [], []
    for first in range(0, clips, 32):
        z, t, motion_z = draw_paired(place, min(32, clips - first), frames, seed + first)
        if generator is None:
            video = place.clips(z, t, motion_z, SIZE)
        else:
            video = generator.synthesis(generator.mapping(z), t, motion_z)
        read.append(judge.predict(video.flatten(0, 1).clamp(-1, 1)))
        attributes = place.attributes_from_z(z).repeat_interleave(frames, dim=0)
        truth.append(torch.cat([attributes, place.motion_from_codes(t, motion_z).flatten(0, 1)], dim=1))
    return torch.cat(truth), torch.cat(read)


def draw_paired(place: World, clips: int, frames: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Contents z [N, z_dim], moments t [N, frames] within 256 frames and motion codes [N, M, C] of paired clips, from a seed."""
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(clips, place.z_dim, generator=rng)
    t = torch.rand(clips, frames, generator=rng) * 255
    codes = math.ceil(255 / place.distance) + 2 + 2 * (place.kernel_size - 1)
    return z, t, torch.randn(clips, codes, place.motion_z_dim, generator=rng)


def r_squared(truth: Tensor, read: Tensor) -> Tensor:
    """Coefficient of determination [K] of readings [F, K] against the truth: 1 is perfect, 0 no better than the mean.

    >>> r_squared(torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [1.0]])).tolist()
    [0.5]
    """
    return 1 - (truth - read).square().sum(dim=0) / (truth - truth.mean(dim=0)).square().sum(dim=0)
