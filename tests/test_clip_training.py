"""Training the small text–image model: resumes exactly, exports what open_clip loads, knows what it has seen."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from stylegan_v import save_generator
from tests import tiny_words
from vedit import clip_examples, clip_scores, guidance
from vedit.clip_scores import Probe
from vedit.clip_training import ClipRecipe, ClipRecipeError, ClipTraining
from vedit.guidance import STOP_WORDS
from vedit.progress import finish
from vedit.views import vary
from vedit.worlds import world

PORTRAITS = ("portraits",)
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("saved", [1, 4])
def test_a_resumed_training_is_the_uninterrupted_one(tmp_path: Path, saved: int) -> None:
    whole = ClipTraining(tiny_words.recipe(text_steps=3, image_steps=2, worlds=PORTRAITS))
    finish(whole.run())
    first = ClipTraining(whole.recipe)
    for progress in first.run(tmp_path):
        if progress.done == saved + 1:
            break  # killed before the save of this step
    second = ClipTraining(whole.recipe)
    second.resume(tmp_path)
    assert second.step == saved
    finish(second.run())
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
    assert whole.seen_words == second.seen_words


def test_another_recipe_does_not_resume(tmp_path: Path) -> None:
    finish(ClipTraining(tiny_words.recipe(worlds=PORTRAITS)).run(tmp_path))
    with pytest.raises(ClipRecipeError, match="another recipe"):
        ClipTraining(tiny_words.recipe(text_steps=2, worlds=PORTRAITS)).resume(tmp_path)


def test_the_exported_model_loads_knows_its_words_and_is_silent_on_others(tmp_path: Path) -> None:
    training = ClipTraining(tiny_words.recipe(text_batch=16, worlds=PORTRAITS))
    finish(training.run(tmp_path))
    model = guidance.load(f"local-dir:{tmp_path}")
    assert model.unknown_words("zeppelin") == ["zeppelin"]
    assert training.seen_words and model.unknown_words(" ".join(training.seen_words)) == []
    token = training.tokens("zeppelin")[0, 1]
    assert not model.model.state_dict()["text.token_embedding.weight"][token].any()


def test_both_stages_learn() -> None:
    training = ClipTraining(
        tiny_words.recipe(text_steps=40, image_steps=40, text_batch=32, image_batch=16, warmup=5, worlds=PORTRAITS)
    )
    training.pools[0].fill(40)
    text = [training.text_step()["contrast"] for _ in range(40)]
    images = [training.image_step()["off"] for _ in range(40)]
    assert sum(text[-5:]) < sum(text[:5]) and sum(images[-5:]) < sum(images[:5])


@pytest.mark.parametrize(
    ("text", "message"), [("stepz = 3", "stepz"), ("text_steps = 0", "text_steps"), ("steps = ", "Invalid")]
)
def test_a_bad_recipe_names_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ClipRecipeError, match=message) as caught:
        ClipRecipe.read(path)
    assert "bad.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_the_recipe_of_the_built_in_is_valid_and_its_probes_name_columns() -> None:
    recipe = ClipRecipe.read(ROOT / "recipes" / "clip-1.toml")
    for probe in recipe.probes:
        assert set(probe.columns) <= set(world(probe.world).columns)
    assert {probe.world for probe in recipe.probes} == set(recipe.worlds)


def test_a_step_draws_the_same_frames_whatever_came_before() -> None:
    def pool() -> clip_examples.ExamplePool:
        return clip_examples.ExamplePool(world("portraits"), 16, 8, 4, seed=5)

    straight, late = pool(), pool()
    straight.fill(0)
    straight.renew(0)
    straight.renew(1)
    late.fill(2)
    assert torch.equal(straight.images, late.images) and torch.equal(straight.attributes, late.attributes)


def test_frames_of_a_paired_generator_carry_the_attributes_of_their_z(tmp_path: Path) -> None:
    generator = tiny_words.generator(
        z_dim=64, motion=tiny_words.MotionConfig(z_dim=32, v_dim=8, kernel_size=5, num_freqs=4)
    )
    pool = clip_examples.ExamplePool(
        world("portraits"), 16, 8, 8, seed=5, generator=tmp_path / "g.safetensors", share=1.0
    )
    save_generator(generator, pool.path)
    pool.renew(0)
    z, t, motion_z = clip_examples.random_inputs(pool.world, 8, torch.Generator().manual_seed(5 * 1_000_003 + 500_000))
    assert torch.equal(pool.attributes, pool.world.attributes_from_z(z))
    frames = generator.synthesis(generator.mapping(z), t, motion_z)[:, 0].clamp(-1, 1)
    torch.testing.assert_close(pool.images.float() / 127.5 - 1, frames, atol=0.01, rtol=0)
    assert pool.attributes.abs().max() <= 1 and pool.images.float().std() > 0


def test_of_several_drafts_those_with_rare_words_are_kept_more_often() -> None:
    rng = torch.Generator().manual_seed(1)

    def share(drafts: int) -> float:
        attributes, texts = clip_examples.CaptionedRows(world("portraits"), 1, drafts).draw(4000, rng)
        assert attributes.shape[0] == len(texts) == 4000
        return sum(any(word in text for word in ("blond", "golden", "ginger")) for text in texts) / len(texts)

    assert share(4) > 1.5 * share(1)


def test_rewording_keeps_every_word_that_says_something() -> None:
    draw = random.Random(0)
    caption = "a photo of an old person with a beard in front of a green wall"
    wanted = {word for word in caption.split() if word not in STOP_WORDS}
    varied = {clip_examples.reword(caption, draw) for _ in range(200)}
    assert len(varied) > 20 and all(wanted <= set(text.split()) for text in varied)


def test_views_differ_a_little_and_keep_the_mean_colour() -> None:
    frames = torch.zeros(64, 3, 32, 32)
    frames[:, 0] = 0.5
    views = vary(frames, torch.Generator().manual_seed(0))
    assert not torch.equal(views, frames)
    torch.testing.assert_close(views.mean((0, 2, 3)), torch.tensor([0.5, 0.0, 0.0]), atol=0.03, rtol=0)
    assert torch.equal(vary(frames, torch.Generator().manual_seed(0), strength=0.0), frames)


def test_a_probe_of_a_model_that_reads_the_attribute_picks_it_always(tmp_path: Path) -> None:
    """A stand-in whose image vectors are the attributes themselves: the probe must find the perfect correlation."""
    tiny_words.text_image_model(tmp_path)
    model = guidance.load(f"local-dir:{tmp_path}")
    pool = clip_examples.ExamplePool(world("portraits"), 32, 60, 60, seed=9)
    pool.fill(0)
    columns = pool.world.columns
    vectors = pool.attributes
    text = torch.zeros(2, len(columns))
    text[0, columns.index("age")] = 1
    model.encode_texts = lambda texts: text  # type: ignore[method-assign]
    each = Probe(world="portraits", prompt="an old person", neutral="a young person", columns={"age": 1.0})
    score = clip_scores._probe(model, vectors, pool.attributes, pool, each)
    assert score.correlation == pytest.approx(1) and score.pick == 1 and score.leak < 0.6
