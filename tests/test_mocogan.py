"""MoCoGAN's discriminators, and that its generator and the LSTM ablations start in a state that can be trained."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_v import ConfigError, Generator, GeneratorConfig, MotionConfig
from stylegan_v.losses import discriminator_logistic, generator_logistic, r1_penalty
from stylegan_v.mocogan import (
    ImageDiscriminator,
    ImageDiscriminatorConfig,
    VideoDiscriminator,
    VideoDiscriminatorConfig,
)

IMAGE = ImageDiscriminatorConfig(16, channel_base=128, channel_max=12)
VIDEO = VideoDiscriminatorConfig(32, channels=2, channel_max=6)
LSTM = MotionConfig(kind="lstm", z_dim=6, v_dim=8, distance=1, max_num_frames=32, integer_t=True)
MOCOGAN = GeneratorConfig(
    32, z_dim=7, w_dim=9, channel_base=256, channel_max=12, input_kind="const", motion=LSTM, motion_in="styles"
)


def made(kind: Any, cfg: Any, seed: int = 0) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(cfg)


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# The image discriminator


def test_frames_are_judged_one_by_one_and_both_paths_agree() -> None:
    judge = made(ImageDiscriminator, dataclasses.replace(IMAGE, mbstd_group_size=1)).double()
    judge.compute_dtype = torch.float64
    frames = draw(2, 3, 3, 16, 16).double()
    logits = judge(frames)
    assert logits.shape == (2, 3) and logits.std() > 0
    torch.testing.assert_close(judge(frames, path="reference"), logits)
    torch.testing.assert_close(judge(frames[1:, 2:]), logits[1:, 2:])
    torch.testing.assert_close(judge(frames.flip(1)), logits.flip(1))


def test_alike_frames_can_be_told_by_their_group() -> None:
    judge = made(ImageDiscriminator, IMAGE)
    mixed, alike = draw(4, 1, 3, 16, 16), draw(1, 1, 3, 16, 16).expand(4, 1, 3, 16, 16)
    together = judge(torch.cat([mixed[:1], alike[1:]]))[0, 0]
    assert (judge(mixed)[0, 0] - together).abs() > 1e-4
    with pytest.raises(ValueError, match="groups of 4"):
        judge(draw(2, 3, 3, 16, 16))


def test_labels_matter_where_there_are_labels() -> None:
    judge = made(ImageDiscriminator, dataclasses.replace(IMAGE, c_dim=3))
    frames, c = draw(2, 2, 3, 16, 16), torch.eye(3)[:2]
    assert judge(frames, c).shape == (2, 2)
    assert not torch.allclose(judge(frames, c), judge(frames, c.flip(0)))
    with pytest.raises(ValueError, match="conditional"):
        judge(frames)


# The video discriminator


def test_the_video_discriminator_gives_a_logit_a_patch_of_sixteen_frames() -> None:
    judge = made(VideoDiscriminator, VIDEO)
    assert judge(draw(3, 16, 3, 32, 32)).shape == (3, 1)
    wide = made(VideoDiscriminator, dataclasses.replace(VIDEO, resolution=64))
    frames = draw(2, 16, 3, 64, 64)
    logits = wide(frames)
    assert logits.shape == (2, 4)
    torch.testing.assert_close(wide(frames[1:]), logits[1:], msg="a clip depends on its batch")
    assert not torch.allclose(wide(frames.flip(1)), logits), "the order of frames counts"


@pytest.mark.parametrize("frame", [0, 7, 15])
def test_every_frame_counts_for_the_video_discriminator(frame: int) -> None:
    judge = made(VideoDiscriminator, VIDEO)
    frames = draw(1, 16, 3, 32, 32).requires_grad_(True)
    (slope,) = torch.autograd.grad(judge(frames).sum(), frames)
    assert slope[0, frame].abs().sum() > 0


@pytest.mark.parametrize("shape", [(1, 15, 3, 32, 32), (1, 17, 3, 32, 32), (1, 16, 3, 64, 64), (16, 3, 32, 32)])
def test_clips_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"16 consecutive frames a clip.*not \["):
        made(VideoDiscriminator, VIDEO)(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"wants frames \[N, T, 3, 16, 16\]"):
        made(ImageDiscriminator, IMAGE)(torch.zeros(shape))


def test_signals_keep_their_size_through_the_fresh_network() -> None:
    judge = made(VideoDiscriminator, VideoDiscriminatorConfig(32, channels=16, channel_max=32))
    x = draw(2, 16, 3, 32, 32).transpose(1, 2)
    for layer in judge.layers:
        x = layer(x)
        assert 0.3 < float(x.detach().square().mean().sqrt()) < 3


@pytest.mark.parametrize("kind", ["image", "video"])
def test_double_backward_of_r1_agrees_with_finite_differences(kind: str) -> None:
    if kind == "image":
        judge, frames = made(ImageDiscriminator, IMAGE).double(), draw(4, 1, 3, 16, 16).double()
        weight = judge.b16.conv0.weight
    else:
        judge, frames = made(VideoDiscriminator, VIDEO).double(), draw(2, 16, 3, 32, 32).double()
        weight = judge.layers[1].weight
    judge.compute_dtype = torch.float64
    frames.requires_grad_(True)

    def penalty() -> Tensor:
        return r1_penalty(judge(frames).mean(dim=1), frames)

    (slope,) = torch.autograd.grad(penalty(), weight)
    step = slope / slope.norm() * 1e-6  # so small that no activation changes its side
    values = []
    for factor in (1, -2):
        with torch.no_grad():
            weight.add_(step, alpha=factor)
        values.append(penalty().item())
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(float(slope.norm()), rel=1e-3)


def test_impossible_settings_are_refused_by_key() -> None:
    for kind, values, key in (
        (VideoDiscriminatorConfig, {"resolution": 16}, "resolution"),
        (VideoDiscriminatorConfig, {"resolution": 64, "channels": 0}, "channels"),
        (ImageDiscriminatorConfig, {"resolution": 4}, "resolution"),
        (ImageDiscriminatorConfig, {"resolution": 16, "conv_clamp": -1.0}, "conv_clamp"),
        (ImageDiscriminatorConfig, {"resolution": 16, "frames": 3}, "frames"),
    ):
        with pytest.raises(ConfigError, match=key):
            kind.from_dict(values)  # type: ignore[attr-defined]
    assert VideoDiscriminatorConfig.from_dict(VIDEO.to_dict()) == VIDEO and VIDEO.num_frames == 16
    assert ImageDiscriminatorConfig.from_dict(IMAGE.to_dict()) == IMAGE


# Generators


GENERATORS = {
    "MoCoGAN": MOCOGAN,
    "LSTM codes, d = 1": dataclasses.replace(
        MOCOGAN, input_kind="temporal", motion_in="input", motion=dataclasses.replace(LSTM, integer_t=False)
    ),
    "LSTM codes, d = 16": dataclasses.replace(
        MOCOGAN,
        input_kind="temporal",
        motion_in="input",
        motion=dataclasses.replace(LSTM, integer_t=False, distance=16),
    ),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_a_fresh_generator_moves_and_every_weight_has_a_gradient(name: str) -> None:
    generator = made(Generator, GENERATORS[name])
    assert generator.cfg == GeneratorConfig.from_dict(generator.cfg.to_dict())
    motion = generator.cfg.motion
    t = torch.arange(16.0).expand(4, 16)
    motion_z = draw(4, generator.num_motion_codes(15.0), motion.z_dim, seed=2)
    motion_v = generator.motion(t, motion_z).detach()
    assert 0.1 < float(motion_v.square().mean().sqrt()) < 10, "motion speaks about as loudly as w"
    frames = generator(draw(4, 7), t, motion_z)
    assert frames.shape == (4, 16, 3, 32, 32) and 0.05 < frames.std() < 20
    assert frames.diff(dim=1).square().mean() > 1e-6 * frames.var()
    loss = generator_logistic(made(VideoDiscriminator, VIDEO)(frames))
    loss = loss + generator_logistic(made(ImageDiscriminator, dataclasses.replace(IMAGE, resolution=32))(frames[:, :1]))
    gradients = torch.autograd.grad(loss, list(generator.parameters()))
    for (key, _), gradient in zip(generator.named_parameters(), gradients, strict=True):
        assert gradient.isfinite().all() and gradient.any(), key


def test_mocogans_motion_stands_still_between_whole_frames_and_content_is_constant() -> None:
    generator = made(Generator, MOCOGAN)
    motion_z = draw(1, generator.num_motion_codes(15.0), 6)
    whole = generator.motion(torch.tensor([[3.0, 4.0]]), motion_z)
    assert torch.equal(generator.motion(torch.tensor([[3.3, 4.4]]), motion_z), whole)
    assert not torch.allclose(whole[:, 0], whole[:, 1])
    longer = torch.cat([motion_z, draw(1, 8, 6, seed=9)], dim=1)
    torch.testing.assert_close(generator.motion(torch.tensor([[3.0, 4.0]]), longer), whole)


def test_of_clips_that_differ_in_the_order_of_frames_alone_one_discriminator_learns_and_the_other_cannot() -> None:
    images, videos = made(ImageDiscriminator, IMAGE), made(VideoDiscriminator, VIDEO)
    optimizer = torch.optim.Adam([*images.parameters(), *videos.parameters()], lr=0.01, betas=(0.0, 0.99))
    getting_brighter = torch.linspace(-1, 1, 16).reshape(1, 16, 1, 1, 1)
    losses: list[list[float]] = []
    for step in range(30):
        rng = torch.Generator().manual_seed(step)
        picture, other = draw(4, 1, 3, 32, 32, seed=step) * 0.3, draw(4, 1, 3, 32, 32, seed=1000 + step) * 0.3
        real, fake = picture + getting_brighter, other - getting_brighter
        at = torch.randint(16, (2,), generator=rng).tolist()
        by_frame = discriminator_logistic(images(real[:, at[:1], :, ::2, ::2]), images(fake[:, at[1:], :, ::2, ::2]))
        by_clip = discriminator_logistic(videos(real), videos(fake))
        optimizer.zero_grad()
        (by_frame + by_clip).backward()
        optimizer.step()
        losses.append([by_frame.item(), by_clip.item()])
    end = torch.tensor(losses[-10:]).mean(dim=0)
    assert end[1] < 0.3, "the order is told"
    assert end[0] > 1.0, "single frames, which are alike, are not"
