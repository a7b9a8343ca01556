"""What is rendered: a latent video on its clock, with edits, some of which keep to a region."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import stylegan_v
from stylegan_v import Generator, model_hash
from vedit.clock import Clock
from vedit.edits import Edit
from vedit.frame_file import FrameFile
from vedit.frame_store import FrameStore
from vedit.latents import LatentVideo
from vedit.pixels import from_pixels
from vedit.streaming import close
from vedit.timing import between

CHUNK = 16  # frames rendered at a time: 32 are as fast, 8 slower by a seventh at 64² and as fast at 256²

Weighed = tuple[Edit, float]


@dataclass(frozen=True)
class Scene:
    """A latent video, its clock, and edits with a factor each; `crops` [T, 2, 3] place the regions of edits.

    `weights` is the hash of the generator as it is, where it is known: frames are kept under it.
    """

    generator: Generator
    latents: LatentVideo
    clock: Clock
    edits: tuple[Weighed, ...] = ()
    crops: NDArray[np.float64] | None = None
    weights: str = ""

    def frames(self, times: Sequence[float]) -> Tensor:
        """Frames [T, 3, H, W] in [-1, 1] at `times` (seconds, as the source counts them)."""
        return self._blended(times, [self._rendered(times, edits) for edits in self._layers()])

    def chunks(self, times: Sequence[float], store: FrameStore | None = None) -> Iterator[Tensor]:
        """The same on the CPU, in chunks, so that memory does not grow with length; with `store`, whole frames are kept in it.

        Chunks are contiguous, as those of the store are: figures of the same values in another layout differ in their last digits.
        """
        parts = [times[begin : begin + CHUNK] for begin in range(0, len(times), CHUNK)]
        side = self.generator.cfg.resolution
        shape = (len(times), 3, side, side)
        if store is None or not store.holds(shape):
            yield from (self.frames(part).cpu().contiguous() for part in parts)
            return
        layers = [store.through(self._key(times, edits), shape, partial(self._whole, parts, edits), CHUNK) for edits in self._layers()]
        try:
            for part, *pictures in zip(parts, *layers, strict=True):
                yield self._blended(part, pictures)
        finally:
            close(*layers)

    def _whole(self, parts: Sequence[Sequence[float]], edits: Sequence[Weighed]) -> Iterator[Tensor]:
        return (self._rendered(part, edits).cpu().contiguous() for part in parts)

    def _layers(self) -> list[list[Weighed]]:
        """The edits of every whole frame that is wanted: those of no region, then with each of the others."""
        everywhere = [weighed for weighed in self.edits if weighed[0].region is None]
        return [everywhere, *([*everywhere, weighed] for weighed in self.edits if weighed[0].region is not None)]

    @torch.no_grad()
    def _rendered(self, times: Sequence[float], edits: Sequence[Weighed]) -> Tensor:
        """Whole frames with these edits everywhere."""
        ws, motion_v = self.latents.at(self.generator, self.clock(times))
        delta = self._delta(times, edits)
        return self.generator.synthesis(ws, motion_v=motion_v, styles_delta=delta or None)[0]

    def _delta(self, times: Sequence[float], edits: Sequence[Weighed]) -> dict[str, Tensor]:
        """The sum of what edits change in every layer, [T, I]."""
        seconds = [time - self.clock.origin for time in times]
        total: dict[str, Tensor] = {}
        for edit, factor in edits:
            for layer, change in edit.styles_delta(seconds, factor).items():
                change = change.to(self.generator.device)
                total[layer] = total[layer] + change if layer in total else change
        return total

    def _key(self, times: Sequence[float], edits: Sequence[Weighed]) -> str:
        """A hash of all that the frames depend on: weights, latents, moments, edits, and how it is computed."""
        generator = self.generator
        weights = self.weights or model_hash(generator)
        seen = hashlib.sha256(f"{_code()} {generator.cfg} {weights} {generator.device} {generator.synthesis.compute_dtype}".encode())
        tensors = {**self.latents.state(), "t": self.clock(times)}
        for place, (edit, factor) in enumerate(edits):
            seconds = [time - self.clock.origin for time in times]
            tensors[f"{place} weights"] = edit.weights(seconds, factor)
            tensors |= {f"{place} {layer}": change for layer, change in edit.direction.items()}
        for name, tensor in sorted(tensors.items()):
            value = tensor.detach().cpu().contiguous()
            seen.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            seen.update(value.numpy().tobytes())
        return seen.hexdigest()[:40]

    def _blended(self, times: Sequence[float], layers: Sequence[Tensor]) -> Tensor:
        """The frame without regions, and inside each region what its edit makes of it."""
        plain, *changed = layers
        frames = plain
        regions = [edit.region for edit, _ in self.edits if edit.region is not None]
        for region, picture in zip(regions, changed, strict=True):
            masks = region.masks(self._crops_at(times), frames.shape[-1], [between(time, self.clock.times)[0] for time in times])
            frames = frames + masks.to(frames) * (picture - plain)
        return frames.clamp(-1, 1)

    def _crops_at(self, times: Sequence[float]) -> NDArray[np.float64]:
        """Crops [T, 2, 3] at `times`, between the source's frames by time."""
        assert self.crops is not None
        places = [between(time, self.clock.times) for time in times]
        return np.stack([(1 - share) * self.crops[before] + share * self.crops[after] for before, after, share in places])


def beside_source(frames: FrameFile, scene: Scene, store: FrameStore | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Chunks of a clip's frames and of what a scene shows at their times, both [B, 3, H, W] in [-1, 1], on the CPU."""
    begin = 0
    for chunk in scene.chunks(scene.clock.times, store):
        yield from_pixels(frames[begin : begin + len(chunk)]), chunk
        begin += len(chunk)


@lru_cache(maxsize=1)
def _code() -> str:
    """A hash of the sources that frames are rendered by: another version's frames are other frames."""
    own = (Path(__file__).parent / f"{name}.py" for name in ("clock", "edits", "latents", "scene", "timing"))
    files = [*sorted(Path(stylegan_v.__file__).parent.rglob("*.py")), *own]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
