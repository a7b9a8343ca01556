"""The training loop: every stage runs, a resumed run equals an unbroken one, and recipes say what is wrong with them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegan_v import ConfigError, Generator, GeneratorConfig, MotionConfig, load_generator, save_generator
from stylegan_v.config import DiscriminatorConfig
from stylegan_v.losses import (
    discriminator_logistic,
    generator_logistic,
    paired_distance,
    r1_penalty,
    shrunk,
)
from stylegan_v.training import Probes, StageConfig, TrainConfig, Trainer, sample_times, variances_of
from tests.commands import Vedit
from vedit.errors import VeditError
from vedit.progress import finish
from vedit.training import PairedWorld, Recipe, RecipeError, _begin, train
from vedit.training_plan import plan
from vedit.training_watch import TrainingWarning
from vedit.worlds import world

RECIPES = Path(__file__).parents[1] / "recipes"
MOTION = MotionConfig(
    z_dim=32,
    v_dim=8,
    distance=16,
    kernel_size=5,
    num_freqs=4,
    min_period=16,
    max_period=32,
    lr_multiplier=1,
    max_num_frames=32,
)


def tiny(*stages: StageConfig) -> TrainConfig:
    generator = GeneratorConfig(
        resolution=16, z_dim=64, w_dim=16, channel_base=128, channel_max=16, mapping_lr_multiplier=1, motion=MOTION
    )
    judge = DiscriminatorConfig(
        resolution=16, channel_base=128, channel_max=16, concat_res=8, num_frames=2, max_num_frames=32, time_embed_dim=8
    )
    return TrainConfig(
        generator=generator, discriminator=judge, stages=stages, max_t=32, precision="fp32", quiet_waves=True, seed=3
    )


STAGES = (
    StageConfig(steps=2, clips=4, frames=2, paired=0.0, codes=1.0, beta1=0.9),
    StageConfig(steps=2, clips=4, resolution=8, pyramid=0.5, codes=0.1, codes_lr=0.1, beta1=0.9),
    StageConfig(steps=4, clips=4, frames=2, paired=2.0, adversarial=0.3, r1_interval=2),
)


def trainer() -> Trainer:
    return Trainer(tiny(*STAGES), PairedWorld(world("skies"), 16))


def parameters(one: Trainer) -> list[Tensor]:
    assert one.discriminator is not None
    return [*one.generator.parameters(), *one.ema.parameters(), *one.discriminator.parameters()]


def test_a_resumed_run_equals_an_unbroken_one_to_the_bit(tmp_path: Path) -> None:
    unbroken = trainer()
    events = list(unbroken.run())
    assert [event.stage for event in events] == [0, 0, 1, 1, 2, 2, 2, 2]
    for stop in (1, 3, 5, 7):
        first = trainer()
        assert len(list(first.run(stop))) == stop
        first.save(tmp_path / "state.pt")
        second = trainer()
        second.load(tmp_path / "state.pt")
        list(second.run())
        assert second.frames == unbroken.frames
        assert all(torch.equal(a, b) for a, b in zip(parameters(second), parameters(unbroken), strict=True)), stop


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    trainer().save(tmp_path / "state.pt")
    other = Trainer(tiny(*STAGES[:2]), PairedWorld(world("skies"), 16))
    with pytest.raises(ValueError, match="other settings"):
        other.load(tmp_path / "state.pt")


def test_the_code_stage_makes_codes_readable_and_leaves_images_alone() -> None:
    one = Trainer(
        tiny(StageConfig(steps=150, clips=64, frames=2, paired=0.0, codes=1.0, lr=0.01, beta1=0.9)),
        PairedWorld(world("skies"), 16),
    )
    before = one.generator.synthesis.b16.conv1.weight.clone()
    losses = [event.losses["codes"] for event in one.run()]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    assert torch.equal(before, one.generator.synthesis.b16.conv1.weight)
    assert one.frames == 0


def test_a_rare_motion_is_read_as_carefully_as_a_constant_one() -> None:
    attributes, motions = variances_of(PairedWorld(world("portraits"), 16), tiny(*STAGES).generator)
    names = [motion.name for motion in world("portraits").motions]
    rare, common = (motions[names.index(name)] for name in ("blink", "yaw"))
    assert rare < common / 4  # else there is nothing to make up for
    probes = Probes(tiny(*STAGES).generator, attributes, motions)
    nothing = torch.zeros(1, 16), torch.zeros(1, 2, 8)
    for layer in (probes.content, probes.motion):
        torch.nn.init.zeros_(layer.bias)
    errors = {}
    for name, variance in (("blink", rare), ("yaw", common)):
        motion = torch.zeros(1, 2, len(names))
        motion[..., names.index(name)] = variance.sqrt()  # off by one standard deviation
        errors[name] = probes(*nothing, torch.zeros(1, len(attributes)), motion).item()
    assert errors["blink"] == pytest.approx(errors["yaw"]) and errors["yaw"] > 0


def test_the_paired_stage_learns() -> None:
    one = Trainer(tiny(StageConfig(steps=120, clips=16, lr=0.01, beta1=0.9)), PairedWorld(world("skies"), 16))
    losses = [event.losses["paired"] for event in one.run()]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_rates_ramp_up_and_fall_to_their_end() -> None:
    stage = StageConfig(steps=100, ramp_steps=10, lr=1.0, lr_end=0.1, codes_lr=0.5)
    assert stage.rate(0) == pytest.approx(0.1, rel=1e-3) and stage.rate(10) > 0.95
    assert stage.rate(99) == pytest.approx(0.1, abs=1e-2)
    assert stage.rates(50)[1] == stage.rates(50)[0] * 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"adversarial": 1.0, "frames": 1}, "frames"),
        ({"paired": 0.0}, "paired"),
        ({"moving": 1.0}, "frames"),
        ({"adversarial": 1.0, "frames": 2, "resolution": 8}, "resolution"),
    ],
)
def test_impossible_stages_are_refused_by_key(change: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StageConfig(**({"steps": 1} | change))  # type: ignore[arg-type]


def test_an_adversarial_stage_needs_a_discriminator() -> None:
    with pytest.raises(ConfigError, match="discriminator"):
        TrainConfig(generator=tiny(*STAGES).generator, stages=STAGES)


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_times_lie_in_range_and_ascend_over_a_power_of_two(frames: int) -> None:
    t = sample_times(200, frames, 64, torch.Generator().manual_seed(0))
    assert t.shape == (200, frames) and t.min() >= 0 and t.max() < 64
    if frames > 1:
        spans = t[:, -1] - t[:, 0]
        assert (t.diff(dim=1) >= 0).all()
        torch.testing.assert_close(spans.log2(), spans.log2().round(), atol=1e-3, rtol=0)
        assert spans.max() <= 32.001 and spans.min() >= frames / 2 - 1


def test_losses_follow_their_formulas() -> None:
    logits = torch.tensor([0.0, 2.0])
    assert generator_logistic(logits) == pytest.approx((torch.log1p(torch.exp(-logits))).mean().item())
    assert discriminator_logistic(logits, -logits) == pytest.approx(2 * torch.log1p(torch.exp(-logits)).mean().item())
    frames = torch.randn(2, 3, 3, 4, 4, requires_grad=True)
    # logits = sum of squares: the gradient is 2 x, its square summed over pixels, averaged over clips and frames
    assert r1_penalty(frames.square().flatten(1).sum(1), frames).item() == pytest.approx(
        4 * frames.square().sum((2, 3, 4)).mean().item(), rel=1e-5
    )
    step = torch.zeros(1, 1, 4, 4)
    step[..., 2:] = 1
    assert paired_distance(step, torch.zeros_like(step), edges=1.0).item() == pytest.approx(0.5 + 1 / 3)
    assert paired_distance(step, step).item() == 0
    # of a thing that is there in one case of four the L1 wants nothing, the squared error a quarter
    there = torch.zeros(4, 1, 1, 2, 2)
    there[0] = 1
    for squared, best in ((0.0, 0.0), (1.0, 0.25)):
        grid = torch.linspace(0, 1, 101)
        losses = [paired_distance(torch.full_like(there, value), there, squared=squared).item() for value in grid.tolist()]
        assert grid[losses.index(min(losses))].item() == pytest.approx(best)
    clip = torch.zeros(1, 3, 1, 4, 4)
    clip[:, 1] = 1  # of two differences in time both are 1, of three frames one is off
    assert paired_distance(clip, torch.zeros_like(clip), edges=0.0, motion=2.0).item() == pytest.approx(1 / 3 + 2)
    assert paired_distance(clip[:, :1], torch.ones(1, 1, 1, 4, 4), edges=0.0, motion=2.0).item() == pytest.approx(1)


def test_places_that_change_can_count_more() -> None:
    real = torch.zeros(1, 3, 3, 4, 4)
    real[:, 1:, :, 0, 0] = 1  # one of 16 places changes, between the first two frames
    still, moved = torch.zeros_like(real), torch.zeros_like(real)
    still[..., 3, 3], moved[..., 0, 0] = 1, 1
    plain = paired_distance(real + still, real, edges=0.0)
    assert paired_distance(real + still, real, edges=0.0, moving=5.0).item() == pytest.approx(plain.item())
    # there the weight is 24 in the frames on either side of the change and 0 in the last: 1 on the average of all places
    assert paired_distance(real + moved, real, edges=0.0, moving=5.0).item() == pytest.approx(plain.item() * (1 + 5 * 16), rel=1e-5)
    assert paired_distance(real[:, :1] + moved[:, :1], real[:, :1], edges=0.0, moving=5.0).item() == pytest.approx(plain.item())
    assert paired_distance(still, torch.zeros_like(real), edges=0.0, moving=5.0).item() == pytest.approx(plain.item())  # nothing moves


def test_shrinking_averages() -> None:
    frames = torch.rand(2, 3, 3, 8, 8)
    assert shrunk(frames, 8) is frames
    torch.testing.assert_close(shrunk(frames, 2).mean(), frames.mean())


def test_every_recipe_of_a_generator_is_valid() -> None:
    found = [path for path in sorted(RECIPES.glob("*.toml")) if "[train]" in path.read_text()]
    assert {"portraits-2", "skies-2"} <= {path.stem for path in found}, "no recipes found"
    for path in found:
        recipe = Recipe.read(path)
        assert recipe.name == path.stem and recipe.train.total_steps > 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 1\nworlds = 2", "worlds"),
        ("][", "recipe.toml"),
        ('name = "a"\nworld = "moon"\ntrain = 1', "train is 1, wanted a table"),
        ('name = "a"\nworld = "skies"', "train is missing"),
        ('name = "a"\nworld = "skies"\n[train]\n[[train.stages]]\nsteps = 0\n[train.generator]\nresolution = 64', r"train\.stages\.0\.steps is 0, wanted"),
    ],
)
def test_bad_recipes_name_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        Recipe.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.stages=[]", r"train\.stages is \(\), wanted one at least"),
        ("train.stages.1.resolution=3", r"train\.stages\.1\.resolution is 3, wanted a power of two"),
        ("train.stages.1.resolution=128", r"train\.stages\.1\.resolution is 128, wanted at most the generator's, 64"),
        ("train.stages.1.frames=40", r"train\.stages\.1\.frames is 40, wanted at most 33"),
        ("train.stages.3.frames=3", r"train\.stages\.3\.frames is 3, wanted 2 as the discriminator has"),
        ("train.stages.2.edges=-5", r"train\.stages\.2\.edges is -5, wanted a number from 0"),
        ("train.stages.2.codes_lr=-1", r"train\.stages\.2\.codes_lr is -1, wanted a number from 0"),
        ("train.stages.2.squared=3", r"train\.stages\.2\.squared is 3, wanted a number from 0 to 1"),
        ("train.stages.2.lr_end=1.5", r"train\.stages\.2\.lr_end is 1\.5, wanted a number from 0 to 1"),
        ("train.stages.2.beta1=2", r"train\.stages\.2\.beta1 is 2, wanted a number from 0 to below 1"),
        ("train.stages.2.beta1=1", r"train\.stages\.2\.beta1 is 1, wanted a number from 0 to below 1"),
        ("train.max_t=8", r"train\.max_t is 8, wanted at least 9, which a stage of 8 frames"),
        ("train.max_t=0", r"train\.max_t is 0, wanted a whole number from 1"),
        ("train.seed=1152921504606846976", r"train\.seed is 1152921504606846976, wanted a whole number from 0 to 8796093022208"),
        ("train.generator.motion=none", r"train\.generator\.motion is None, wanted a table"),
        ("train.generator.motion.kind=lstm", r"train\.generator\.motion\.kind is 'lstm', wanted 'conv'"),
        ("train.generator.c_dim=3", r"train\.generator\.c_dim is 3, wanted 0"),
        ("train.discriminator.c_dim=3", r"train\.discriminator\.c_dim is 3, wanted 0"),
        ("train.discriminator.resolution=32", r"train\.discriminator\.resolution is 32, wanted 64 as the generator has"),
        ("train.generator.z_dim=32", r"train\.generator\.z_dim is 32, wanted 64 as the world skies has"),
        ("train.generator.motion.z_dim=8", r"train\.generator\.motion\.z_dim is 8, wanted 32 as the world skies has"),
        ("train.generator.motion.kernel_size=3", r"train\.generator\.motion\.kernel_size is 3, wanted at least 5"),
        ("train.generator.motion.distance=100", r"train\.generator\.motion\.distance is 100, wanted at most 16"),
    ],
)
def test_a_run_that_could_not_be_is_refused_by_file_and_key(change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=rf"skies-2\.toml: {message}"):
        Recipe.read(RECIPES / "skies-2.toml", [change])


def test_the_largest_seed_and_the_shortest_span_can_be_run() -> None:
    stage = StageConfig(steps=1, clips=2, frames=2)
    one = Trainer(dataclasses.replace(tiny(stage), seed=1 << 43, max_t=2), PairedWorld(world("skies"), 16))
    assert len(list(one.run())) == 1


def test_values_of_a_recipe_can_be_overruled() -> None:
    recipe = Recipe.read(RECIPES / "skies-2.toml", ["train.seed=4", "train.stages.0.steps=7", "name=other", "train.precision=fp32"])
    plain = Recipe.read(RECIPES / "skies-2.toml")
    assert (recipe.train.seed, recipe.train.stages[0].steps, recipe.name, recipe.train.precision) == (4, 7, "other", "fp32")
    assert recipe.train.stages[1:] == plain.train.stages[1:]


@pytest.mark.parametrize("change", ["train.seed", "=3", "train.stages.99.steps=1", "train.stages.x=1", "name.deep=1", "train.sed=1", "train.seed=high"])
def test_an_overruling_that_fits_nothing_is_refused(change: str) -> None:
    with pytest.raises(RecipeError):
        Recipe.read(RECIPES / "skies-2.toml", [change])


def test_a_beginning_that_is_not_there_is_told_by_the_plan_and_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = Recipe(name="tiny", world="skies", train=tiny(StageConfig(steps=1, clips=2)), begin_with="first-1.safetensors")
    said = "begin_with = first-1.safetensors of the recipe tiny is not there: the head of the recipe.*how to get it.*--set begin_with=FILE"
    with pytest.warns(TrainingWarning, match=said):
        finish(plan(one))
    with pytest.raises(RecipeError, match=said):
        finish(train(one, tmp_path / "run"))
    with pytest.raises(RecipeError, match="begin_with: no generator is called 'first-1'.*--set begin_with="):
        finish(train(dataclasses.replace(one, begin_with="first-1"), tmp_path / "run"))


def test_the_example_of_a_recipe_of_a_world_begins(vedit: Vedit) -> None:
    said = vedit("train", "--help").stdout
    (example,) = re.findall(r"vedit train recipes/portraits-2\.toml (.*)", said)
    recipe = Recipe.read(RECIPES / "portraits-2.toml", re.findall(r"--set (\S+)", example))
    _begin(Trainer(recipe.train, PairedWorld(world(recipe.world), recipe.train.generator.resolution)), recipe)


def test_a_plan_counts_what_the_run_would_do() -> None:
    recipe = Recipe(name="tiny", world="skies", train=tiny(*STAGES))
    found = finish(plan(recipe))
    events = list(Trainer(recipe.train, PairedWorld(world("skies"), 16)).run())
    assert sum(stage.frames for stage in found.stages) == events[-1].frames
    assert [stage.steps for stage in found.stages] == [stage.steps for stage in STAGES]
    assert found.generator_parameters == sum(weight.numel() for weight in Generator(recipe.train.generator).parameters())
    assert found.seconds > 0


def test_a_run_writes_a_generator_a_log_and_sheets_and_goes_on(tmp_path: Path) -> None:
    recipe = Recipe(name="tiny", world="skies", train=tiny(*STAGES), save_every=4)
    path = finish(train(recipe, tmp_path / "run"))
    assert path.exists() and (tmp_path / "run" / "log.jsonl").read_text().count("\n") == 2
    assert len(list((tmp_path / "run").glob("sheet-*.png"))) == 2
    with pytest.raises(RecipeError, match="--resume"):
        finish(train(recipe, tmp_path / "run"))
    assert finish(train(recipe, tmp_path / "run", resume=True)) == path


def test_a_state_that_memory_is_too_small_for_is_not_refused_as_another_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*given: object, **more: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    recipe = Recipe(name="tiny", world="skies", train=tiny(*STAGES), save_every=4)
    finish(train(recipe, tmp_path / "run"))
    monkeypatch.setattr(torch, "load", run_out)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        finish(train(recipe, tmp_path / "run", resume=True))


def test_a_run_can_go_on_from_a_generator_of_the_same_configuration(tmp_path: Path) -> None:
    first = Trainer(tiny(*STAGES), PairedWorld(world("skies"), 16)).generator
    with torch.no_grad():
        for weight in first.parameters():
            weight.add_(1)
    save_generator(first, tmp_path / "first.safetensors")
    still = StageConfig(steps=1, clips=2, lr=1e-9, beta1=0.9)
    recipe = Recipe("tiny", "skies", tiny(still), begin_with=str(tmp_path / "first.safetensors"))
    found = load_generator(finish(train(recipe, tmp_path / "run")))
    pairs = zip(found.parameters(), first.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)
    wide = GeneratorConfig.from_dict({**first.cfg.to_dict(), "channel_base": 2 * first.cfg.channel_base})
    save_generator(Generator(wide), tmp_path / "wide.safetensors")
    with pytest.raises(RecipeError, match="another configuration"):
        finish(train(dataclasses.replace(recipe, begin_with=str(tmp_path / "wide.safetensors")), tmp_path / "other"))
    with pytest.raises(VeditError):
        finish(train(dataclasses.replace(recipe, begin_with="nobody-7"), tmp_path / "third"))
