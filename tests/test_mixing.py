"""Mixing two clips: nothing at strength 0, the other's rows at strength 1, a straight line between, and one generator for both."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegan_v import save_generator
from tests import tiny_words
from tests.commands import Vedit, one_line_error
from tests.tiny_project import clip
from vedit.edits import load_edits
from vedit.mixing import mean_content, mix, parse_rows
from vedit.rendering import scene
from vedit.wording import EditError
from vedit.workspace import Workspace


@pytest.fixture(scope="module")
def generator_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("generator") / "g.safetensors"
    save_generator(tiny_words.generator(), path)
    return path


@pytest.fixture
def two(generator_file: Path, tmp_path: Path) -> tuple[Workspace, Workspace]:
    return clip(tmp_path / "a.vedit", generator_file, 1), clip(tmp_path / "b.vedit", generator_file, 2)


def styles(workspace: Workspace, name: str, strength: float) -> dict[str, Tensor]:
    """Mean styles [I] of every layer over the clip with an edit at a strength."""
    whole = scene(workspace, [(name, strength)])
    t = whole.clock(whole.clock.times)
    ws, motion_v = whole.latents.at(whole.generator, t)
    delta = whole.edits[0][0].styles_delta(whole.clock.times)
    return {layer: (value + delta.get(layer, 0.0)).mean(dim=(0, 1)) for layer, value in whole.generator.styles(ws, motion_v).items()}


def test_strength_1_has_the_others_rows_and_0_none_of_them(two: tuple[Workspace, Workspace]) -> None:
    ours, theirs = two
    mix(ours, theirs, layers="1-2", name="m")
    generator = ours.generator()
    wanted = mean_content(ours, generator)
    plain = generator.styles(wanted[None])
    wanted = wanted.clone()
    wanted[1:3] = mean_content(theirs, generator)[1:3]
    swapped = generator.styles(wanted[None])
    for layer, found in styles(ours, "m", 1.0).items():
        torch.testing.assert_close(found, swapped[layer][0, 0], atol=1e-5, rtol=1e-4)
    for layer, found in styles(ours, "m", 0.0).items():
        torch.testing.assert_close(found, plain[layer][0, 0], atol=1e-5, rtol=1e-4)


def test_frames_at_strength_0_are_the_clips_own(two: tuple[Workspace, Workspace]) -> None:
    ours, theirs = two
    mix(ours, theirs, name="m")
    whole = scene(ours, [("m", 0.0)])
    torch.testing.assert_close(whole.frames([0.0, 0.1]), replace(whole, edits=()).frames([0.0, 0.1]))


def test_interpolation_leads_straight_from_one_to_the_other(two: tuple[Workspace, Workspace]) -> None:
    ours, theirs = two
    mix(ours, theirs, name="m")
    goal = styles(ours, "m", 1.0)
    far = [sum((styles(ours, "m", s)[layer] - goal[layer]).norm() for layer in goal) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    np.testing.assert_allclose(far, [far[0] * share for share in (1, 0.75, 0.5, 0.25, 0)], atol=1e-4)


def test_a_mix_fades_by_keyframes_and_survives_its_files(two: tuple[Workspace, Workspace]) -> None:
    ours, theirs = two
    made = mix(ours, theirs, layers="0", strength="0s=0,2s=1")
    (kept,) = load_edits(Workspace.open(ours.path))
    assert kept.to_files()[0] == made.to_files()[0] and kept.kind == "mix" and kept.name == "mix-b" and kept.figures["layers"] == [0]
    assert kept.strength_at(1.0) == 0.5 and set(kept.direction) == {"b4.conv1"}
    assert mix(ours, theirs).name == "mix-b-2"


def test_generators_that_differ_and_contents_that_do_not_are_refused(two: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    ours, _ = two
    save_generator(tiny_words.generator(seed=9), tmp_path / "other.safetensors")
    with pytest.raises(EditError, match="one generator"):
        mix(ours, clip(tmp_path / "c.vedit", tmp_path / "other.safetensors"))
    with pytest.raises(EditError, match="same content"):
        mix(ours, ours)
    assert ours.list_edits() == []


@pytest.mark.parametrize("text", ["", "4", "2-1", "-1", "0,,1", "a", "0-99999", "١"])
def test_rows_that_are_not_there_are_refused(text: str) -> None:
    with pytest.raises(EditError, match="rows from 0 to 3"):
        parse_rows(text, 4)


def test_the_command_mixes_lists_and_reorders(two: tuple[Workspace, Workspace], vedit: Vedit, tmp_path: Path) -> None:
    done = vedit("edits", "mix", "a.vedit", "--from", "b.vedit", "--layers", "0-1", "--strength", "0.5", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (edit,) = json.loads(done.stdout)["edits"]
    assert (edit["kind"], edit["name"], edit["strength"], edit["figures"]["layers"]) == ("mix", "mix-b", [[0.0, 0.5]], [0, 1])
    assert vedit("edits", "mix", "a.vedit", "--from", "b.vedit", "--name", "all", cwd=tmp_path).returncode == 0
    assert "mix" in vedit("edits", "move", "a.vedit", "all", "1", cwd=tmp_path).stdout
    assert Workspace.open(tmp_path / "a.vedit").list_edits() == ["all", "mix-b"]
    assert "mix of b.vedit, layers 0-1" in vedit("info", "a.vedit", cwd=tmp_path).stdout
    assert "rows from 0" in one_line_error(vedit("edits", "mix", "a.vedit", "--from", "b.vedit", "--layers", "9", cwd=tmp_path))
    assert "no project" in one_line_error(vedit("edits", "mix", "a.vedit", "--from", "nope.vedit", cwd=tmp_path))
    assert "number" in one_line_error(vedit("edits", "mix", "a.vedit", "--from", "b.vedit", "--strength", "nan", cwd=tmp_path))
