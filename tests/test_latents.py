"""The latent video: splines, their fading, extension of motion, and storage."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stylegan_v import Generator
from tests.tiny_generator import tiny_generator
from vedit.latents import LatentError, LatentVideo, Spline, extend_codes, fade


@pytest.fixture(scope="module")
def generator() -> Generator:
    return tiny_generator()


def latents(generator: Generator, span: float = 20.0, residuals: bool = True) -> LatentVideo:
    rng = torch.Generator().manual_seed(1)
    codes = torch.randn(1, generator.num_motion_codes(span), 8, generator=rng)
    with torch.no_grad():
        ws, u = generator.mapping(torch.randn(1, 16, generator=rng))[0], generator.trajectory(codes)[0]
    video = LatentVideo(ws, u[: int(span // 8) + 2], codes[0], span)
    if residuals:
        video.content = Spline.zeros(span, 8.0, tuple(ws.shape))
        video.motion = Spline.zeros(span, 2.0, (generator.cfg.motion_dim,))
        for spline in (video.content, video.motion):
            spline.coefs = torch.randn(spline.coefs.shape, generator=rng) * 0.1
    return video


def test_spline_weights_sum_to_one_and_reproduce_lines() -> None:
    spline = Spline.zeros(20.0, 3.0, (1,))
    t = torch.linspace(0, 20, 101, dtype=torch.float64)
    torch.testing.assert_close(spline.weights(t).sum(dim=1), torch.ones(101, dtype=torch.float64))
    spline.coefs = (torch.arange(spline.coefs.shape[0], dtype=torch.float64) - 1).unsqueeze(
        1
    ) * 3.0  # knots of the line y = t
    torch.testing.assert_close(spline(t)[:, 0], t)


def test_spline_is_twice_smooth() -> None:
    spline = Spline.zeros(12.0, 2.0, (1,))
    spline.coefs = torch.randn(spline.coefs.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = torch.linspace(0, 12, 2401, dtype=torch.float64)
    second = spline(t)[:, 0].diff(n=2) / 0.005**2
    assert second.diff().abs().max() < 0.05  # a jump at a knot would be of the order of the coefficients


def test_a_spline_without_spacing_is_refused() -> None:
    with pytest.raises(LatentError, match="positive"):
        Spline.zeros(10.0, 0.0, ())


@pytest.mark.parametrize(
    "change",
    [
        {"span": torch.tensor([1e30], dtype=torch.float64)},
        {"span": torch.tensor([float("nan")], dtype=torch.float64)},
        {"content_spacing": torch.tensor([-1.0], dtype=torch.float64)},
        {"ws": torch.full((4, 16), float("inf"))},
    ],
)
def test_stored_latents_without_sense_are_refused(generator: Generator, change: dict[str, Tensor]) -> None:
    with pytest.raises(LatentError):
        LatentVideo.from_state(latents(generator).state() | change)


@pytest.mark.parametrize("name", ["ws", "u", "motion_z", "content", "motion"])
def test_stored_latents_of_another_generator_are_refused(generator: Generator, name: str) -> None:
    state = latents(generator).state()
    LatentVideo.from_state(state).check(generator)
    state[name] = state[name][..., :-1]
    with pytest.raises(LatentError, match=name):
        LatentVideo.from_state(state).check(generator)


def test_fading_is_one_within_and_zero_a_code_beyond() -> None:
    t = torch.tensor([-8.0, -4.0, 0.0, 10.0, 14.0, 18.0, 30.0])
    torch.testing.assert_close(fade(t, 10.0, 8.0), torch.tensor([0.0, 0.5, 1.0, 1.0, 0.5, 0.0, 0.0]))


def test_beyond_the_clip_the_residuals_are_gone(generator: Generator) -> None:
    video, plain = latents(generator), latents(generator, residuals=False)
    t = torch.tensor([30.0, 50.5], dtype=torch.float64)
    ws, motion_v = video.at(generator, t)
    _, expected = plain.at(generator, t)
    assert motion_v is not None and expected is not None
    torch.testing.assert_close(ws[0], plain.ws.expand(2, -1, -1))
    torch.testing.assert_close(motion_v, expected)


def test_extension_continues_the_same_motion(generator: Generator) -> None:
    video = latents(generator, residuals=False)
    near, far = torch.tensor([3.0, 19.0], dtype=torch.float64), torch.tensor([3.0, 19.0, 200.0], dtype=torch.float64)
    a, b = video.at(generator, near)[1], video.at(generator, far)[1]
    assert a is not None and b is not None
    torch.testing.assert_close(a, b[:, :2])
    assert b.isfinite().all()


def test_extended_codes_do_not_depend_on_how_far() -> None:
    codes = torch.randn(4, 3)
    assert torch.equal(extend_codes(codes, 6), extend_codes(codes, 9)[:6])
    assert extend_codes(codes, 2) is codes


def test_stored_latents_come_back(generator: Generator) -> None:
    video = latents(generator)
    back = LatentVideo.from_state(video.state())
    t = torch.linspace(0, 25, 7, dtype=torch.float64)
    for mine, theirs in zip(video.at(generator, t), back.at(generator, t), strict=True):
        assert mine is not None and theirs is not None
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("damage", ["drop", "cut"])
def test_latents_that_do_not_fit_are_refused(generator: Generator, damage: str) -> None:
    state: dict[str, Tensor] = latents(generator).state()
    if damage == "drop":
        del state["ws"]
    else:
        state["motion"] = state["motion"][:-2]
    with pytest.raises(LatentError):
        LatentVideo.from_state(state)
