"""Laws and oracles of the kernel distance, of precision and recall, and of the windows that FVD sees."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from stylegan_v.metrics.frechet import statistics
from stylegan_v.metrics.kernel import kernel_distance, squared_discrepancy
from stylegan_v.metrics.precision_recall import precision_recall
from stylegan_v.metrics.windows import WINDOWS, Choices, Window, choose_frames, choose_windows


def rows(count: int, seed: int, features: int = 5, shift: float = 0.0) -> Tensor:
    return torch.randn(count, features, generator=torch.Generator().manual_seed(seed)) + shift


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_kernel_distance_equals_a_plain_double_loop() -> None:
    a, b = rows(7, 0).double(), rows(9, 1, shift=0.5).double()

    def kernel(x: Tensor, y: Tensor) -> float:
        return (float(x @ y) / 5 + 1) ** 3

    within_a = sum(kernel(a[i], a[j]) for i in range(7) for j in range(7) if i != j) / (7 * 6)
    within_b = sum(kernel(b[i], b[j]) for i in range(9) for j in range(9) if i != j) / (9 * 8)
    between = sum(kernel(x, y) for x in a for y in b) / (7 * 9)
    assert squared_discrepancy(a.float(), b.float()) == pytest.approx(within_a + within_b - 2 * between, rel=1e-5)


def test_kernel_distance_of_equal_distributions_is_unbiased_and_of_others_is_not_small() -> None:
    a, b, far = rows(400, 0), rows(400, 1), rows(400, 2, shift=1.0)
    near = kernel_distance(a, b, rng(), subsets=200, size=20)
    assert abs(near.mean) < 4 * near.spread / math.sqrt(200) + 0.05 < kernel_distance(a, far, rng(), subsets=200, size=20).mean


def test_kernel_distance_is_determined_by_its_generator_and_takes_whole_small_sets_once() -> None:
    a, b = rows(30, 0), rows(40, 1)
    first = kernel_distance(a, b, rng(3), subsets=5, size=10)
    assert first == kernel_distance(a, b, rng(3), subsets=5, size=10) != kernel_distance(a, b, rng(4), subsets=5, size=10)
    whole = kernel_distance(a, b[:30], rng())
    assert (whole.subsets, whole.size) == (1, 30) and math.isnan(whole.spread)
    assert whole.mean == pytest.approx(squared_discrepancy(a, b[:30]))
    with pytest.raises(ValueError, match="at least 2"):
        kernel_distance(a, b[:1], rng())


@pytest.mark.parametrize("neighbours", [1, 3])
def test_precision_and_recall_equal_brute_force_for_any_chunk(neighbours: int) -> None:
    real, fake = rows(40, 0, 3).double(), 0.7 * rows(55, 1, 3).double() + 0.6

    def share(points: Tensor, centres: Tensor) -> float:
        own = torch.stack([(centres - centre).norm(dim=1).sort().values[neighbours] for centre in centres])
        return sum(bool(((centres - point).norm(dim=1) <= own).any()) for point in points) / len(points)

    expected = share(fake, real), share(real, fake)
    assert 0 < min(expected) and max(expected) < 1, "the oracle must be able to tell"
    for chunk in (7, 16, 1000):
        found = precision_recall(real, fake, neighbours=neighbours, chunk=chunk)
        assert (found.precision, found.recall) == pytest.approx(expected)


def test_precision_and_recall_of_identical_and_of_disjoint_sets() -> None:
    real = rows(30, 0)
    same, apart = precision_recall(real, real.flip(0)), precision_recall(real, real + 1000)
    assert (same.precision, same.recall, apart.precision, apart.recall) == (1, 1, 0, 0)
    part = precision_recall(real, real[:1].expand(10, -1))  # one mode: precise, and blind to the rest
    assert part.precision == 1 and part.recall == pytest.approx(1 / 30)
    with pytest.raises(ValueError, match="more rows than neighbours"):
        precision_recall(real, real[:3])


LENGTHS = [16, 15, 40, 300, 127, 128, 129, 1000, 3]


@pytest.mark.parametrize("name", WINDOWS)
def test_a_window_of_each_long_enough_video_and_never_two(name: str) -> None:
    window = WINDOWS[name]
    for seed in range(20):
        found = choose_windows(LENGTHS, window, 100, rng(seed))
        clips = [choice.clip for choice in found.chosen]
        assert clips == [i for i, length in enumerate(LENGTHS) if length >= window.length]
        assert found.left_out == len(LENGTHS) - len(clips)
        for choice in found.chosen:
            steps = {b - a for a, b in zip(choice.frames, choice.frames[1:], strict=False)}
            assert steps == {window.stride} and choice.frames[0] >= 0
            assert choice.frames[0] + window.length <= LENGTHS[choice.clip]


def test_the_paper_s_windows() -> None:
    assert [(len(window.frames()), window.frames()[-1]) for window in WINDOWS.values()] == [(16, 15), (128, 127), (16, 120)]
    with pytest.raises(ValueError, match="at least 1"):
        Window(0)


def test_windows_reach_both_ends_of_a_video() -> None:
    starts = {choose_windows([20], Window(16), 1, rng(seed)).chosen[0].frames[0] for seed in range(200)}
    assert starts == {0, 1, 2, 3, 4}


def test_choices_are_determined_by_the_seed_and_fewer_are_a_part_of_more() -> None:
    lengths = [20 + i % 7 for i in range(50)]

    def chosen(count: int, seed: int) -> Choices:
        return choose_windows(lengths, WINDOWS["fvd16"], count, rng(seed))

    assert chosen(12, 1) == chosen(12, 1) != chosen(12, 2)
    assert len(chosen(12, 1).chosen) == 12 and set(chosen(12, 1).chosen) <= set(chosen(30, 1).chosen)


def test_frames_are_spread_evenly_never_twice_and_no_more_than_there_are() -> None:
    for count in (1, 5, 30, 200, 10_000):
        found = choose_frames(LENGTHS, count, rng(count)).chosen
        shares = {choice.clip: len(choice.frames) for choice in found}
        assert sum(shares.values()) == min(count, sum(LENGTHS))
        assert all(len(set(choice.frames)) == len(choice.frames) and max(choice.frames) < LENGTHS[choice.clip] for choice in found)
        most = max(shares.values())
        assert all(shares.get(clip, 0) >= min(length, most - 1) for clip, length in enumerate(LENGTHS))


def test_the_video_distance_is_the_frechet_distance_of_features_of_clips() -> None:
    clips = torch.rand(12, 4, 3, 4, 4, generator=rng())
    found = statistics(clips.split(5), lambda batch: batch.diff(dim=1).abs().mean(dim=(1, 3, 4)))
    assert found.count == 12 and found.mean.shape == (3,)
    assert found.distance(found) < 1e-9
