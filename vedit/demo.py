"""The main job from end to end with a clip that ships: project, edit by words, render, upsample."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from vedit import video
from vedit.editing import edit
from vedit.pixels import to_pixels
from vedit.progress import Progress, Task
from vedit.projection import project
from vedit.rendering import render
from vedit.suggestions import prompts
from vedit.workspace import Workspace
from vedit.worlds.portraits import Portraits

CLIP = Path(__file__).resolve().parent.parent / "examples" / "demo.mp4"  # where vedit runs from a clone
SEED = 20_000_003  # trainings draw from seeds below 10,000,000
FRAMES, SIZE = 96, 256
FACTOR = 5


@dataclass
class Demo:
    """What the demo made: the project, the prompt it was edited by, and the videos by what they show."""

    project: Workspace
    prompt: str
    videos: dict[str, Path] = field(default_factory=dict)


def demo(out: Path, *, source: Path | None = None, prompt: str | None = None) -> Task[Demo]:
    """Project `source` (the demo clip, if None) into the folder `out`, edit it by `prompt`, render it, and again at five times its rate.

    Without a prompt it is edited by words that suit the generator. Run again, the projection is taken from where it stands, and an edit of
    the same prompt is not made twice.
    """
    if source is None:
        out.mkdir(parents=True, exist_ok=True)
        source = CLIP if CLIP.is_file() else (yield from _draw_clip(out / "demo.mp4"))
    workspace = yield from project(source, out=out / f"{source.stem}.vedit")
    prompt = prompts(workspace)[0] if prompt is None else prompt
    name = next((name for name in workspace.list_edits() if workspace.load_edit(name)[0].get("prompt") == prompt), None)
    if name is None:
        name = (yield from edit(workspace, prompt)).name
    made = Demo(workspace, prompt, {"source": source})
    made.videos["reconstruction"] = yield from render(workspace, edits=[], out=out / "reconstruction.mp4")
    made.videos["edited"] = yield from render(workspace, edits=[(name, None)], out=out / "edited.mp4")
    made.videos["side by side"] = yield from render(workspace, edits=[(name, None)], compare=True, out=out / "compare.mp4")
    made.videos[f"edited, {FACTOR}× the frames"] = yield from render(
        workspace, edits=[(name, None)], factor=FACTOR, out=out / f"edited-x{FACTOR}.mp4"
    )
    return made


def _draw_clip(path: Path) -> Task[Path]:
    """A talking head that no training saw, silent, for installations without the examples."""
    world = Portraits()
    rng = torch.Generator().manual_seed(SEED)
    motion = world.random_motion(torch.arange(FRAMES, dtype=torch.float32)[None], rng)
    frames = world.draw_clips(world.random_attributes(1, rng), motion, SIZE)[0]
    video.write(path, iter(to_pixels(frames).numpy()), fps=world.fps)
    yield Progress("draw a clip", FRAMES, FRAMES)
    return path
