"""Two real clips through project, edit and render: frame times, length, sound, motion."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import av

from tests.accept import footage
from tests.accept.rendered import cropped_source
from tests.accept.shell import vedit
from tests.accept.table import Row, Setting, at_least, at_most, holds, skip, stated
from vedit import scores, video
from vedit.workspace import Workspace

ORDER = 30
CLIPS = {"head-a.mp4": "an old person", "clouds-960.mp4": "bright sun"}


def run(setting: Setting) -> Iterator[Row]:
    for name, prompt in CLIPS.items():
        source = (setting.data / "clips" / name).resolve()
        if not source.is_file():
            yield skip(f"{name}: project, edit, render", f"{source} is absent; set VEDIT_TEST_DATA")
            continue
        folder = setting.out / source.stem
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        yield from one_clip(
            source, prompt, folder, ["--duration", "0.4", "--steps", "10"] if setting.quick else [], setting.clip
        )


def one_clip(source: Path, prompt: str, folder: Path, only: list[str], clip: str) -> Iterator[Row]:
    """Project, edit and render one clip with the command, then measure the files it wrote."""
    name = source.name
    took = vedit("project", source, "-o", folder / "clip.vedit", *only, cwd=folder, check=True).seconds
    vedit("edit", folder / "clip.vedit", "--prompt", prompt, "--name", "words", "--clip", clip, cwd=folder, check=True)
    edited, plain, compared = folder / "edited.mp4", folder / "plain.mkv", folder / "compare.mp4"
    vedit("render", folder / "clip.vedit", "--edit", "words", "-o", edited, cwd=folder, check=True)
    vedit("render", folder / "clip.vedit", "--no-edits", "--codec", "ffv1", "-o", plain, cwd=folder, check=True)
    vedit("render", folder / "clip.vedit", "--edit", "words", "--compare", "-o", compared, cwd=folder, check=True)
    yield stated(f"{name}: projection took", f"{took:.0f} s")
    yield from same_times(source, edited, bool(only))
    yield from motion(name, folder, plain)


def same_times(source: Path, edited: Path, part: bool) -> Iterator[Row]:
    """The rendered file's frame times, length and sound against the source's."""
    wanted, found = [frame.time for frame in video.read(source)], [frame.time for frame in video.read(edited)]
    wanted = wanted[: len(found)] if part else wanted
    worst = max(abs(a - b) for a, b in zip(wanted, found, strict=False)) * 1000
    figure = f"{len(found)} of {len(wanted)} frames, worst {worst:.3f} ms"
    yield holds(f"{source.name}: frame times", "equal to 1 ms", figure, len(found) == len(wanted) and worst <= 1.0)
    if part:
        return
    lengths = [video.probe(path).duration for path in (source, edited)]
    yield at_most(f"{source.name}: difference in length", abs(lengths[0] - lengths[1]) * 1000, 1, " ms")
    packets = [sound_packets(path) for path in (source, edited)]
    if not packets[0]:
        yield holds(f"{source.name}: sound", "none, as the source", f"{len(packets[1])} packets", not packets[1])
    else:
        same = [(a == b) for a, b in zip(*packets, strict=False)]
        figure = f"{sum(same)} of {len(packets[0])} packets identical in bytes and time"
        yield holds(f"{source.name}: sound", "every packet", figure, all(same) and len(packets[0]) == len(packets[1]))


def sound_packets(path: Path) -> list[tuple[bytes, int]]:
    """Every sound packet's bytes and its time in milliseconds from the container's start; empty without sound."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        starts = [
            float(s.start_time * s.time_base)
            for s in container.streams
            if s.start_time is not None and s.time_base is not None
        ]
        zero = min(starts, default=0.0)
        stream = container.streams.audio[0]
        return [
            (bytes(packet), round((float(packet.pts * packet.time_base) - zero) * 1000))
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None
        ]


def motion(name: str, folder: Path, plain: Path) -> Iterator[Row]:
    """The reconstruction against the cropped source, both at the generator's size."""
    workspace = Workspace.open(folder / "clip.vedit")
    source = cropped_source(workspace)
    render, _ = footage.read_clip(plain)
    report = scores.report(
        source, scores.at_size(render, source.shape[-1]), footage.distances("lpips-alex", "lpips-squeeze")
    )
    footage.strip(folder / "strip.png", [source, render, footage.read_clip(folder / "edited.mp4")[0]])
    yield at_least(f"{name}: motion correlation", report.motion_correlation, 0.6, report=report.to_dict())
    figures = [
        f"PSNR {report.psnr:.1f} dB",
        f"motion ratio {report.motion_ratio:.2f}",
        f"sharpness {report.sharpness:.2f}",
    ]
    figures += [f"{key} {value:.4f}" for key, value in report.perceptual.items()]
    yield stated(f"{name}: reconstruction without tuning", ", ".join(figures))
