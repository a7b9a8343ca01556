"""Pivotal tuning: what moves, what does not, when it ends, and how a project keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegan_v import Generator
from tests.tiny_generator import tiny_generator
from tests.tiny_project import finished
from vedit import perceptual as distances
from vedit.inversion import InversionConfig, Target, frame_loss, prior
from vedit.latents import LatentVideo
from vedit.progress import finish
from vedit.tuning import TUNED, TuningConfig, TuningError, locality, tune, tuned
from vedit.workspace import Workspace, WorkspaceError

LOSS = InversionConfig()


@pytest.fixture
def base() -> Generator:
    generator = tiny_generator(resolution=32)
    generator.hash = "base"
    return generator


def clip_of(generator: Generator, frames: int = 12) -> tuple[Target, LatentVideo]:
    """Frames of another generator's clip, and latents of this one that do not show it."""
    t = torch.arange(float(frames))
    rng = torch.Generator().manual_seed(3)
    z, motion_z = (
        torch.randn(1, 16, generator=rng),
        torch.randn(1, generator.num_motion_codes(float(frames)), 8, generator=rng),
    )
    other = tiny_generator(seed=9, resolution=32)
    with torch.no_grad():
        pictures = other(z, t[None], motion_z)[0].clamp(-1, 1)
        latents = LatentVideo(generator.mapping(z)[0], generator.trajectory(motion_z)[0], motion_z[0], float(t[-1]))
    return Target.of(pictures, t, distances.load("builtin", "cpu")), latents


def fit(generator: Generator, target: Target, latents: LatentVideo) -> float:
    with torch.no_grad():
        return frame_loss(generator, target, latents, torch.arange(len(target.t)), LOSS)[0].item()


def test_tuning_comes_closer_and_moves_nothing_but_convolutions(base: Generator) -> None:
    target, latents = clip_of(base)
    before = {name: weight.clone() for name, weight in base.named_parameters()}
    start = {name: tensor.clone() for name, tensor in latents.state().items()}
    moved, difference = finish(tune(base, target, latents, prior(base, 0), LOSS, TuningConfig(steps=60, lr=1e-2, locality=0.1), seed=0))
    assert all(torch.equal(tensor, start[name]) for name, tensor in latents.state().items()), "the pivot has moved"
    assert all(torch.equal(tensor, moved.state()[name]) for name, tensor in start.items()), "more than the residuals moved"
    assert moved.content is not None and moved.motion is not None
    assert all(torch.equal(weight, before[name]) for name, weight in base.named_parameters()), "the base has moved"
    assert difference and all(TUNED.fullmatch(name) for name in difference)
    assert {name.rsplit(".", 2)[1] for name in difference} == {"conv0", "conv1", "torgb"}
    fitted = tuned(base, difference)
    assert fitted.hash == "base"
    assert fit(fitted, target, moved) < 0.7 * fit(base, target, latents)
    z = torch.randn(4, 16)
    assert torch.equal(fitted.mapping(z), base.mapping(z))


def test_the_locality_term_keeps_the_tuned_generator_near_its_base(base: Generator) -> None:
    target, latents = clip_of(base)

    def away(weight: float) -> float:
        cfg = TuningConfig(steps=40, lr=1e-2, locality=weight, locality_batch=8)
        moved = tuned(base, finish(tune(base, target, latents, prior(base, 0), LOSS, cfg, seed=0))[1])
        with torch.no_grad():
            return locality(base, moved, target.perceptual, cfg, torch.Generator().manual_seed(77)).item()

    assert away(20.0) < 0.5 * away(0.0)


def test_tuning_ends_on_a_plateau_and_is_the_same_again(base: Generator) -> None:
    target, latents = clip_of(base)
    still = TuningConfig(least=200, window=10, gain=0.9)  # no window of ten steps gains 90 %
    runs = [list(tune(base, target, latents, prior(base, 0), LOSS, still, seed=4)) for _ in range(2)]
    assert len(runs[0]) == 30  # the second window shows the plateau, a third one lands
    assert [event.note for event in runs[0]] == [event.note for event in runs[1]]


@pytest.mark.parametrize(
    "change",
    [
        {"synthesis.b4.conv1.affine.weight": torch.zeros(1)},
        {"mapping.fc0.weight": torch.zeros(16, 16)},
        {"synthesis.b4.conv1.weight": torch.zeros(1)},
        {"synthesis.b4.torgb.weight": torch.full((3, 16, 1, 1), float("nan"))},
        {"synthesis.b999.conv1.weight": torch.zeros(1)},
    ],
)
def test_a_difference_that_does_not_fit_is_refused(base: Generator, change: dict[str, Tensor]) -> None:
    with pytest.raises(TuningError, match="project the clip again"):
        tuned(base, change)


def test_a_project_keeps_the_difference_and_notices_another(base: Generator, tmp_path: Path) -> None:
    _, latents = clip_of(base)
    workspace = finished(tmp_path / "a.vedit")
    name, weights = "synthesis.b4.conv1.weight", dict(base.named_parameters())
    difference = {name: torch.full_like(weights[name], 0.5)}
    workspace.save_latents(latents, difference)
    opened = Workspace.open(workspace.path)
    assert torch.allclose(dict(opened.fitted(base).named_parameters())[name], weights[name] + 0.5)
    (workspace.path / "tuned.safetensors").write_bytes((workspace.path / "latents.safetensors").read_bytes())
    with pytest.raises(WorkspaceError, match="does not belong"):
        opened.fitted(base)
    workspace.save_latents(latents)
    assert not (workspace.path / "tuned.safetensors").exists()
    assert Workspace.open(workspace.path).fitted(base) is base
