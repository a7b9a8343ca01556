"""The pictures of the README, made by the program itself from drawn worlds: `python examples/make_pictures.py [DEMO_FOLDER [OUT]]`.

DEMO_FOLDER is what `vedit demo` made (demo-output by default), OUT where they go; the other pictures come from the built-in models.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from stylegan_v import Generator
from vedit import models, video
from vedit.editing import make
from vedit.pixels import tile, to_pixels
from vedit.progress import finish
from vedit.sampling import content_of, sample
from vedit.worlds import world

PICTURES = Path(__file__).resolve().parent / "pictures"
LOOKS = ("an old person", "a person with a beard", "a person with makeup")
COLOURS = ("a person with blue eyes", "a person with a purple t-shirt", "a person with blond hair")
PROMPTS = {models.GENERATOR_OF["portraits"]: LOOKS + COLOURS, models.GENERATOR_OF["skies"]: ("bright sun", "very cloudy day", "aurora", "night")}


def save(out: Path, name: str, picture: np.ndarray) -> None:
    """Write a JPEG."""
    out.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(out / f"{name}.jpg", quality=85)
    print(out / f"{name}.jpg")


def sheet(frames: Tensor | Sequence[Tensor], columns: int, factor: int = 2) -> np.ndarray:
    """Frames [N, 3, H, W] in [-1, 1] as one picture, `columns` in a row, enlarged by a whole factor."""
    stack = frames if isinstance(frames, Tensor) else torch.stack(list(frames))
    large = F.interpolate(stack, scale_factor=factor, mode="bicubic").clamp(-1, 1) if factor > 1 else stack
    return tile(to_pixels(large), columns, gap=2)


def worlds(out: Path) -> None:
    """Both worlds: eight contents each, two moments."""
    for name in ("portraits", "skies"):
        place, rng = world(name), torch.Generator().manual_seed(20_000_100)
        attributes = place.random_attributes(8, rng)
        t = torch.tensor([[4.0, 28.0]]).expand(8, -1)
        clips = place.draw_clips(attributes, place.random_motion(t, rng), 128)
        save(out, f"world-{name}", sheet(clips.transpose(0, 1).flatten(0, 1), 8, factor=1))


def random_videos(name: str, out: Path) -> None:
    """A generator's random videos: four contents in rows, eight moments in columns."""
    generator = models.load_generator(name)
    t = torch.arange(8, dtype=torch.float64) * 7
    rows = [torch.cat(list(sample(generator, content_of(generator, seed), seed, t))) for seed in (1, 2, 3, 6)]
    save(out, name, sheet(torch.cat(rows), 8))


@torch.no_grad()
def edits(out: Path) -> None:
    """Every prompt of PROMPTS on two contents: the unedited frame, then one column a prompt."""
    rows: list[Tensor] = []
    for name, prompts in PROMPTS.items():
        generator = models.load_generator(name)
        for seed in (1, 6):
            content = content_of(generator, seed)[0, 0]
            made = [finish(make(generator, prompt, content=content)) for prompt in prompts]
            changes = [None, *(edit.styles_delta([0.0]) for edit in made)]
            rows.append(torch.cat([_frame(generator, seed, change) for change in changes]))
    save(out, "edits", np.concatenate([_row(row, 7) for row in rows]))


def _frame(generator: Generator, seed: int, delta: dict[str, Tensor] | None) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    assert generator.cfg.motion is not None
    codes = torch.randn(1, generator.num_motion_codes(20), generator.cfg.motion.z_dim, generator=rng)
    return generator.synthesis(content_of(generator, seed), torch.tensor([[12.0]]), codes, styles_delta=delta)[0].clamp(
        -1, 1
    )


def _row(frames: Tensor, columns: int) -> np.ndarray:
    blank = torch.ones(columns - len(frames), *frames.shape[1:])
    return sheet(torch.cat([frames, blank]), columns)


def demo(folder: Path, out: Path) -> None:
    """Moments of the demo's comparison video, below one another."""
    images = [frame.image for frame in video.read(folder / "compare.mp4")]
    save(out, "demo", _stacked(images[i] for i in (0, len(images) // 3, 2 * len(images) // 3)))


def _stacked(images: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(images))


def main() -> None:
    """Make them all."""
    given = [Path(argument) for argument in sys.argv[1:3]]
    folder, out = [*given, *(Path("demo-output"), PICTURES)[len(given) :]]
    worlds(out)
    for name in PROMPTS:
        random_videos(name, out)
    edits(out)
    demo(folder, out)


if __name__ == "__main__":
    main()
