"""Generators of single images and of classes, as snapshots of StyleGAN2-ADA hold them, through the same commands as the others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegan_v import Generator, GeneratorConfig, save_generator
from tests.commands import Vedit, one_line_error
from tests.tiny_generator import tiny_generator
from vedit import perceptual, pixels, scores, video
from vedit.inversion import InversionConfig, Target, add_residuals, prior
from vedit.latents import LatentVideo
from vedit.progress import finish
from vedit.workspace import Workspace

FRAMES = 8


def image_generator(seed: int = 0) -> Generator:
    """A tiny image generator with noise inputs, as StyleGAN2-ADA has them."""
    cfg = GeneratorConfig(
        resolution=32, z_dim=16, w_dim=16, channel_base=256, channel_max=16, mapping_lr_multiplier=1.0, use_noise=True, motion=None
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Generator(cfg).eval().requires_grad_(False)


@torch.no_grad()
def swinging(generator: Generator) -> tuple[Tensor, Tensor]:
    """Frames [T, 3, 32, 32] of a content [L, D] that swings to another one and back every five frames, and that content."""
    ws = generator.mapping(torch.randn(2, 16, generator=torch.Generator().manual_seed(1)))
    share = 0.25 * torch.sin(torch.arange(float(2 * FRAMES)) * 2 * torch.pi / 5)[:, None, None]
    frames = generator.synthesis((ws[0] + share * (ws[1] - ws[0]))[None])[0].clamp(-1, 1)
    return frames, ws[0]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "images.safetensors"
    save_generator(image_generator(), path)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "swing.mkv"
    video.write(path, iter(pixels.to_pixels(swinging(image_generator(1))[0][:FRAMES]).numpy()), fps=25, codec="ffv1")
    return path


def test_the_content_of_an_image_generator_follows_quick_motion() -> None:
    generator = image_generator()
    frames, content = swinging(generator)
    target = Target.of(frames, torch.arange(float(len(frames))), perceptual.load("builtin"))
    start = LatentVideo(content, None, None, float(len(frames) - 1))
    found = finish(add_residuals(generator, target, start, prior(generator, 0), InversionConfig(steps=60), 0))
    ws, _ = found.at(generator, target.t)
    with torch.no_grad():
        report = scores.report(frames, generator.synthesis(ws)[0].clamp(-1, 1))
    assert report.motion_ratio > 0.5 and report.motion_correlation > 0.9, report


def test_a_clip_goes_through_an_image_generator_and_back(vedit: Vedit, model: Path, clip: Path, tmp_path: Path) -> None:
    spent = ("--steps", "12", "--perceptual", "builtin", "--fidelity", "max", "--device", "cpu", "-q")
    done = vedit("project", str(clip), "-g", str(model), "-o", "a.vedit", "--crop", "center", *spent, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Workspace.open(tmp_path / "a.vedit").info["scores"]["motion_ratio"] > 0.01
    counts = {"plain.mkv": FRAMES, "pasted.mkv": FRAMES, "more.mkv": 3 * FRAMES}
    flags = {"plain.mkv": ("render",), "pasted.mkv": ("render", "--paste-back"), "more.mkv": ("upsample", "--factor", "3")}
    for name, (command, *rest) in flags.items():
        codec = () if command == "upsample" else ("--codec", "ffv1")
        done = vedit(command, "a.vedit", *rest, *codec, "-o", name, "-q", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        shown = torch.stack([pixels.from_pixels(frame.image) for frame in video.read(tmp_path / name)])
        assert len(shown) == counts[name]
        assert scores.motion_curve(shown).max() > 0, f"{name} stands still"
    assert "single images" in one_line_error(vedit("render", "a.vedit", "--motion-seed", "1", cwd=tmp_path))


def test_what_cannot_move_is_said(vedit: Vedit, model: Path, clip: Path, tmp_path: Path) -> None:
    name, few = str(model), ("--steps", "1", "--perceptual", "builtin", "--crop", "center", "--device", "cpu", "-q")
    commands = (
        ("generate", "-g", name, "--seeds", "0", "--frames", "2", "-q"),
        ("decompose", "-g", name, "--contents", "1", "--motions", "2", "-q"),
        ("project", str(clip), "-g", name, "-o", "still.vedit", "--fidelity", "latent", *few),
    )
    for command in commands:
        done = vedit(*command, cwd=tmp_path)
        assert done.returncode == 0 and done.stderr.count("\n") == 1, done.stderr
        assert "vedit: warning: " in done.stderr and "single images" in done.stderr
    one = vedit("generate", "-g", name, "--seeds", "0", "--frames", "1", "-q", cwd=tmp_path)
    assert one.stderr == ""


def test_a_generator_of_classes_is_refused_before_anything_is_written(vedit: Vedit, clip: Path, tmp_path: Path) -> None:
    name = tmp_path / "classes.safetensors"
    motion = tiny_generator().cfg.motion
    save_generator(Generator(GeneratorConfig(resolution=16, z_dim=8, w_dim=8, c_dim=3, channel_base=64, channel_max=8, motion=motion)), name)
    before = sorted(tmp_path.iterdir())
    for command in (("project", str(clip), "-q"), ("generate", "--seeds", "0"), ("decompose",)):
        assert "draws 3 classes" in one_line_error(vedit(*command, "-g", str(name), cwd=tmp_path))
    assert sorted(tmp_path.iterdir()) == before


def test_a_clip_is_found_in_one_class_and_its_project_remembers_which(vedit: Vedit, clip: Path, tmp_path: Path) -> None:
    name, motion = tmp_path / "classes.safetensors", tiny_generator().cfg.motion
    save_generator(Generator(GeneratorConfig(resolution=16, z_dim=8, w_dim=8, c_dim=3, channel_base=64, channel_max=8, motion=motion)), name)
    few = ("--steps", "1", "--perceptual", "builtin", "--crop", "center", "--device", "cpu", "-q")
    hashes = []
    for number in ("0", "2"):
        project = f"{number}.vedit"
        assert vedit("project", str(clip), "-g", str(name), "--class", number, "-o", project, *few, cwd=tmp_path).returncode == 0
        assert vedit("render", project, "--no-audio", "-q", cwd=tmp_path).returncode == 0
        workspace = Workspace.open(tmp_path / project)
        hashes.append(workspace.generator().hash)
        assert workspace.generator().cfg.c_dim == 0 and workspace.info["generator"]["class"] == int(number)
    assert hashes[0] != hashes[1]
    assert vedit("decompose", "-g", str(name), "--class", "1", "--contents", "1", "--motions", "1", "-q", cwd=tmp_path).returncode == 0
    assert "classes 0 to 2" in one_line_error(vedit("decompose", "-g", str(name), "--class", "3", cwd=tmp_path))
