"""The kinds of work that are timed. Each is prepared once, then run many times.

Those of the generator run on either path and in any precision: what calls the networks is timed whole (motion, styles, low-pass
filters), optimisers' steps are not. The others have one way to go and ignore both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stylegan_v import Discriminator, Generator
from stylegan_v.config import DiscriminatorConfig
from stylegan_v.losses import discriminator_logistic, generator_logistic
from stylegan_v.synthesis import Path as Way
from vedit import guidance, perceptual, video
from vedit.bench.flops import plain_convolutions, useful_flops
from vedit.bench.sizes import Size
from vedit.directions import BATCH, measure
from vedit.progress import finish
from vedit.tuning import trainable
from vedit.video.info import Pixels


@dataclass(frozen=True)
class Work:
    """One kind of work, ready to run: its name in the table, the frames that a run takes care of, and, where they are known, the
    floating-point operations that one of them needs."""

    label: str
    frames: int
    run: Callable[[Way, torch.dtype], object]
    flops: int = 0


@dataclass(frozen=True)
class Place:
    """Where work is done: the device of the networks, and a folder for files."""

    device: str
    folder: Path


def _generator(size: Size, device: str) -> Generator:
    torch.manual_seed(0)
    return Generator(size.generator).to(device).eval().requires_grad_(False)


def _inputs(generator: Generator, frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """ws [1, L, D], t [1, T] and motion_z of one clip."""
    rng = torch.Generator().manual_seed(0)
    motion = generator.cfg.motion
    assert motion is not None
    ws = generator.mapping(torch.randn(1, generator.cfg.z_dim, generator=rng).to(generator.device))
    t = torch.arange(frames, dtype=torch.float32, device=generator.device)[None]
    codes = generator.num_motion_codes(float(frames))
    return ws, t, torch.randn(1, codes, motion.z_dim, generator=rng).to(generator.device)


def _frames(count: int, side: int, device: str, seed: int = 0) -> Tensor:
    """Noise [N, 3, H, W] in [-1, 1]."""
    return (torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1).to(device)


def render(size: Size, place: Place) -> Work:
    """Frames of one clip, which share one content, without gradients."""
    generator = _generator(size, place.device)
    ws, t, motion_z = _inputs(generator, size.frames)

    @torch.inference_mode()
    def run(way: Way, dtype: torch.dtype) -> None:
        generator.set_precision(dtype).synthesis(ws, t, motion_z, path=way)

    return Work("render", size.frames, run, useful_flops(generator))


def convolutions(size: Size, place: Place) -> Work:
    """Plain 3×3 convolutions of the shapes of the network's own: the peak that rendering is held against; there is no reference."""
    run, flops = plain_convolutions(_generator(size, place.device), size.frames)
    return Work("3×3 convolutions", size.frames, lambda _, dtype: run(dtype), flops)


def projection(size: Size, place: Place) -> Work:
    """Frames of one clip and the gradient of their mean square to ws [1, L, D], which they share; the perceptual distance has a row of its own."""
    generator = _generator(size, place.device)
    ws, t, motion_z = _inputs(generator, size.frames)

    def run(way: Way, dtype: torch.dtype) -> None:
        found = ws.clone().requires_grad_()
        generator.set_precision(dtype).synthesis(found, t, motion_z, path=way).square().mean().backward()

    return Work("projection step", size.frames, run)


def tuning(size: Size, place: Place) -> Work:
    """Frames of one clip and the gradients of their mean square to all that `vedit.tuning` moves: the weights of convolutions and ToRGBs,
    and, as its residuals do, ws and motion_v of every frame. Left out: the perceptual distance and the locality term, which renders with
    both generators once more."""
    generator = _generator(size, place.device)
    weights = trainable(generator)
    ws, t, motion_z = _inputs(generator, size.frames)
    rows, codes = ws[:, None].repeat(1, size.frames, 1, 1), generator.motion(t, motion_z)

    def run(way: Way, dtype: torch.dtype) -> None:
        found, motion_v = rows.clone().requires_grad_(), codes.clone().requires_grad_()
        generator.set_precision(dtype).synthesis(found, motion_v=motion_v, path=way).square().mean().backward()
        for weight in weights.values():
            weight.grad = None

    return Work("tuning step", size.frames, run)


def training(size: Size, place: Place) -> Work:
    """Gradients of one adversarial step on clips of two frames, of the generator through the discriminator, then of the discriminator;
    R1, being lazy, is left out."""
    generator, cfg = _generator(size, place.device).requires_grad_(True), size.generator
    channels = {"channel_base": cfg.channel_base, "channel_max": cfg.channel_max}
    judge = Discriminator(DiscriminatorConfig(resolution=cfg.resolution, num_frames=2, **channels)).to(place.device)
    rng = torch.Generator().manual_seed(0)
    clips, motion = size.frames // 2, cfg.motion
    assert motion is not None
    z = torch.randn(clips, cfg.z_dim, generator=rng).to(place.device)
    t = torch.tensor([[0.0, 4.0]], device=place.device).expand(clips, -1)
    motion_z = torch.randn(clips, generator.num_motion_codes(4.0), motion.z_dim, generator=rng).to(place.device)
    real = _frames(2 * clips, cfg.resolution, place.device).unflatten(0, (clips, 2))

    def run(way: Way, dtype: torch.dtype) -> None:
        generator.set_precision(dtype)
        judge.compute_dtype = dtype
        judge.requires_grad_(False)
        fake = generator.synthesis(generator.mapping(z), t, motion_z, path=way)
        generator_logistic(judge(fake, t, path=way)).backward()
        judge.requires_grad_(True)
        discriminator_logistic(judge(real, t, path=way), judge(fake.detach(), t, path=way)).backward()
        for network in (generator, judge):
            network.zero_grad(set_to_none=True)

    return Work("training step", 2 * clips, run)


def decode(size: Size, place: Place) -> Work:
    """A clip of noise over a moving gradient read back from an H.264 file."""
    path = video.write(place.folder / "decode.mp4", _film(size), fps=25).path
    return Work("decode", size.film, lambda *_: sum(1 for _ in video.read(path)))


def encode(size: Size, place: Place) -> Work:
    """The same clip written as H.264."""
    film = _film(size)
    return Work("encode", size.film, lambda *_: video.write(place.folder / "encode.mp4", film, fps=25))


def _film(size: Size) -> list[Pixels]:
    """Frames [H, W, 3]: a gradient of colours that moves by a pixel a frame, and a little noise."""
    side, rng = size.generator.resolution, np.random.default_rng(0)
    place = np.linspace(0, 200, side)
    gradient = np.stack(np.broadcast_arrays(place[:, None], place[None], place[::-1, None]), axis=2)
    moments = (np.roll(gradient, moment, axis=1) for moment in range(size.film))
    return [(moment + rng.uniform(0, 55, gradient.shape)).astype(np.uint8) for moment in moments]


def distance(size: Size, place: Place) -> Work:
    """The perceptual distance that `auto` takes, of frames to others whose features are known, and its gradient to the frames."""
    measure_of = perceptual.load("auto", place.device)
    side = size.generator.resolution
    frames, target = _frames(size.frames, side, place.device), measure_of.features(_frames(size.frames, side, place.device, 1))

    def run(*_: object) -> None:
        measure_of.distance(measure_of.features(frames.clone().requires_grad_()), target).mean().backward()

    return Work(f"distance {measure_of.name}", size.frames, run)


def statistics(size: Size, place: Place) -> Work:
    """Channel statistics as `vedit.directions` measures them: random frames, varied and seen by the built-in image tower (in float32)."""
    generator, model = _generator(size, place.device), guidance.load(device=place.device)
    generator.hash = "random"  # which else would be computed from the weights, every time

    def run(way: Way, dtype: torch.dtype) -> None:
        with _by(generator.set_precision(dtype), way):
            finish(measure(generator, model, samples=size.samples))

    return Work("statistics", size.samples, run)


@contextmanager
def _by(generator: Generator, way: Way) -> Iterator[None]:
    """Let the synthesis go one way, whoever calls it."""
    hook = generator.synthesis.register_forward_pre_hook(lambda _, args, options: (args, {**options, "path": way}), with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def clip(size: Size, place: Place) -> Work:
    """Frames seen by the image tower of the built-in text–image model, without gradients."""
    model, count = guidance.load(device=place.device), min(size.samples, BATCH)
    frames = _frames(count, size.generator.resolution, place.device)

    @torch.inference_mode()
    def run(*_: object) -> None:
        model.encode_images(frames)

    return Work("CLIP builtin", count, run)


# Those that import little come first: what a process has imported counts as memory of everything later.
TASKS: dict[str, Callable[[Size, Place], Work]] = {
    "render": render,
    "projection": projection,
    "tuning": tuning,
    "training": training,
    "decode": decode,
    "encode": encode,
    "distance": distance,
    "statistics": statistics,
    "clip": clip,
}
COMPARED = ("render", "projection", "tuning", "training", "statistics")  # those with a reference path
PICTURES = ("decode", "encode")  # those without a network, whose precision is that of pixels
