"""The main job from end to end with a clip that ships: project, edit by words, render, upsample."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vedit.editing import edit
from vedit.progress import Task
from vedit.projection import project
from vedit.rendering import render

CLIP = Path(__file__).resolve().parent.parent / "examples" / "demo.mp4"
FACTOR = 5


@dataclass
class Demo:
    """What the demo made: the project's folder, and the videos by what they show."""

    project: Path
    videos: dict[str, Path] = field(default_factory=dict)


def demo(out: Path, *, source: Path | None = None, prompt: str = "an old person") -> Task[Demo]:
    """Project `source` (the clip that ships, if None) into `out`, edit it by `prompt`, render it, and again at five times its rate."""
    out.mkdir(parents=True, exist_ok=True)
    source = source if source is not None else CLIP
    workspace = yield from project(source, None, out=out / f"{source.stem}.vedit", perceptual="auto")
    made = Demo(workspace.path, {"source": source})
    edited = yield from edit(workspace, prompt)
    reconstruction = yield from render(workspace, edits=[], out=out / "reconstruction.mp4")
    compared = yield from render(workspace, edits=[(edited.name, None)], compare=True, out=out / "compare.mp4")
    upsampled = yield from render(workspace, edits=[(edited.name, None)], factor=FACTOR, out=out / f"edited-x{FACTOR}.mp4")
    made.videos |= {"reconstruction": reconstruction, "compare": compared, f"edited, {FACTOR}× the frames": upsampled}
    return made
