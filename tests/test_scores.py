"""The figures against answers that can be worked out by hand."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor

from vedit import scores


@pytest.fixture
def clip() -> Tensor:
    """Twelve frames [12, 3, 16, 16] of noise well inside [-1, 1]."""
    return torch.rand(12, 3, 16, 16, generator=torch.Generator().manual_seed(7)) - 0.5


def test_psnr_of_a_known_error_is_the_textbook_value() -> None:
    source = torch.zeros(1, 3, 8, 8)
    render = source + 20 / 127.5  # 20 steps of 255
    assert scores.psnr(source, render) == pytest.approx(20 * math.log10(255 / 20), abs=1e-6)


def test_psnr_is_the_median_over_frames() -> None:
    source = torch.zeros(3, 3, 8, 8)
    render = source + torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1, 1) / 127.5
    assert scores.psnr(source, render) == pytest.approx(20 * math.log10(255 / 10), abs=1e-6)


def test_psnr_does_not_see_less_than_half_a_step_of_eight_bits() -> None:
    source = torch.full((1, 3, 8, 8), 11 / 127.5 - 1)
    assert scores.psnr(source, source + 0.4 / 127.5) == math.inf


def test_blurring_lowers_sharpness_and_the_same_clip_has_one(clip: Tensor) -> None:
    blurred = torch.nn.functional.avg_pool2d(clip, 3, stride=1, padding=1)
    assert scores.sharpness(clip, clip) == pytest.approx(1.0)
    assert scores.sharpness(clip, 2 * clip) == pytest.approx(4.0)
    assert scores.sharpness(clip, blurred) < 0.2


def test_half_the_movement_is_a_quarter_of_the_motion_and_fully_correlated(clip: Tensor) -> None:
    render = clip.mean(dim=0) + 0.5 * (clip - clip.mean(dim=0))
    assert scores.motion_ratio(clip, render) == pytest.approx(0.25, rel=1e-4)
    assert scores.motion_correlation(clip, render) == pytest.approx(1.0, abs=1e-6)


def test_motion_in_the_wrong_intervals_is_anticorrelated() -> None:
    def steps(*values: float) -> Tensor:
        return torch.tensor([0.0, *values]).cumsum(0).view(-1, 1, 1, 1).expand(-1, 3, 4, 4) / 10

    assert scores.motion_correlation(steps(1, 0, 1, 0), steps(0, 1, 0, 1)) == pytest.approx(-1.0)


def test_motion_of_a_still_source_has_no_ratio_and_no_correlation(clip: Tensor) -> None:
    still = clip[:1].expand_as(clip)
    assert math.isnan(scores.motion_ratio(still, clip))
    assert math.isnan(scores.motion_correlation(still, clip))


def test_steady_motion_does_not_flicker_and_trembling_does() -> None:
    ramp = torch.linspace(-0.5, 0.5, 9).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    tremble = torch.tensor([0.1, -0.1] * 4 + [0.1]).view(-1, 1, 1, 1)
    assert scores.flicker(ramp) == pytest.approx(0.0, abs=1e-12)
    assert scores.flicker(ramp + tremble) == pytest.approx(0.4**2, rel=1e-4)  # 0.1 - 2 (-0.1) + 0.1


def test_report_holds_every_figure_and_writes_strict_json(clip: Tensor) -> None:
    def distance(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean(dim=(1, 2, 3))

    own = scores.report(clip, clip, {"l1": distance})
    assert own.psnr == math.inf and own.perceptual["l1"] == 0 and own.frames == 12 and own.size == (16, 16)
    again = json.loads(json.dumps(own.to_dict(), allow_nan=False))
    assert again["psnr"] is None and again["motion_correlation"] == pytest.approx(1.0)


@pytest.mark.parametrize("batch", [1, 2, 5, 12])
def test_a_clip_in_chunks_has_the_figures_of_the_whole(clip: Tensor, batch: int) -> None:
    render = clip.flip(0) * 0.8
    found = scores.report(clip, render, {"l2": lambda a, b: (a - b).square().mean(dim=(1, 2, 3))}, batch=batch)
    assert found.psnr == pytest.approx(scores.psnr(clip, render)) and found.sharpness == pytest.approx(scores.sharpness(clip, render))
    assert found.motion_ratio == pytest.approx(scores.motion_ratio(clip, render)) and found.flicker == pytest.approx(scores.flicker_ratio(clip, render))
    assert found.motion_correlation == pytest.approx(scores.motion_correlation(clip, render))
    assert found.perceptual["l2"] == pytest.approx(float((clip - render).square().mean()))


def test_perceptual_distance_does_not_depend_on_the_batch(clip: Tensor) -> None:
    def distance(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().mean(dim=(1, 2, 3))

    render = clip.flip(0)
    parts = scores.perceptual_per_frame(clip, render, distance, batch=5)
    assert torch.allclose(parts, distance(clip, render))


def test_at_size_averages_areas_and_leaves_the_right_size_alone(clip: Tensor) -> None:
    small = scores.at_size(clip, 8)
    assert torch.allclose(small[0, 0, 0, 0], clip[0, 0, :2, :2].mean())
    assert scores.at_size(clip, 16) is clip


def test_clips_of_different_shape_are_refused_with_both_shapes(clip: Tensor) -> None:
    with pytest.raises(scores.FramesMismatch, match=r"\[12, 3, 16, 16\].*\[11, 3, 16, 16\]"):
        scores.report(clip, clip[:-1])
