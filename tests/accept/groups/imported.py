"""Generators imported from official snapshots (images, LSTM codes, StyleGAN-V) through every command."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from stylegan_v import Generator
from tests.accept import footage
from tests.accept.projecting import project_frames
from tests.accept.shell import Ran, vedit
from tests.accept.table import Row, Setting, at_least, holds, skip
from vedit import models, scores, video
from vedit.workspace import Workspace

ORDER = 46
SOURCE, SECONDS, FRAMES = "head-a.mp4", 0.26, 8
MOVING = ("stylegan_v", "lstm_dz1")
SWING = 16  # frames of the clip whose content swings
Arguments = tuple[str | Path, ...]


@dataclass(frozen=True)
class Bench:
    """Where a generator is tried: its file, the clip, a folder; `steps` of every projection."""

    folder: Path
    name: str
    source: Path
    steps: str

    def vedit(self, *arguments: str | Path) -> Ran:
        return vedit(*arguments, cwd=self.folder)

    def row(self, check: str, ran: Ran, faults: list[str], figure: str = "") -> Row:
        """A row of one command: it must end well, say no word of a bug, and leave what it should."""
        words = ran.out + ran.err
        faults += [f"status {ran.status}"] if ran.status else []
        faults += [f"says {word!r}" for word in ("Traceback", "bug in vedit", "nan") if word in words]
        last = (words.strip().splitlines() or [""])[-1]
        return holds(f"{self.name}: {check}", "ends well, as it should be", "; ".join([*faults, last] if faults else [figure or last]), not faults, said=words)


def run(setting: Setting) -> Iterator[Row]:
    source = (setting.data / "clips" / SOURCE).resolve()
    for name in setting.chosen(["stylegan2_ada", *MOVING, "stylegan_v_cond"]):
        snapshot = (setting.data / "golden" / f"{name}.pkl").resolve()
        if not (snapshot.is_file() and source.is_file()):
            yield skip(f"{name}: imported", f"{snapshot} or {source} is absent; set VEDIT_TEST_DATA")
            continue
        folder = setting.out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        bench = Bench(folder.resolve(), name, source, "5" if setting.quick else "60")
        ran = bench.vedit("models", "import", snapshot, "-o", "model.safetensors")
        yield bench.row("models import", ran, [])
        if name == "stylegan_v_cond":
            yield from refused(bench)
            continue
        yield from commands(bench, still=name not in MOVING)
        if name not in MOVING:
            yield from words(bench, setting.quick)
            yield from follows(setting, bench.folder / "model.safetensors")


def refused(bench: Bench) -> Iterator[Row]:
    """A generator of classes cannot be told which: one clear line, nothing written."""
    for command in (("project", bench.source, "-q"), ("generate",), ("decompose",)):
        before = sorted(bench.folder.iterdir())
        ran = bench.vedit(*command, "-g", "model.safetensors")
        good = ran.status == 1 and ran.err.count("\n") == 1 and "classes" in ran.err and sorted(bench.folder.iterdir()) == before
        yield holds(f"{bench.name}: {command[0]}", "one clear line, nothing written", ran.err.strip()[:160], good, said=ran.err)


def commands(bench: Bench, still: bool) -> Iterator[Row]:
    """Everything that needs no words; `still` says that the generator makes single images."""
    spent = ("--duration", str(SECONDS), "--crop", "center", "--steps", bench.steps, "--fidelity", "max")
    ran = bench.vedit("project", bench.source, "-g", "model.safetensors", "-o", "clip.vedit", *spent)
    yield bench.row("project", ran, [], scored(bench.folder / "clip.vedit") if ran.status == 0 else "")
    yield bench.row("info", bench.vedit("info", "clip.vedit"), [])
    films: tuple[tuple[str, int, Arguments], ...] = (
        ("plain.mkv", FRAMES, ("render", "--codec", "ffv1")),
        ("pasted.mkv", FRAMES, ("render", "--paste-back", "--codec", "ffv1")),
        ("longer.mp4", 2 * FRAMES, ("render", "--extend", str(FRAMES / 30))),
        ("compared.mp4", FRAMES, ("render", "--compare")),
        ("more.mp4", 3 * FRAMES, ("upsample", "--factor", "3")),
    )
    for file, count, (command, *flags) in films:
        ran = bench.vedit(command, "clip.vedit", *flags, "-o", file)
        yield bench.row(f"{command} {' '.join(map(str, flags))}", ran, film_faults(bench.folder / file, count), f"{count} frames, which move")
    warned = "single images"
    ran = bench.vedit("render", "clip.vedit", "--motion-seed", "1", "-o", "other.mp4")
    if still:
        yield holds(f"{bench.name}: render --motion-seed", "one clear line", ran.err.strip(), ran.status == 1 and warned in ran.err)
    else:
        yield bench.row("render --motion-seed", ran, film_faults(bench.folder / "other.mp4", FRAMES))
    drawn: tuple[tuple[str, int, Arguments], ...] = (
        ("generated/0001.mp4", 9, ("generate", "--seeds", "0-1", "--frames", "9")),
        ("decomposition.mp4", 100, ("decompose", "--contents", "2", "--motions", "2")),
    )
    for file, count, (command, *flags) in drawn:
        ran = bench.vedit(command, "-g", "model.safetensors", *flags)
        faults = [] if (warned in ran.err) == still else ["says nothing of still pictures" if still else "speaks of still pictures"]
        yield bench.row(str(command), ran, faults + ([] if still else film_faults(bench.folder / file, count)))


def film_faults(path: Path, count: int) -> list[str]:
    """What is wrong with a film that should have so many frames and move."""
    if not path.is_file():
        return ["writes nothing"]
    frames, _ = footage.read_clip(path)
    faults = [] if len(frames) == count else [f"{len(frames)} frames instead of {count}"]
    return faults if float(scores.motion_curve(frames).max()) > 0 else [*faults, "stands still"]


def scored(project: Path) -> str:
    """The project's own figures, and whether content is held for every frame."""
    workspace = Workspace.open(project)
    content = workspace.latents().content
    assert content is not None
    found = workspace.info["scores"]
    return f"{content.coefs.shape[0]} knots of content for {found['frames']} frames; PSNR {found['psnr']:.1f} dB, motion ratio {found['motion_ratio']:.2f}"


def words(bench: Bench, quick: bool) -> Iterator[Row]:
    """An edit by words: of a generator of noise it can mean nothing, but it must be made and rendered."""
    if quick:
        yield skip(f"{bench.name}: edit", "its statistics take a minute")
        return
    yield bench.row("edit", bench.vedit("edit", "clip.vedit", "--prompt", "an old person", "--name", "words"), [])
    ran = bench.vedit("render", "clip.vedit", "--edit", "words", "-o", "edited.mp4")
    yield bench.row("render --edit", ran, film_faults(bench.folder / "edited.mp4", FRAMES))
    sizes = [video.probe(bench.folder / file) for file in ("plain.mkv", "edited.mp4")]
    same = torch.equal(*(footage.read_clip(bench.folder / file)[0] for file in ("plain.mkv", "edited.mp4"))) if sizes[0].width == sizes[1].width else False
    yield holds(f"{bench.name}: the edit changes the picture", "another picture", "the same" if same else "another", not same)


def follows(setting: Setting, model: Path) -> Iterator[Row]:
    """A clip of the image generator's own whose content swings with periods of 6 and 9.5 frames."""
    generator = models.load_generator(model)
    frames = swinging(generator)
    found = project_frames(setting.out / "swing", frames, str(model), steps=40 if setting.quick else None)
    report = scores.report(frames, found.render, footage.distances("lpips-alex"))
    footage.strip(setting.out / "swing.png", [frames, found.render])
    yield at_least("an image generator follows a content that swings: motion correlation", report.motion_correlation, 0.9, report=report.to_dict())
    ratio = report.motion_ratio
    yield holds("an image generator follows a content that swings: motion ratio", "0.7 to 1.3", f"{ratio:.2f}, PSNR {report.psnr:.1f} dB", 0.7 <= ratio <= 1.3)


@torch.no_grad()
def swinging(generator: Generator) -> torch.Tensor:
    """Frames [T, 3, H, W] of a content that swings towards two others."""
    ws = generator.mapping(torch.randn(3, generator.cfg.z_dim, generator=torch.Generator().manual_seed(footage.HELD_OUT + 60)))
    t = torch.arange(float(SWING))[:, None, None] * 2 * torch.pi
    path = ws[0] + 0.3 * torch.sin(t / 6) * (ws[1] - ws[0]) + 0.3 * torch.sin(t / 9.5) * (ws[2] - ws[0])
    return footage.eight_bit(generator.synthesis(path[None])[0].clamp(-1, 1))
