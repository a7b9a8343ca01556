"""What metrics compare: generators, worlds, data sets of frames and folders of videos, all seen as numbered clips."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from stylegan_v import Generator, model_hash
from stylegan_v.data import ClipDataset
from stylegan_v.metrics.windows import Choice, Choices, Window, choose_frames, choose_windows
from vedit import models, video
from vedit.alignment import extract
from vedit.data.sources import VIDEOS
from vedit.errors import VeditError
from vedit.pixels import from_pixels
from vedit.worlds import NAMES as WORLDS
from vedit.worlds import world
from vedit.worlds.base import World

MOMENTS = 128  # frames of an endless clip out of which single frames are drawn, as many as the longest window has
SEEDS = 1 << 30
TOGETHER = 32  # frames rendered at a time


class SourceError(VeditError, ValueError):
    """What should be compared is no generator, world or set of videos."""


class Clips(Protocol):
    """A data set as `stylegan_v.data.ClipDataset` is one."""

    @property
    def lengths(self) -> Sequence[int]:
        """Frames of every clip."""

    @property
    def resolution(self) -> int:
        """Height and width of every frame."""

    @property
    def c_dim(self) -> int:
        """Size of a label, 0 without."""

    def label(self, clip: int) -> Tensor:
        """The label of a clip, [c_dim]."""

    def frames(self, clip: int, indices: Sequence[int], size: int | None = None) -> Tensor:
        """Frames uint8 [T, 3, H, W] of a clip, shrunk to `size` as for a training."""


class Source(ABC):
    """Clips by number. `resolution` is None where any size can be drawn; `identity` changes with what the clips show."""

    name: str
    identity: str
    resolution: int | None

    @abstractmethod
    def windows(self, window: Window, count: int, rng: torch.Generator, side: int) -> Choices:
        """Windows of `count` clips, or of fewer where there are not so many; the two sides (0 and 1) never draw the same seeds."""

    @abstractmethod
    def moments(self, count: int, rng: torch.Generator, side: int) -> Choices:
        """`count` single frames, or fewer where there are not so many, spread over as many clips as possible."""

    @abstractmethod
    def clip(self, choice: Choice, size: int) -> Tensor:
        """The frames of one choice, float [T, 3, size, size] in [-1, 1], on any device."""

    def clips(self, choices: Sequence[Choice], size: int) -> Iterator[Tensor]:
        """The frames of choices, one tensor for each."""
        return (self.clip(choice, size) for choice in choices)

    def take_labels_of(self, other: Source) -> None:  # noqa: B027 - most sources have none to take
        """Where clips are drawn by labels, draw them as often as `other` has them; raises SourceError where its are of another kind."""


class Endless(Source):
    """A source whose clip numbers are seeds; windows begin at t = 0, single frames are at a random whole t below 128."""

    def windows(self, window: Window, count: int, rng: torch.Generator, side: int) -> Choices:
        """Windows at t = 0 of `count` neighbouring seeds."""
        return Choices(tuple(Choice(seed, window.frames()) for seed in _seeds(count, rng, side)))

    def moments(self, count: int, rng: torch.Generator, side: int) -> Choices:
        """One frame of each of `count` neighbouring seeds."""
        seeds = _seeds(count, rng, side)
        return Choices(tuple(Choice(seed, (t,)) for seed, t in zip(seeds, torch.randint(MOMENTS, (count,), generator=rng).tolist(), strict=True)))


class GeneratorSource(Endless):
    """A generator's clips at its own frame rate (t = 0, 1, 2, …), without truncation; a clip's content, label and motion come from its seed.

    A conditional generator is given the labels of random clips of a data set (`take_labels_of`), else classes that are all equally likely.
    """

    def __init__(self, generator: Generator, name: str = "generator") -> None:
        self.generator, self.name = generator, name
        self.resolution = generator.cfg.resolution
        self.identity = f"generator {generator.hash or model_hash(generator)} {generator.cfg}"
        self._labels: Tensor | None = None  # [N, c_dim]

    def take_labels_of(self, other: Source) -> None:
        """Draw labels as often as a data set has them."""
        if not self.generator.cfg.c_dim or not isinstance(other, DatasetSource) or not other.data.c_dim:
            return
        if other.data.c_dim != self.generator.cfg.c_dim:
            raise SourceError(f"{other.name} has labels of size {other.data.c_dim}, {self.name} of {self.generator.cfg.c_dim}; compare sets of the same labels")
        self._labels = torch.stack([other.data.label(clip) for clip in range(len(other.lengths))])
        self.identity += f" labels of {other.identity}"

    def clip(self, choice: Choice, size: int) -> Tensor:
        """Frames [T, 3, size, size] of a seed."""
        return next(iter(self.clips([choice], size)))

    @torch.no_grad()
    def clips(self, choices: Sequence[Choice], size: int) -> Iterator[Tensor]:
        """As many clips of one length at a time as make up 32 frames, long ones in parts."""
        together = max(1, TOGETHER // max((len(choice.frames) for choice in choices), default=1))
        for begin in range(0, len(choices), together):
            yield from self._rendered(choices[begin : begin + together], size)

    def _rendered(self, choices: Sequence[Choice], size: int) -> Iterator[Tensor]:
        generator, device = self.generator, self.generator.device
        t = torch.tensor([choice.frames for choice in choices], dtype=torch.float64)
        drawn = [self._inputs(choice.clip, float(t.max())) for choice in choices]
        z, motion_z, c = (torch.cat(parts).to(device) for parts in zip(*drawn, strict=True))
        labels = c if generator.cfg.c_dim else None
        ws = generator.mapping(z, labels)
        if generator.cfg.motion is None:
            frames = generator.synthesis(ws, c=labels).clamp(-1, 1).expand(-1, t.shape[1], -1, -1, -1)
        else:
            u = generator.trajectory(motion_z, labels)
            parts = [generator.motion(part.to(device), None, labels, u=u) for part in t.split(TOGETHER, dim=1)]
            frames = torch.cat([generator.synthesis(ws, motion_v=motion_v).clamp(-1, 1) for motion_v in parts], dim=1)
        for clip in frames:
            yield resized(clip, size)

    def _inputs(self, seed: int, max_t: float) -> tuple[Tensor, Tensor, Tensor]:
        """z [1, z_dim], motion_z [1, M, C] and a label c [1, c_dim], drawn in this order from one stream, motion codes last and singly."""
        cfg, rng = self.generator.cfg, torch.Generator().manual_seed(seed)
        z = torch.randn(1, cfg.z_dim, generator=rng)
        c = torch.zeros(1, cfg.c_dim)
        if self._labels is not None:
            c = self._labels[torch.randint(len(self._labels), (1,), generator=rng)]
        elif cfg.c_dim:
            c[0, torch.randint(cfg.c_dim, (), generator=rng)] = 1
        if cfg.motion is None:
            return z, torch.zeros(1, 0), c
        # One by one: torch fills the end of a large draw in another order, which would depend on the length.
        codes = [torch.randn(1, cfg.motion.z_dim, generator=rng) for _ in range(self.generator.num_motion_codes(max_t))]
        return z, torch.stack(codes, dim=1), c


class WorldSource(Endless):
    """A world's paired clips, at t = 0, 1, 2, … of its clock: what the built-in generators are trained on."""

    resolution = None

    def __init__(self, place: World) -> None:
        self.world, self.name, self.identity = place, f"world:{place.name}", f"world {place.name}"

    @torch.no_grad()
    def clip(self, choice: Choice, size: int) -> Tensor:
        """Frames [T, 3, size, size] of a seed."""
        place, rng = self.world, torch.Generator().manual_seed(choice.clip)
        z = torch.randn(1, place.z_dim, generator=rng)
        t = torch.tensor([choice.frames], dtype=torch.float32)
        codes = max(choice.frames) // place.distance + 2 * place.kernel_size
        motion_z = torch.stack([torch.randn(1, place.motion_z_dim, generator=rng) for _ in range(codes)], dim=1)
        return place.clips(z, t, motion_z, size)[0]


class Finite(Source):
    """A source with so many videos of so many frames."""

    @property
    @abstractmethod
    def lengths(self) -> Sequence[int]:
        """Frames of every video."""

    def windows(self, window: Window, count: int, rng: torch.Generator, side: int) -> Choices:
        """One random window a video (`stylegan_v.metrics.windows.choose_windows`)."""
        return choose_windows(self.lengths, window, count, rng)

    def moments(self, count: int, rng: torch.Generator, side: int) -> Choices:
        """Frames spread evenly over the videos (`stylegan_v.metrics.windows.choose_frames`)."""
        found = choose_frames(self.lengths, count, rng).chosen
        parts = [Choice(choice.clip, choice.frames[begin : begin + TOGETHER]) for choice in found for begin in range(0, len(choice.frames), TOGETHER)]
        return Choices(tuple(parts))


class DatasetSource(Finite):
    """A data set of frames (`stylegan_v.data.ClipDataset`: a folder or zip of folders of images)."""

    def __init__(self, data: Clips, name: str, identity: str) -> None:
        self.data, self.name, self.identity = data, name, identity
        self.resolution = data.resolution

    @property
    def lengths(self) -> Sequence[int]:
        """Frames of every clip."""
        return self.data.lengths

    def clip(self, choice: Choice, size: int) -> Tensor:
        """Frames [T, 3, size, size], shrunk as a training shrinks them."""
        pixels = self.data.frames(choice.clip, list(choice.frames), min(size, self.data.resolution))
        return resized(from_pixels(pixels.permute(0, 2, 3, 1)), size)


class VideoFolder(Finite):
    """A folder of video files, the middle square of every frame; the resolution is that of the smallest."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.files = sorted(file for file in path.iterdir() if file.suffix.lower() in VIDEOS)
        self.identity = f"videos {path.resolve()} {listing_hash(path, self.files)}"
        about = [video.probe(file) for file in self.files]
        self.resolution = min(min(info.width, info.height) for info in about)
        self._lengths = [
            info.frames if info.frames is not None else sum(1 for _ in video.read(file)) for file, info in zip(self.files, about, strict=True)
        ]

    @property
    def lengths(self) -> Sequence[int]:
        """Frames of every video."""
        return self._lengths

    def clip(self, choice: Choice, size: int) -> Tensor:
        """Frames [T, 3, size, size]; raises SourceError where the file holds fewer than it claims."""
        wanted, pictures = set(choice.frames), []
        for index, frame in enumerate(video.read(self.files[choice.clip])):
            if index in wanted:
                pictures.append(extract(frame.image, _middle(*frame.image.shape[:2]), size))
            if index >= choice.frames[-1]:
                break
        if len(pictures) < len(wanted):
            raise SourceError(f"{self.files[choice.clip]} ends before frame {choice.frames[-1]}, which it claims to have; repair or remove it")
        return from_pixels(torch.stack(pictures))


def open_source(spec: str | Path, device: str = "cpu") -> Source:
    """The source of `world:NAME`, a generator's name or file, a data set (folder or zip) or a folder of videos; raises SourceError."""
    text, path = str(spec), Path(spec)
    if text.startswith("world:"):
        return WorldSource(world(text.removeprefix("world:")))
    if models.is_known(text) or path.suffix in (".safetensors", ".pkl"):
        return GeneratorSource(models.load_generator(text, device, classes=True), text)
    if path.is_dir() and any(file.suffix.lower() in VIDEOS for file in path.iterdir()):
        return VideoFolder(path)
    if path.is_dir() or path.suffix == ".zip":
        data = ClipDataset.open(path)
        return DatasetSource(data, text, f"data {data.hash}")
    found = "is a single file" if path.exists() else "does not exist"
    places = " or ".join(f"world:{name}" for name in WORLDS)
    raise SourceError(f"{text} {found}; give a generator, {places}, a data set (folder or zip of frames) or a folder of videos")


def common_size(a: Source, b: Source) -> int:
    """The smaller of two resolutions, 64 where neither has one: both sides are compared at it."""
    known = [source.resolution for source in (a, b) if source.resolution is not None]
    return min(known, default=64)


def resized(frames: Tensor, size: int) -> Tensor:
    """Frames [T, 3, H, W] at size × size, bilinear with antialiasing; those of the right size as they are."""
    if frames.shape[-2:] == (size, size):
        return frames
    return functional.interpolate(frames, size=(size, size), mode="bilinear", antialias=True)


def listing_hash(path: Path, files: Sequence[Path]) -> str:
    """A hash of names, sizes and times of change of these files in a folder: cheap where reading all would not be."""
    digest = hashlib.sha256()
    for file in files:
        found = file.stat()
        digest.update(f"{file.relative_to(path)}\0{found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _seeds(count: int, rng: torch.Generator, side: int) -> list[int]:
    """`count` seeds, even ones for side 0 and odd ones for side 1: torch tells seeds apart by their lower 32 bits."""
    first = int(torch.randint(SEEDS, (), generator=rng))
    return [2 * ((first + i) % SEEDS) + side for i in range(count)]


def _middle(height: int, width: int) -> NDArray[Any]:
    """The crop [2, 3] of the middle square (see `vedit.alignment.extract`)."""
    side = min(height, width)
    return torch.tensor([[side, 0, (width - side) / 2], [0, side, (height - side) / 2]], dtype=torch.float64).numpy()
