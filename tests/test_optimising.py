"""Optimised edits: they agree with the words more than their start, repeat by their seed, and stay in their region."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from stylegan_v import ConfigError, Generator, save_generator
from tests import tiny_words
from tests.commands import Vedit, one_line_error
from tests.tiny_project import clip
from vedit import directions, edit_scores, guidance, optimising, perceptual
from vedit.edits import load_edits
from vedit.guidance import Guidance
from vedit.optimising import Aim, Keys, OptimiseConfig, Optimised
from vedit.progress import finish
from vedit.rendering import scene
from vedit.workspace import Workspace

CFG = OptimiseConfig(batch=2, views=1, steps=20, lr=0.2, size=1e-3, structure=1e-3)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return tiny_words.generator()


@pytest.fixture(scope="module")
def clip_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_words.text_image_model(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def model(clip_model: str) -> Guidance:
    return guidance.load(clip_model)


@pytest.fixture(autouse=True, scope="module")
def small_statistics() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directions.statistics, "__kwdefaults__", {"samples": 100, "seed": 0})
        yield


def keys_of(generator: Generator, masks: Tensor | None = None) -> Keys:
    rng = torch.Generator().manual_seed(4)
    motion_z = torch.randn(1, generator.num_motion_codes(9), 8, generator=rng)
    ws = generator.mapping(torch.randn(1, 8, generator=rng))
    return Keys.of(generator, ws, generator.motion(torch.tensor([[0.0, 4.0, 9.0]]), motion_z), masks)


def found(generator: Generator, model: Guidance, start: bool = True, masks: Tensor | None = None, seed: int = 0, **changes: Any) -> Optimised:
    stats = finish(directions.statistics(generator, model))
    text = directions.text_difference(model, "an old person", "a young person")
    begin = directions.direction(stats, generator, model, "an old person", "a young person").delta if start else {}
    aim = Aim(model, perceptual.load("builtin"), text, far=0.05)
    ways = directions.style_ways(stats, generator)
    return finish(optimising.optimise(generator, aim, keys_of(generator, masks), ways, begin, replace(CFG, **changes), seed))


@pytest.mark.parametrize("start", [True, False])
def test_the_agreement_with_the_words_rises_over_the_start(generator: Generator, model: Guidance, start: bool) -> None:
    result = found(generator, model, start)
    assert result.figures["kept"] == "end"
    assert result.figures["end"]["agreement"] > result.figures["start"]["agreement"] + 0.01
    assert result.figures["end"]["loss"] < result.figures["start"]["loss"]


def test_the_same_seed_makes_the_same_edit_and_another_another(generator: Generator, model: Guidance) -> None:
    one, again, other = (found(generator, model, seed=seed, steps=4).delta for seed in (3, 3, 5))
    assert all(torch.equal(one[layer], again[layer]) for layer in one)
    assert any(not torch.equal(one[layer], other[layer]) for layer in one)


def test_what_paints_colours_is_left_as_it_was(generator: Generator, model: Guidance) -> None:
    stats = finish(directions.statistics(generator, model))
    assert not any("torgb" in layer for layer in found(generator, model, start=False, steps=2).delta)
    begin = directions.direction(stats, generator, model, "an old person", "a young person").delta
    result = found(generator, model, steps=2).delta
    assert all(torch.equal(result[layer], begin[layer]) == ("torgb" in layer) for layer in begin)


def test_what_lies_outside_a_region_changes_less(generator: Generator, model: Guidance) -> None:
    masks = torch.zeros(3, 1, 16, 16)
    masks[..., :8] = 1
    keys = keys_of(generator, masks)

    def leaked(outside: float) -> float:
        whole, shown = keys.edited(generator, found(generator, model, start=False, masks=masks, outside=outside).delta)
        assert torch.equal(shown[..., 8:], keys.plain[..., 8:])
        return float((whole - keys.plain)[..., 8:].square().mean())

    assert leaked(1000.0) < 0.5 * leaked(1e-6)


def test_it_ends_on_a_plateau_and_keeps_a_start_that_is_better(generator: Generator, model: Guidance) -> None:
    assert found(generator, model, steps=20, window=2, gain=0.99).figures["steps"] == 4
    stuck = found(generator, model, steps=2, lr=50.0)
    begin = directions.direction(finish(directions.statistics(generator, model)), generator, model, "an old person", "a young person").delta
    assert stuck.figures["kept"] == "start" and all(torch.equal(stuck.delta[layer], begin[layer]) for layer in begin)


@pytest.mark.parametrize("change", [{"steps": 0}, {"lr": math.nan}, {"structure": -1.0}, {"batch": 1.5}])
def test_weights_without_sense_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(CFG, **change)


@pytest.fixture
def project(generator: Generator, tmp_path: Path) -> Workspace:
    save_generator(generator, tmp_path / "g.safetensors")
    return clip(tmp_path / "a.vedit", tmp_path / "g.safetensors")


def test_the_command_optimises_measures_and_keeps_an_edit(project: Workspace, vedit: Vedit, clip_model: str) -> None:
    words = ["edit", str(project.path), "--prompt", "an old person", "--neutral", "a young person", "--clip", clip_model, "--json"]
    done = vedit(*words, "--method", "optimize", "--steps", "3", "--seed", "2", "--region", "50,0,50,100", cwd=project.path.parent)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["method"] == "optimize" and answer["optimization"]["steps"] == 3 and answer["optimization"]["seed"] == 2
    assert -1 <= answer["scores"]["agreement"] <= 1 and answer["scores"]["outside_psnr"] > 20 and "judge" not in answer["scores"]
    (edit,) = load_edits(Workspace.open(project.path))
    assert edit.reach is not None and edit.reach.length == directions.LENGTH
    assert edit.figures == {"optimization": answer["optimization"], "scores": answer["scores"]}
    whole = scene(Workspace.open(project.path), [(edit.name, 0.0)])
    torch.testing.assert_close(whole.frames([0.04]), replace(whole, edits=()).frames([0.04]))
    shown = vedit(*words[:-1], cwd=project.path.parent)
    assert shown.returncode == 0 and "agreement" in shown.stdout and "flicker" in shown.stdout


def test_a_mask_file_becomes_a_region_of_the_project(project: Workspace, vedit: Vedit, clip_model: str, tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    for i in range(4):
        picture = Image.new("L", (200, 100))
        picture.paste(255, (50, 0, 100, 100))
        picture.save(folder / f"{i}.png")
    done = vedit("edit", str(project.path), "--prompt", "bright sun", "--region", str(folder), "--clip", clip_model)
    assert done.returncode == 0, done.stderr
    assert "its last picture is held" in done.stderr and "in the mask video" in done.stdout
    whole = scene(Workspace.open(project.path))
    change = (whole.frames([0.2]) - replace(whole, edits=()).frames([0.2])).abs().mean(dim=(0, 1, 2))
    assert change[:6].min() > 0 and change[-4:].max() == 0


@pytest.mark.parametrize(
    "args, expected",
    [
        (["--prompt", ""], "empty"),
        (["--prompt", "   "], "empty"),
        (["--prompt", "x" * 5000], "5000 characters"),
        (["--prompt", "👴"], "without a word"),
        (["--prompt", "old\nperson"], "line breaks"),
        (["--prompt", "old", "--strength", "nan"], "finite"),
        (["--prompt", "old", "--strength", "inf"], "finite"),
        (["--prompt", "old", "--strength", "5x"], "5x"),
        (["--prompt", "old", "--strength", "1e9"], "-10 to 10"),
        (["--prompt", "old", "--disentangle", "nan"], "disentangle"),
        (["--prompt", "old", "--disentangle", "0.5", "--method", "optimize"], "--method optimize"),
        (["--prompt", "old", "--steps", "0"], "steps"),
        (["--prompt", "old", "--steps", "5x"], "steps"),
        (["--prompt", "old", "--seed", "-1"], "seed"),
        (["--prompt", "old", "--region", "1,2,3"], "region"),
        (["--prompt", "old", "--method", "magic"], "magic"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(project: Workspace, vedit: Vedit, args: list[str], expected: str) -> None:
    assert expected in one_line_error(vedit("edit", str(project.path), *args))
    assert Workspace.open(project.path).list_edits() == [] and not (project.path / "edits").exists()


def test_temporal_scores_are_1_without_a_change_and_less_where_frames_part() -> None:
    alike = perceptual.load("builtin")
    clip = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)).expand(4, -1, -1, -1) * 2 - 1
    local, every = edit_scores.temporal(alike, [clip, clip.flip(3)], [clip, clip.flip(3)])
    assert (local, every) == (pytest.approx(1, abs=1e-5), pytest.approx(1, abs=1e-5))
    parting = torch.cat([clip[:2], clip[:2].flip(2)])  # one jump in the middle
    local, every = edit_scores.temporal(alike, [clip], [parting])
    assert local < 0.99 and every < local


def test_an_edit_of_strength_0_has_no_agreement_and_no_distance(project: Workspace, model: Guidance) -> None:
    whole = scene(project)
    figures = finish(edit_scores.measure(whole, model, torch.ones(16)))
    assert figures["agreement"] is None and figures["outside_psnr"] is None and figures["flicker"] == 1
    assert all(value == 0 for value in figures["distance"].values()) and figures["frames"] == 8
