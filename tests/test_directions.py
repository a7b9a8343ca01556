"""Directions from words: determinism, identity at strength 0, reversal, caching by hash, resuming, and agreement with samples."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from stylegan_v import Generator
from tests import tiny_words
from vedit import directions, guidance
from vedit.directions import Statistics, StatisticsError
from vedit.guidance import Guidance
from vedit.progress import finish

SAMPLES = 200


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Guidance:
    return guidance.load(tiny_words.text_image_model(tmp_path_factory.mktemp("clip")))


@pytest.fixture(scope="module")
def generator() -> Generator:
    return tiny_words.generator()


@pytest.fixture(scope="module")
def stats(generator: Generator, model: Guidance) -> Statistics:
    return finish(directions.measure(generator, model, samples=SAMPLES))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "vedit" / "directions"


def test_statistics_are_those_of_the_samples(generator: Generator, model: Guidance, stats: Statistics) -> None:
    assert stats.samples == SAMPLES and stats.cross.shape == (12, 16)
    rng = torch.Generator().manual_seed(0)
    w = torch.cat([directions.random_frames(generator, 50, rng)[0] for _ in range(20)])
    torch.testing.assert_close(stats.w_mean, w.mean(0), rtol=0.3, atol=0.3)
    assert torch.linalg.eigvalsh(stats.w_cov).min() > -1e-5
    both = torch.cat([torch.cat([stats.w_cov, stats.cross], 1), torch.cat([stats.cross.T, stats.e_cov], 1)])
    assert torch.linalg.eigvalsh(both).min() > -1e-5  # a covariance, hence w and e belong to the same samples


def test_a_direction_is_deterministic_and_fits_every_layer(
    generator: Generator, model: Guidance, stats: Statistics
) -> None:
    first = directions.direction(stats, generator, model, "an old person", "a young person")
    again = directions.direction(stats, generator, model, "an old person", "a young person")
    styles = generator.styles(generator.mapping(torch.randn(1, 8)))
    assert {name: tuple(change.shape) for name, change in first.delta.items()} == {
        name: (value.shape[-1],) for name, value in styles.items()
    }
    assert all(torch.equal(first.delta[name], again.delta[name]) for name in styles)


def test_styles_move_as_w_would(generator: Generator, model: Guidance, stats: Statistics) -> None:
    found = directions.direction(stats, generator, model, "an old person", "a young person")
    ws = generator.mapping(torch.randn(2, 8))
    before, after = generator.styles(ws), generator.styles(ws + found.delta_w)
    for name, change in found.delta.items():
        torch.testing.assert_close(after[name] - before[name], change.expand_as(before[name]), rtol=1e-3, atol=1e-4)


def test_exchanged_texts_reverse_the_direction(generator: Generator, model: Guidance, stats: Statistics) -> None:
    there = directions.direction(stats, generator, model, "an old person", "a young person")
    back = directions.direction(stats, generator, model, "a young person", "an old person")
    for name, change in there.delta.items():
        torch.testing.assert_close(change, -back.delta[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("ridge", [0.01, 0.1, 10.0])
def test_the_predicted_score_rises_for_every_ridge(model: Guidance, stats: Statistics, ridge: float) -> None:
    text = model.encode_texts(["an old person"])[0] - model.encode_texts(["a young person"])[0]
    change = directions.w_direction(stats, text, ridge)
    slope = torch.linalg.lstsq(stats.w_cov.double(), stats.cross.double()).solution @ text.double()
    assert change.double() @ slope > 0
    # one standard deviation of w: unit length where w is white
    assert change @ torch.linalg.pinv(stats.w_cov, rcond=1e-5) @ change == pytest.approx(1, rel=0.05)


def test_a_small_ridge_moves_the_image_vector_along_the_text_alone() -> None:
    """With w that explains all of e, the predicted change of e is the wanted one: e's covariance times the texts."""
    torch.manual_seed(0)
    w = torch.randn(4000, 6)
    e = w @ torch.randn(6, 4)
    cov = torch.cov(torch.cat([w, e], 1).T)
    known = Statistics("g", "c", 4000, w.mean(0), cov[:6, :6], e.mean(0), cov[6:, 6:], cov[:6, 6:])
    text = torch.randn(4)
    change = directions.w_direction(known, text, 1e-6)
    moved = change @ torch.linalg.solve(known.w_cov, known.cross)
    assert torch.cosine_similarity(moved, known.e_cov @ text, dim=0) > 0.9999


def test_a_direction_knows_where_its_content_stands(generator: Generator, model: Guidance, stats: Statistics) -> None:
    free = directions.direction(stats, generator, model, "an old person", "a young person")
    assert free.reach is None
    for place in (-3.0, 0.0, 1.5):
        content = stats.w_mean + place * free.delta_w / directions.LENGTH
        found = directions.direction(stats, generator, model, "an old person", "a young person", content=content)
        assert found.reach is not None and found.reach.length == directions.LENGTH and torch.equal(found.delta_w, free.delta_w)
        assert found.reach.stands == pytest.approx(place, abs=1e-3)


def test_disentangle_leaves_out_the_weak_channels(generator: Generator, model: Guidance, stats: Statistics) -> None:
    def channels(disentangle: float) -> int:
        found = directions.direction(stats, generator, model, "an old person", "a person", disentangle)
        return sum(int((change != 0).sum()) for change in found.delta.values())

    assert channels(0.0) > channels(0.3) > channels(0.7) > channels(1.0) == 1


def test_statistics_are_cached_by_the_hashes_of_both_models(
    generator: Generator, model: Guidance, own_cache: Path
) -> None:
    def frames(of: Generator) -> int:
        return sum(1 for _ in directions.statistics(of, model, samples=100))

    assert frames(generator) > 0
    assert frames(generator) == 0
    other = tiny_words.generator(seed=1)
    assert frames(other) > 0
    assert len(list(own_cache.glob("*.safetensors"))) == 2
    assert finish(directions.statistics(other, model, samples=100)).generator == other.hash


def test_a_damaged_cache_is_made_anew(generator: Generator, model: Guidance, own_cache: Path) -> None:
    whole = finish(directions.statistics(generator, model, samples=100))
    (path,) = own_cache.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:100])
    again = finish(directions.statistics(generator, model, samples=100))
    assert torch.equal(whole.cross, again.cross)


def test_an_interrupted_measurement_goes_on_where_it_was(
    generator: Generator, model: Guidance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directions, "BATCH", 5)
    whole = finish(directions.measure(generator, model, samples=300))
    partial = tmp_path / "part"
    for progress in directions.measure(generator, model, samples=300, partial=partial):
        if progress.done >= 250:
            break
    steps = list(directions.measure(generator, model, samples=300, partial=partial))
    assert steps[0].done == 205
    resumed = finish(directions.measure(generator, model, samples=300, partial=partial))
    torch.testing.assert_close(resumed.cross, whole.cross)


def test_a_foreign_or_inconsistent_file_is_refused(stats: Statistics, tmp_path: Path) -> None:
    path = tmp_path / "stats.safetensors"
    path.write_bytes(b"no tensors at all")
    with pytest.raises(StatisticsError, match="holds no channel statistics"):
        Statistics.load(path)
    dataclasses.replace(stats, w_cov=torch.zeros(3, 3)).save(path)
    with pytest.raises(StatisticsError, match="do not fit"):
        Statistics.load(path)
    stats.save(path)
    assert torch.equal(Statistics.load(path).cross, stats.cross)


def test_conditional_and_image_generators_have_directions_too(model: Guidance) -> None:
    image = tiny_words.generator(motion=None, input_kind="const")
    conditional = tiny_words.generator(c_dim=3)
    in_styles = tiny_words.generator(motion_in="styles", input_kind="const")
    for kind in (image, conditional, in_styles):
        stats = finish(directions.measure(kind, model, samples=50))
        found = directions.direction(stats, kind, model, "bright sun")
        assert all(change.isfinite().all() for change in found.delta.values())
