"""How fast this machine is: the fast path against the plain reference, in turn within one run, medians.

More of the house (tuning, encoding, larger sizes) joins here as it is made fast.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from stylegan_v import Discriminator, Generator, GeneratorConfig, MotionConfig
from stylegan_v.config import DiscriminatorConfig
from stylegan_v.losses import discriminator_logistic, generator_logistic
from vedit.progress import Progress, Task

Path = Literal["reference", "fast"]
FRAMES = 8  # frames a batch

BUILT_IN = GeneratorConfig(
    resolution=64, z_dim=64, w_dim=128, channel_base=2048, channel_max=128, mapping_lr_multiplier=1.0,
    motion=MotionConfig(
        z_dim=32, v_dim=64, distance=16, kernel_size=5, num_freqs=64, min_period=16.0, max_period=256.0, lr_multiplier=1.0, max_num_frames=64
    ),
)  # fmt: skip
PAPER_256 = GeneratorConfig(
    resolution=256, z_dim=512, w_dim=512, channel_base=16384, channel_max=512,
    motion=MotionConfig(z_dim=512, v_dim=512, distance=16, num_freqs=256, min_period=16.0, max_period=1024.0),
)  # fmt: skip
CONFIGS = {"built-in": BUILT_IN, "256": PAPER_256}
TASKS = ("render", "projection step", "training step")


@dataclass(frozen=True)
class Timing:
    """One row: frames per second of both paths (medians), and how many times faster the fast one is."""

    config: str
    task: str
    precision: str
    reference: float
    fast: float

    @property
    def ratio(self) -> float:
        """Fast over reference."""
        return self.fast / self.reference


def bench(configs: tuple[str, ...] = ("built-in",), *, repeats: int = 5, device: str = "cpu") -> Task[list[Timing]]:
    """Time rendering, the projection step (forward and backward to ws) and the training step of each configuration, random weights.

    The reference runs in float32, the fast path in float32 and in bfloat16. Speed does not depend on the weights.
    """
    rows: list[Timing] = []
    work = [(name, task) for name in configs for task in TASKS]
    for done, (name, task) in enumerate(work):
        yield Progress("bench", done, len(work), f"{name}, {task}")
        torch.manual_seed(0)
        generator = Generator(CONFIGS[name]).to(device).eval().requires_grad_(task == "training step")
        run = {"render": _render, "projection step": _projection_step, "training step": _training_step}[task](generator)
        cases: list[tuple[Path, torch.dtype]] = [("reference", torch.float32), ("fast", torch.float32), ("fast", torch.bfloat16)]
        seconds: dict[tuple[Path, torch.dtype], list[float]] = {case: [] for case in cases}
        for turn in range(repeats + 1):  # in turn, so that whatever else runs here slows all alike
            for case in cases:
                generator.set_precision(case[1])
                taken = _timed(run, case[0], device)
                if turn > 0:  # the first fills caches
                    seconds[case].append(taken)
        rate = {case: FRAMES / statistics.median(taken) for case, taken in seconds.items()}
        for path, dtype in cases[1:]:
            precision = str(dtype).removeprefix("torch.")
            rows.append(Timing(name, task, precision, rate["reference", torch.float32], rate[path, dtype]))
    yield Progress("bench", len(work), len(work))
    return rows


def _timed(run: Callable[[Path], None], path: Path, device: str) -> float:
    """Seconds of one run, waiting for the device."""
    begin = time.perf_counter()
    run(path)
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def _inputs(generator: Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ws [1, L, D], t [1, FRAMES] and motion_z of one clip."""
    rng = torch.Generator().manual_seed(0)
    motion = generator.cfg.motion
    assert motion is not None
    ws = generator.mapping(torch.randn(1, generator.cfg.z_dim, generator=rng).to(generator.device))
    t = torch.arange(FRAMES, dtype=torch.float32, device=generator.device)[None]
    codes = generator.num_motion_codes(float(FRAMES))
    return ws, t, torch.randn(1, codes, motion.z_dim, generator=rng).to(generator.device)


def _render(generator: Generator) -> Callable[[Path], None]:
    ws, t, motion_z = _inputs(generator)

    @torch.inference_mode()
    def run(path: Path) -> None:
        generator.synthesis(ws, t, motion_z, path=path)

    return run


def _projection_step(generator: Generator) -> Callable[[Path], None]:
    ws, t, motion_z = _inputs(generator)

    def run(path: Path) -> None:
        found = ws.detach().clone().requires_grad_(True)
        generator.synthesis(found, t, motion_z, path=path).square().mean().backward()

    return run


def _training_step(generator: Generator) -> Callable[[Path], None]:
    """Gradients of one adversarial step, of the generator through the discriminator, then of the discriminator; R1, being lazy, is left out."""
    cfg = generator.cfg
    judge = Discriminator(
        DiscriminatorConfig(resolution=cfg.resolution, channel_base=cfg.channel_base, channel_max=cfg.channel_max, num_frames=2)
    ).to(generator.device)
    rng = torch.Generator().manual_seed(0)
    clips, motion = FRAMES // 2, cfg.motion
    assert motion is not None
    z = torch.randn(clips, cfg.z_dim, generator=rng).to(generator.device)
    t = torch.tensor([[0.0, 4.0]], device=generator.device).expand(clips, -1)
    motion_z = torch.randn(clips, generator.num_motion_codes(4.0), motion.z_dim, generator=rng).to(generator.device)
    real = torch.rand(clips, 2, 3, cfg.resolution, cfg.resolution, generator=rng).to(generator.device) * 2 - 1

    def run(path: Path) -> None:
        judge.compute_dtype = generator.synthesis.compute_dtype
        judge.requires_grad_(False)
        fake = generator.synthesis(generator.mapping(z), t, motion_z, path=path)
        generator_logistic(judge(fake, t, path=path)).backward()
        judge.requires_grad_(True)
        discriminator_logistic(judge(real, t, path=path), judge(fake.detach(), t, path=path)).backward()
        for network in (generator, judge):
            network.zero_grad(set_to_none=True)

    return run
