"""Training a judge on world frames, blurred, tinted and noised a little so that it also reads a generator's."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from vedit import judge as judges
from vedit.errors import VeditError
from vedit.judge import SIZE, Judge
from vedit.progress import Progress, Task
from vedit.worlds import NAMES, World, world


class RecipeError(VeditError, ValueError):
    """A judge's recipe has an unknown key or a bad value."""


@dataclass(frozen=True)
class JudgeRecipe:
    """How a judge is trained; `frames` world frames in all, half of the clips paired and half unpaired."""

    world: str
    frames: int = 300_000
    batch: int = 64
    width: int = 24
    learning_rate: float = 2e-3
    blur: float = 1.8  # largest Gaussian sigma, pixels
    noise: float = 0.06  # largest standard deviation, of a range of 2
    tint: float = 0.04  # standard deviation of each channel's offset and gain
    seed: int = 4_000_000
    begin_with: str = ""  # a judge to go on from (a world's built-in one, or a file); empty: begin anew

    def __post_init__(self) -> None:
        if self.world not in NAMES:
            raise RecipeError(f"world: found {self.world!r}, wanted one of {', '.join(NAMES)}")
        for name in ("frames", "batch", "width", "learning_rate"):
            if getattr(self, name) <= 0:
                raise RecipeError(f"{name}: found {getattr(self, name)}, wanted a number above 0")
        if not 0 <= self.seed < 10_000_000:
            raise RecipeError(f"seed: found {self.seed}, wanted 0 … 9,999,999; larger seeds are kept for measuring")


def load_recipe(path: Path, **overrule: object) -> JudgeRecipe:
    """Read a recipe from TOML; raises RecipeError naming the file, the key, what was found and what is allowed."""
    try:
        values = tomllib.loads(path.read_text()) | overrule
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: {error}; wanted a readable TOML file") from error
    allowed = [field.name for field in dataclasses.fields(JudgeRecipe)]
    unknown = sorted(set(values) - set(allowed))
    if unknown or "world" not in values:
        found = ", ".join(unknown) or "no world"
        raise RecipeError(f"{path}: found {found}, wanted keys among {', '.join(allowed)}, world included")
    try:
        return JudgeRecipe(**values)
    except (RecipeError, TypeError) as error:
        raise RecipeError(f"{path}: {error}") from error


def train(recipe: JudgeRecipe, *, precision: torch.dtype = torch.bfloat16) -> Task[Judge]:
    """Train a judge by a recipe on this process's cores; yields the smoothed loss, returns the judge ready to read."""
    place = world(recipe.world)
    torch.manual_seed(recipe.seed)  # the weights' first values; every later draw is from `rng`
    judge = _beginning(recipe)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=recipe.learning_rate, weight_decay=1e-4)
    rng = torch.Generator().manual_seed(recipe.seed)
    steps, smooth = math.ceil(recipe.frames / recipe.batch), 0.0
    for step in range(steps):
        frames, truth = draw_batch(place, recipe.batch, rng, paired=step % 2 == 0)
        frames = augment(frames, recipe, rng)
        for group in optimizer.param_groups:
            group["lr"] = (
                recipe.learning_rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / steps))
            )
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            read = judge.predict(frames)
        loss = (read.float() - truth).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        smooth = loss.item() if step == 0 else 0.98 * smooth + 0.02 * loss.item()
        yield Progress("judge", min((step + 1) * recipe.batch, recipe.frames), recipe.frames, f"loss {smooth:.4f}")
    return judge.eval().requires_grad_(False)


def _beginning(recipe: JudgeRecipe) -> Judge:
    if not recipe.begin_with:
        return judges.new(recipe.world, recipe.width)
    judge = judges.load(recipe.begin_with)
    if judge.world_name != recipe.world or judge.width != recipe.width:
        found = f"a judge of {judge.world_name}, width {judge.width}"
        raise RecipeError(f"begin_with: found {found}, wanted one of {recipe.world}, width {recipe.width}")
    return judge.train().requires_grad_(True)


def draw_batch(place: World, batch: int, rng: torch.Generator, *, paired: bool) -> tuple[Tensor, Tensor]:
    """World frames [F, 3, 64, 64] and their attributes and motion side by side, [F, A + P], one frame per clip."""
    t = torch.rand(batch, 1, generator=rng) * place.distance * 2
    if paired:
        z = torch.randn(batch, place.z_dim, generator=rng)
        codes = torch.randn(batch, 4 + 2 * (place.kernel_size - 1), place.motion_z_dim, generator=rng)
        attributes, motion = place.attributes_from_z(z), place.motion_from_codes(t, codes)
    else:
        attributes, motion = place.random_attributes(batch, rng), place.random_motion(t, rng)
    return place.draw(attributes, motion[:, 0], SIZE), torch.cat([attributes, motion[:, 0]], dim=1)


def augment(frames: Tensor, recipe: JudgeRecipe, rng: torch.Generator) -> Tensor:
    """Frames [F, 3, H, W], each shifted by less than a pixel, blurred, tinted and noised by its own small amount."""
    count = len(frames)
    frames = _shift_and_blur(frames, 0.5, recipe.blur, rng)
    gain = 1 + recipe.tint * torch.randn(count, 3, 1, 1, generator=rng)
    offset = recipe.tint * torch.randn(count, 3, 1, 1, generator=rng)
    sigma = recipe.noise * torch.rand(count, 1, 1, 1, generator=rng).square()
    return frames * gain + offset + sigma * torch.randn(frames.shape, generator=rng)


def _shift_and_blur(frames: Tensor, shift: float, blur: float, rng: torch.Generator) -> Tensor:
    """Convolve every frame with a Gaussian of its own width (up to `blur`, mostly less) and centre (up to `shift` off), in pixels."""
    count, channels = frames.shape[:2]
    reach = max(2, math.ceil(2 * blur))
    taps = torch.arange(-reach, reach + 1.0)
    sigma = 0.3 + max(0.0, blur - 0.3) * torch.rand(count, 1, generator=rng).square()
    kernels = []
    for _ in range(2):  # down, across
        centre = (torch.rand(count, 1, generator=rng) * 2 - 1) * shift
        kernel = torch.exp(-0.5 * ((taps - centre) / sigma).square())
        kernels.append((kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0))
    groups = count * channels  # every frame has a kernel of its own: one group a channel, first down, then across
    padded = functional.pad(frames, (reach,) * 4, mode="replicate").flatten(0, 1).unsqueeze(0)
    down = functional.conv2d(padded, kernels[0][:, None, :, None], groups=groups)
    return functional.conv2d(down, kernels[1][:, None, None, :], groups=groups).view_as(frames)
