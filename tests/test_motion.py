"""Laws of the motion encoder: extendable, continuous, anchored at its codes, exact at any t."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from stylegan_v import MotionConfig
from stylegan_v.motion import MotionEncoder

CONV = MotionConfig(z_dim=5, v_dim=6, distance=4, kernel_size=3, num_freqs=4, min_period=4, max_period=16, max_num_frames=32, lr_multiplier=1.0)
LSTM = dataclasses.replace(CONV, kind="lstm")
CONFIGS = [CONV, LSTM, dataclasses.replace(LSTM, distance=1), dataclasses.replace(CONV, kernel_size=1, distance=7)]


def make(config: MotionConfig, c_dim: int = 0) -> MotionEncoder:
    torch.manual_seed(0)
    return MotionEncoder(config, c_dim).requires_grad_(False)


def codes(encoder: MotionEncoder, max_t: float, n: int = 2) -> Tensor:
    return torch.randn(n, encoder.num_codes(max_t), encoder.cfg.z_dim, generator=torch.Generator().manual_seed(1))


def times(*values: float, n: int = 2) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).expand(n, -1)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_number_of_codes_is_exactly_what_t_needs(config: MotionConfig) -> None:
    encoder = make(config)
    for max_t in (0.0, 31.0, 31.5, 32.0, 47.9, 48.0, 100.25):
        motion_z = codes(encoder, max_t)
        found = encoder(times(0.0, max_t), encoder.trajectory(motion_z))
        assert found.shape == (2, 2, config.out_dim) and found.isfinite().all()
    with pytest.raises(ValueError, match="leaves the motion codes"):
        encoder(times(500.0), encoder.trajectory(motion_z))
    with pytest.raises(ValueError, match="leaves the motion codes"):
        encoder(times(-0.5), encoder.trajectory(motion_z))


@pytest.mark.parametrize("config", CONFIGS)
def test_appended_codes_change_nothing_earlier(config: MotionConfig) -> None:
    encoder = make(config)
    short = codes(encoder, 50)
    long = torch.cat([short, torch.randn(2, 9, config.z_dim)], dim=1)
    t = times(*torch.linspace(0, 50, 41).tolist())
    torch.testing.assert_close(encoder(t, encoder.trajectory(long)), encoder(t, encoder.trajectory(short)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_motion_is_continuous_where_codes_change(config: MotionConfig) -> None:
    encoder = make(config)
    u = encoder.trajectory(codes(encoder, 60))
    for code in (1, 2, 5):
        at, step = float(code * config.distance), 1e-6
        before, here, after = encoder(times(at - step, at, at + step), u).unbind(dim=1)
        torch.testing.assert_close(before, here, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(after, here, rtol=1e-3, atol=1e-4)
        assert not torch.allclose(encoder(times(at + 0.5 * config.distance), u)[:, 0], here, atol=1e-2), "it moves in between"


def test_at_its_codes_motion_is_the_aligner_alone() -> None:
    encoder = make(CONV)
    u = encoder.trajectory(codes(encoder, 60))
    found = encoder(times(0.0, 4.0, 8.0, 20.0), u)
    wanted = encoder.time_encoder.aligners_predictor(u[:, [0, 1, 2, 5]])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_periods_and_phases_follow_the_paper() -> None:
    """The equations written out for one frame, code by code."""
    encoder = make(CONV)
    u = encoder.trajectory(codes(encoder, 60))[0].double()
    part, t = encoder.time_encoder.double(), 9.75
    left, right, alpha = u[2], u[3], 1.75 / 4
    omega = part.freqs[0]
    assert omega.tolist() == sorted(omega.tolist()) and omega[0] == pytest.approx(2 * torch.pi / 16) and omega[-1] == pytest.approx(2 * torch.pi / 4)
    scale = torch.tanh(part.periods_predictor(left)) + 1
    phase = part.phase_predictor(left) * 16 * omega / (2 * torch.pi)

    def waves(at: float) -> Tensor:
        return torch.cat([(omega * scale * at + phase).sin(), (omega * scale * at + phase).cos()])

    wanted = waves(t) - (1 - alpha) * waves(8.0) - alpha * waves(12.0)
    wanted = wanted + (1 - alpha) * part.aligners_predictor(left) + alpha * part.aligners_predictor(right)
    torch.testing.assert_close(part(times(t, n=1), left[None, None], right[None, None], 4)[0, 0], wanted, rtol=1e-6, atol=1e-6)


def test_motion_stays_smooth_at_large_t() -> None:
    encoder = make(CONV)
    u = encoder.trajectory(codes(encoder, 200_000, n=1))
    steps = 199_999.3 + 1e-5 * torch.arange(50, dtype=torch.float64)
    found = encoder(steps.unsqueeze(0), u)[0]
    # Phases in float32 would stand still, then jump by 0.03.
    assert float(found.diff(dim=0).abs().max()) < 2e-4


def test_integer_times_are_rounded() -> None:
    encoder = make(dataclasses.replace(LSTM, distance=1, integer_t=True))
    u = encoder.trajectory(codes(encoder, 40))
    assert torch.equal(encoder(times(3.3, 3.0, 2.6), u), encoder(times(3.0, 3.0, 3.0), u))


@pytest.mark.parametrize("config", [CONV, LSTM])
def test_labels_steer_motion_and_are_asked_for(config: MotionConfig) -> None:
    encoder = make(config, c_dim=3)
    motion_z, c = codes(encoder, 40), torch.eye(3)[:2]
    t = times(0.5, 7.0)
    found = encoder(t, encoder.trajectory(motion_z, c), c)
    assert not torch.allclose(found, encoder(t, encoder.trajectory(motion_z, c.flip(0)), c.flip(0)), atol=1e-3)
    with pytest.raises(ValueError, match="conditional"):
        encoder.trajectory(motion_z)


def test_too_few_codes_are_an_error_that_says_how_many() -> None:
    encoder = make(CONV)
    with pytest.raises(ValueError, match="sees 5"):
        encoder.trajectory(torch.zeros(1, 4, 5))
