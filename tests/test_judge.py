"""The judge's arithmetic, its file, and its training on a tiny recipe."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vedit import judge as judges
from vedit.judge_training import JudgeRecipe, RecipeError, augment, draw_batch, load_recipe, train
from vedit.progress import finish
from vedit.worlds import NAMES, world


def tiny(**values: object) -> JudgeRecipe:
    return JudgeRecipe("skies", **{"frames": 64, "batch": 16, "width": 4, **values})  # type: ignore[arg-type]


def test_a_move_of_the_whole_attribute_is_counted_in_standard_deviations_of_a_uniform_one() -> None:
    before, after = torch.tensor([[-1.0, 0.3]]), torch.tensor([[1.0, 0.9]])
    moved = judges.response(before, after, judges.Target({"age": 1.0}), ("age", "beard"))
    assert moved.item() == pytest.approx(2 * math.sqrt(3))


def test_a_colour_moves_along_its_hue_and_not_across_it() -> None:
    columns = ("hair.a", "hair.b", "hair.light")
    target = judges.Target({"hair.a": 3.0, "hair.b": 4.0})
    still = torch.zeros(2, 3)
    along, across = torch.tensor([0.6, 0.8, 0.0]), torch.tensor([-0.8, 0.6, 0.5])
    moved = judges.response(still, torch.stack([along, across]), target, columns)
    assert moved.tolist() == pytest.approx([math.sqrt(3), 0.0], abs=1e-6)


def test_a_target_outside_the_world_is_named() -> None:
    with pytest.raises(judges.JudgeError, match="height.*age"):
        judges.Target({"height": 1.0}).row(("age",))


@pytest.mark.parametrize("name", NAMES)
def test_a_judge_survives_its_file_and_is_small(name: str, tmp_path: Path) -> None:
    judge = judges.new(name).eval()
    judges.save(judge, tmp_path / "judge.safetensors")
    again = judges.load(tmp_path / "judge.safetensors")
    frames = torch.rand(3, 3, 64, 64) * 2 - 1
    assert torch.allclose(judge.predict(frames), again.predict(frames), atol=2e-2)
    assert (tmp_path / "judge.safetensors").stat().st_size < 1_000_000
    assert sum(parameter.numel() for parameter in judge.parameters()) <= 400_000
    assert again(frames).shape == (3, len(world(name).columns)) and again.motion(frames).shape == (
        3,
        len(world(name).motions),
    )


def test_a_judge_reads_frames_of_any_size() -> None:
    assert judges.new("skies", width=4).eval()(torch.zeros(2, 3, 96, 128)).shape[0] == 2


def test_a_file_that_is_no_judge_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("not a judge")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors", {"kind": "generator"})
    for name in ("text", "other", "absent"):
        with pytest.raises(judges.JudgeError, match=name):
            judges.load(tmp_path / f"{name}.safetensors")


@pytest.mark.parametrize(
    "damage",
    [None, "{", "[]", "5", '{"world": "skies"}', '{"world": "seas", "width": 4, "columns": [], "motions": []}',
     '{"world": "skies", "width": "x", "columns": [], "motions": []}', '{"world": "skies", "width": -1, "columns": 3, "motions": []}'],
)  # fmt: skip
def test_a_judge_whose_configuration_is_damaged_is_refused(damage: str | None, tmp_path: Path) -> None:
    described = {"kind": "judge", "schema": "1"} | ({} if damage is None else {"config": damage})
    save_file({"x": torch.zeros(1)}, tmp_path / "judge.safetensors", described)
    with pytest.raises(judges.JudgeError, match="configuration"):
        judges.load(tmp_path / "judge.safetensors")


def test_training_learns_and_repeats_itself_exactly() -> None:
    first, second = (finish(train(tiny(), precision=torch.float32)) for _ in range(2))
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_training_goes_on_from_another_judge_of_the_same_world(tmp_path: Path) -> None:
    first = finish(train(tiny(), precision=torch.float32))
    judges.save(first, tmp_path / "first.safetensors")
    begun = tiny(begin_with=str(tmp_path / "first.safetensors"), learning_rate=1e-9)
    second = finish(train(begun, precision=torch.float32))
    assert torch.allclose(first.read_out[0].weight, second.read_out[0].weight, atol=1e-3)
    with pytest.raises(RecipeError, match="begin_with.*width"):
        finish(train(tiny(begin_with=begun.begin_with, width=8)))


@pytest.mark.parametrize("paired", [True, False])
def test_a_batch_carries_the_truth_of_its_frames(paired: bool) -> None:
    place = world("skies")
    frames, truth = draw_batch(place, 8, torch.Generator().manual_seed(1), paired=paired)
    attributes, motion = truth.split([len(place.columns), len(place.motions)], dim=1)
    assert frames.shape == (8, 3, 64, 64)
    assert torch.allclose(place.draw(attributes, motion, 64), frames, atol=1e-5)


def test_augmentation_is_light_and_each_frame_has_its_own() -> None:
    frames = draw_batch(world("skies"), 1, torch.Generator().manual_seed(1), paired=True)[0].expand(6, -1, -1, -1)
    changed = augment(frames, tiny(), torch.Generator().manual_seed(2))
    assert (changed - frames).square().mean(dim=(1, 2, 3)).max() < 0.05
    assert all(not torch.equal(changed[0], other) for other in changed[1:])


def test_r_squared_on_world_frames_has_a_figure_for_every_column() -> None:
    judge = judges.new("skies", width=4).eval()
    assert set(judges.validity(judge, None, clips=4, frames=2)) == set(judge.columns) | set(judge.motions)


def test_a_recipe_with_an_unknown_key_or_a_measuring_seed_is_refused(tmp_path: Path) -> None:
    recipe = tmp_path / "judge.toml"
    for text, found in (
        ('world = "skies"\nframe = 3\n', "frame.*frames"),
        ('world = "skies"\nseed = 20000000\n', "seed"),
        ("world = [", "TOML"),
    ):
        recipe.write_text(text)
        with pytest.raises(RecipeError, match=found):
            load_recipe(recipe)


def test_the_recipes_that_ship_are_readable() -> None:
    recipes = sorted(Path("recipes").glob("judge-*.toml"))
    assert {load_recipe(recipe).world for recipe in recipes} == set(NAMES)
