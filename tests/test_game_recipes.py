"""Recipes of the game on clips: every file is valid, small networks can be built, and bad ones name file and key."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from stylegan_v import Generator
from stylegan_v.game import Game
from stylegan_v.game_judges import judge_clips, make_judges
from tests.tiny_game import tiny_config, write_clips
from vedit.progress import finish
from vedit.training import Recipe, RecipeError
from vedit.training_game import GameRecipe, open_clips, read_recipe
from vedit.training_plan import plan_game
from vedit.training_watch import TrainingWarning

RECIPES = Path(__file__).parents[1] / "recipes"
WANTED = {
    *(f"paper-256-{name}" for name in ("faceforensics", "sky", "ucf101", "rainbowjelly")),
    *(f"ablation-{name}-32" for name in ("stylegan-v", "lstm-d1", "lstm-d16", "mocogan")),
    *("custom-256", "custom-128", "laptop-64", "images-64", "paper-1024-mead"),
}


def recipes() -> dict[str, GameRecipe]:
    paths = [path for path in sorted(RECIPES.glob("*.toml")) if "[game]" in path.read_text()]
    assert {path.stem for path in paths} >= WANTED, "recipes are missing"
    found = {path.stem: read_recipe(path) for path in paths}
    assert all(isinstance(recipe, GameRecipe) for recipe in found.values())
    return found  # type: ignore[return-value]


def test_every_recipe_is_valid_and_says_what_the_house_style_asks_for() -> None:
    for name, recipe in recipes().items():
        assert recipe.name == name
        header = (RECIPES / f"{name}.toml").read_text().partition("\nname = ")[0]
        assert header.startswith("# Purpose: ") and f"# Command: vedit train recipes/{name}.toml" in header
        assert "ime" in header and "Result" in header
        assert recipe.game.total_steps > 500 and recipe.save_every <= min(1000, recipe.game.total_steps)
        assert GameRecipe.from_dict(recipe.to_dict()) == recipe


def test_networks_of_the_small_recipes_can_be_built_and_judge_what_they_make() -> None:
    small = {name: recipe for name, recipe in recipes().items() if recipe.game.generator.resolution <= 64}
    assert len(small) == 6
    for recipe in small.values():
        cfg = recipe.game
        generator, judges = Generator(cfg.generator), make_judges(cfg)
        width = 0 if cfg.generator.motion is None else cfg.generator.motion.z_dim
        t = torch.arange(cfg.num_frames).float().expand(4, -1)
        z = torch.randn(4, cfg.generator.z_dim)
        motion_z = torch.randn(4, generator.num_motion_codes(cfg.span_of_times - 1), width)
        with torch.no_grad():
            frames = generator(z, t, motion_z)
            logits = judge_clips(judges, frames, t, None, torch.arange(4))
        assert frames.shape == (4, cfg.num_frames, 3, cfg.generator.resolution, cfg.generator.resolution)
        assert all(values.isfinite().all() for values in logits)


def test_the_ablations_differ_in_nothing_but_motion_and_judges() -> None:
    found = {name: recipe.game for name, recipe in recipes().items() if name.startswith("ablation-")}
    ours = found.pop("ablation-stylegan-v-32")
    for name, cfg in found.items():
        assert (cfg.batch, cfg.r1_gamma, cfg.lr, cfg.seed) == (ours.batch, ours.r1_gamma, ours.lr, ours.seed)
        # The budget is compute time: a clip that is judged as sixteen frames costs about three times as much.
        assert cfg.kimg < ours.kimg if name == "ablation-mocogan-32" else cfg.kimg == ours.kimg
        for key in ("z_dim", "w_dim", "channel_base", "channel_max", "resolution", "motion_dim"):
            assert getattr(cfg.generator, key) == getattr(ours.generator, key)


def test_the_papers_recipes_have_the_papers_settings() -> None:
    found = recipes()
    faces, sky = found["paper-256-faceforensics"].game, found["paper-256-sky"].game
    assert (faces.batch, faces.num_frames, faces.kimg, faces.precision) == (64, 3, 25_000, "fp16")
    assert faces.gamma == pytest.approx(0.0002 * 256**2 / 64) and faces.ema_half_life == 20_000
    assert faces.generator.motion is not None and sky.generator.motion is not None
    assert (faces.generator.motion.min_period, sky.generator.motion.min_period) == (16, 256)
    assert found["paper-256-ucf101"].game.generator.c_dim == 101
    assert found["paper-1024-mead"].game.lr == 0.002


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[game]\nkimg = 1", "generator"),
        ("[game]\nkimgs = 1\n[game.generator]\nresolution = 16", "kimgs"),
        ("[game]\n[game.sampling]\nflip = true", r"\[data\]"),
        ("[data]\nflips = true\n[game]\n", "flips"),
        ("[watch]\nlog_every = 0\n[game]\n", "log_every"),
        ('[metrics]\nbest = "fvd16"\n[game]\n', "best"),
        ('[metrics]\nnames = ["foo"]\n[game]\n', r"metrics\.names is .*'foo'.* wanted .*fvd128s8"),
        ("save_evry = 1\n[game]\n", "save_evry is no key here; wanted .*save_every"),
        ("[gmae]\nkimg = 1\n", r"\[game\].*; found gmae"),
        ("[game\n", "recipe.toml"),
    ],
)
def test_bad_recipes_name_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f'name = "a"\n{text}')
    with pytest.raises(RecipeError, match=message) as error:
        read_recipe(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("game.r1_gamma=abc", "game.r1_gamma is 'abc', wanted a number or none"),
        ("game.max_t=abc", "game.max_t is 'abc', wanted a whole number or none"),
        ("game.lr=true", "game.lr is True, wanted a number"),
        ("game.ada.target=abc", "game.ada.target is 'abc', wanted a number"),
        ("game.guard.rate_factor=2.0", "game.guard.rate_factor is 2.0, wanted a factor"),
        ("game.generator.use_noise=abc", "game.generator.use_noise is 'abc', wanted true or false"),
        ("game.generator.conv_clamp=inf", "game.generator.conv_clamp is inf, wanted a number or none"),
        ("game.generator.motion.min_period=600", "game.generator.motion.min_period is 600, wanted at most max_period"),
        ("game.generator.motion.kind=gru", "game.generator.motion.kind is 'gru', wanted 'conv' or 'lstm'"),
        ("game.generator.resolution=32", "game.discriminator.resolution is 64, wanted 32 as the generator has"),
        ("game.discriminator.concat_res=12", "game.discriminator.concat_res is 12, wanted a power of two"),
        ("game.discriminator.num_frames=40", "game.discriminator.num_frames is 40, wanted at most 33"),
        ("data.max_span=64", "data.max_span is 64, wanted less than"),
        ("data.flip=1", "data.flip is 1, wanted true or false"),
        ("game.pairs=3", "game.pairs is 3, wanted a table or none"),
        ("game.pairs.most=none", "game.pairs.most is 'none', wanted a whole number"),
        ("game.seed=none", "game.seed is 'none', wanted a whole number"),
        ("game.sed=1", "game.sed is no key here; wanted some of .*seed"),
    ],
)
def test_a_bad_value_names_file_key_and_what_is_wanted(change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=f"laptop-64.toml: {message}"):
        read_recipe(RECIPES / "laptop-64.toml", [change])


@pytest.mark.parametrize("name", ["clip-1.toml", "judge-skies-1.toml"])
def test_a_recipe_of_another_program_is_told_apart(name: str) -> None:
    with pytest.raises(RecipeError, match=rf"{name}: has neither a table \[game\].* nor \[train\]"):
        read_recipe(RECIPES / name)


def test_recipes_of_worlds_are_still_read_and_values_can_be_overruled() -> None:
    assert isinstance(read_recipe(RECIPES / "skies-2.toml", ["train.seed=4"]), Recipe)
    recipe = read_recipe(RECIPES / "laptop-64.toml", ["game.kimg=2", "data.flip=false", "data.path=clips.zip", "game.pairs=none"])
    assert isinstance(recipe, GameRecipe)
    assert (recipe.game.kimg, recipe.game.sampling.flip, recipe.data.path, recipe.game.pairs) == (2, False, "clips.zip", None)
    with pytest.raises(RecipeError, match="nothing.toml"):
        read_recipe(RECIPES / "nothing.toml")


def test_data_that_is_not_there_or_holds_videos_says_what_to_do(tmp_path: Path) -> None:
    values = {"name": "tiny", "game": tiny_config()}
    with pytest.raises(RecipeError, match="--data"):
        open_clips(GameRecipe(**values))  # type: ignore[arg-type]
    (tmp_path / "film.mp4").write_bytes(b"")
    for path in (tmp_path, tmp_path / "film.mp4"):
        with pytest.raises(RecipeError, match="vedit data prepare"):
            open_clips(GameRecipe(**values, data={"path": str(path)}))  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="nowhere"):
        open_clips(GameRecipe(**values, data={"path": str(tmp_path / "nowhere")}))  # type: ignore[arg-type]


def test_a_beginning_that_is_not_there_is_told_by_the_plan() -> None:
    game = tiny_config(kimg=0.004)
    with pytest.warns(TrainingWarning) as told:
        finish(plan_game(GameRecipe(name="tiny", game=game, begin_with="runs/other/state.pt", begin_discriminator="d.safetensors")))
    first, second = (str(one.message) for one in told)
    assert "begin_with = runs/other/state.pt of the recipe tiny is not there" in first
    assert "begin_discriminator = d.safetensors of the recipe tiny is not there" in second


def test_a_run_shorter_than_the_trial_and_odd_groups_can_be_planned() -> None:
    judge = tiny_config().discriminator
    assert judge is not None
    game = tiny_config(kimg=0.004, batch=6, micro_batch=6, discriminator=dataclasses.replace(judge, mbstd_group_size=3))
    found = finish(plan_game(GameRecipe(name="tiny", game=game)))
    assert (found.steps, found.tried) == (1, 3) and found.memory is not None


def test_a_plan_counts_the_networks_and_the_steps_without_data() -> None:
    recipe = GameRecipe(name="tiny", game=tiny_config())
    found = finish(plan_game(recipe, processes=2))
    judge = make_judges(recipe.game)
    assert found.generator_parameters == sum(weight.numel() for weight in Generator(recipe.game.generator).parameters())
    assert found.discriminator_parameters == sum(weight.numel() for weight in judge.parameters())
    assert found.steps == 8 and found.seconds > 0 and "8 steps of 4 clips" in found.summary()


def test_a_plan_tries_both_sides_and_refuses_what_training_would(tmp_path: Path) -> None:
    small = write_clips(tmp_path / "small", clips=2, size=8)
    short = write_clips(tmp_path / "short", clips=2, frames=2)
    for path, message in ((small, "8x8.*at least 16x16"), (short, "^[^:]*: no clip has the 3 frames"), (tmp_path / "none", "none")):
        with pytest.raises(RecipeError, match=message):
            finish(plan_game(GameRecipe(name="tiny", game=tiny_config(), data={"path": str(path)})))  # type: ignore[arg-type]
    fits = {"path": str(write_clips(tmp_path / "fits", clips=2))}
    moved: list[bool] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Game, "_move_generator", lambda *given, move=Game._move_generator: (moved.append(True), move(*given))[1])
        finish(plan_game(GameRecipe(name="tiny", game=tiny_config(head_start=0.03), data=fits)))  # type: ignore[arg-type]
    assert len(moved) == 4, "a head start of the judges would hide what the generator's steps cost"
