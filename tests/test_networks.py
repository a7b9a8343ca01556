"""Laws of the networks that no golden file covers: truncation, noise, paths, precision, and other shapes of the discriminator."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from stylegan_v import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, MotionConfig
from stylegan_v.ops.modconv import demodulation, modulated_conv_reference, shared_conv
from stylegan_v.ops.resample import upsample_image

MOTION = MotionConfig(z_dim=5, v_dim=6, distance=4, kernel_size=3, num_freqs=4, min_period=4, max_period=16, max_num_frames=32)
VIDEO = GeneratorConfig(16, z_dim=7, w_dim=9, channel_base=128, channel_max=12, motion=MOTION)
IMAGE = GeneratorConfig(16, z_dim=7, w_dim=9, channel_base=128, channel_max=12, mapping_layers=3, use_noise=True, input_kind="bare")
JUDGE = DiscriminatorConfig(16, channel_base=128, channel_max=12, concat_res=8, max_num_frames=16, time_embed_dim=4)


def randomised(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Random biases, noise strengths and w_avg as well: zeros would hide mistakes."""
    source = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.rsplit(".", 1)[-1] in ("weight", "bias", "noise_strength", "w_avg", "const", "input"):
            tensor.copy_(torch.randn(tensor.shape, generator=source) * (tensor.std() if tensor.numel() > 1 and tensor.std() > 0 else 0.5))
    return network.requires_grad_(False)


def make(config: GeneratorConfig, seed: int = 0) -> Generator:
    generator = randomised(Generator(config), seed)
    assert isinstance(generator, Generator)
    return generator


def exact(network: Any) -> Any:
    """The network in float64: in float32 an activation near 0 may fall on either side, and gradients jump there."""
    (network.synthesis if isinstance(network, Generator) else network).compute_dtype = torch.float64
    return network.double()


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def inputs(generator: Generator, n: int = 2, frames: int = 3) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """ws with a row of its own per layer, t, motion_z, c."""
    config = generator.cfg
    ws = draw(n, generator.num_ws, config.w_dim, seed=2)
    c = draw(n, config.c_dim, seed=5) if config.c_dim else None
    if config.motion is None:
        return ws, None, None, c
    t = draw(n, frames, seed=3).abs() * 9
    return ws, t, draw(n, generator.num_motion_codes(float(t.max())), config.motion.z_dim, seed=4), c


def difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().norm() / b.detach().norm())


# Mapping


def test_truncation_to_zero_gives_w_avg() -> None:
    generator = make(VIDEO)
    ws = generator.mapping(draw(3, 7), psi=0.0)
    assert ws.shape == (3, generator.num_ws, 9)
    torch.testing.assert_close(ws, generator.mapping.w_avg.expand_as(ws))


def test_truncation_is_linear_in_psi_and_one_changes_nothing() -> None:
    generator = make(IMAGE)
    full, half = generator.mapping(draw(3, 7)), generator.mapping(draw(3, 7), psi=0.5)
    torch.testing.assert_close(half, (full + generator.mapping.w_avg) / 2)
    assert torch.equal(generator.mapping(draw(3, 7), psi=1.0), full)


@pytest.mark.parametrize("cutoff", [0, 2, 6])
def test_a_cutoff_truncates_only_the_first_rows(cutoff: int) -> None:
    generator = make(VIDEO)
    full, all_rows = generator.mapping(draw(3, 7)), generator.mapping(draw(3, 7), psi=0.3)
    some = generator.mapping(draw(3, 7), psi=0.3, cutoff=cutoff)
    torch.testing.assert_close(some, torch.cat([all_rows[:, :cutoff], full[:, cutoff:]], dim=1))


def test_one_sample_does_not_depend_on_its_batch() -> None:
    generator = make(VIDEO)
    ws, t, motion_z, _ = inputs(generator, n=3)
    whole = generator.synthesis(ws, t, motion_z)
    torch.testing.assert_close(generator.synthesis(ws[1:2], t[1:2], motion_z[1:2]), whole[1:2], rtol=1e-4, atol=1e-5)


# Synthesis


def test_upsampling_convolution_equals_a_plain_loop() -> None:
    """Zero insertion, convolution and the low-pass filter as sums over taps, in float64."""
    x, weight, styles = draw(1, 2, 3, 3).double(), draw(3, 2, 3, 3, seed=2).double(), draw(1, 2, seed=3).double()
    kernel = weight * styles[0, :, None, None]
    kernel = kernel / (kernel.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
    wide = torch.zeros(3, 9, 9, dtype=torch.float64)  # the 7×7 result with a border of 1
    for y in range(3):
        for z in range(3):
            wide[:, 1 + 2 * y : 4 + 2 * y, 1 + 2 * z : 4 + 2 * z] += torch.einsum("i,oihw->ohw", x[0, :, y, z], kernel)
    tap = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 4
    wanted = sum(tap[a] * tap[b] * wide[:, a : a + 6, b : b + 6] for a in range(4) for b in range(4))
    plain = modulated_conv_reference(x, weight, styles, up=True)[0]
    fast = shared_conv(x * styles[..., None, None], weight.transpose(0, 1), up=True) * demodulation(weight.square().sum(dim=(2, 3)), styles)[..., None, None]
    torch.testing.assert_close(plain, wanted)
    torch.testing.assert_close(fast[0], wanted)


def test_doubling_an_image_keeps_a_constant_inside() -> None:
    found = upsample_image(torch.ones(1, 3, 6, 6))
    assert found.shape == (1, 3, 12, 12)
    torch.testing.assert_close(found[..., 1:-1, 1:-1], torch.ones(1, 3, 10, 10))


@st.composite
def generator_configs(draw_from: st.DrawFn) -> GeneratorConfig:
    kind = draw_from(st.sampled_from(["conv", "lstm", "styles", "image"]))
    c_dim = draw_from(st.sampled_from([0, 3]))
    motion = None
    if kind != "image":
        motion = dataclasses.replace(
            MOTION,
            kind="conv" if kind == "conv" else "lstm",
            distance=draw_from(st.sampled_from([1, 4])),
            lr_multiplier=draw_from(st.sampled_from([0.01, 1.0])),
        )
    return GeneratorConfig(
        draw_from(st.sampled_from([4, 8, 32])), z_dim=7, w_dim=9, c_dim=c_dim,
        channel_base=draw_from(st.sampled_from([64, 200])), channel_max=draw_from(st.sampled_from([5, 16])),
        conv_clamp=draw_from(st.sampled_from([None, 0.8])), use_noise=draw_from(st.booleans()),
        input_kind={"image": "bare", "styles": "const"}.get(kind, "temporal"), motion=motion, motion_in="styles" if kind == "styles" else "input",
    )  # fmt: skip


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(generator_configs(), st.integers(1, 2), st.integers(1, 3))
def test_both_paths_agree_in_values_and_gradients(config: GeneratorConfig, n: int, frames: int) -> None:
    generator = exact(make(config))
    ws, t, motion_z, c = (None if value is None else value.double() for value in inputs(generator, n, frames))
    ws.requires_grad_(True)
    found = {}
    for path in ("fast", "reference"):
        result = generator.synthesis(ws, t, motion_z, c, path=path)
        assert result.shape == (n, 1 if config.motion is None else frames, 3, config.resolution, config.resolution)
        weights = draw(*result.shape, seed=7)
        found[path] = (result.detach(), torch.autograd.grad((result * weights).sum(), ws)[0])
    for fast, reference in zip(found["fast"], found["reference"], strict=True):
        assert difference(fast, reference) < 1e-10
    with torch.no_grad():  # one style for all frames goes into the kernels then
        assert difference(generator.synthesis(ws, t, motion_z, c), found["reference"][0]) < 1e-10


def test_both_paths_agree_in_gradients_of_weights() -> None:
    generator = exact(make(dataclasses.replace(VIDEO, conv_clamp=2.0))).requires_grad_(True)
    ws, t, motion_z = (value.double() for value in inputs(generator)[:3])
    gradients = {}
    for path in ("fast", "reference"):
        frames = generator.synthesis(ws, t, motion_z, path=path)
        gradients[path] = torch.autograd.grad(frames.square().sum(), list(generator.synthesis.parameters()))
    for (name, _), fast, reference in zip(generator.synthesis.named_parameters(), gradients["fast"], gradients["reference"], strict=True):
        assert difference(fast, reference) < 1e-10, name


def test_the_fast_path_sees_changed_weights() -> None:
    generator = make(VIDEO)
    ws, t, motion_z, _ = inputs(generator)
    before = generator.synthesis(ws, t, motion_z)
    generator.synthesis.b8.conv0.weight.mul_(-1)
    after = generator.synthesis(ws, t, motion_z)
    assert difference(after, generator.synthesis(ws, t, motion_z, path="reference")) < 1e-5 < difference(after, before)


def test_looks_at_a_generator_that_learns_see_what_it_has_learnt() -> None:
    """A fused optimiser changes weights without a word to what was made of them before."""
    generator = make(VIDEO).requires_grad_(True)
    ws, t, motion_z, _ = inputs(generator)
    optimizer = torch.optim.Adam(generator.parameters(), lr=0.1, fused=True)
    with torch.no_grad():
        before = generator.synthesis(ws, t, motion_z)
    generator.synthesis(ws, t, motion_z).square().sum().backward()
    optimizer.step()
    with torch.no_grad():
        after, plain = (generator.synthesis(ws, t, motion_z, path=path) for path in ("fast", "reference"))
    assert difference(after, plain) < 1e-5 < difference(after, before)


def test_ws_per_frame_motion_codes_and_style_changes_are_consistent() -> None:
    generator = make(VIDEO)
    ws, t, motion_z, _ = inputs(generator)
    plain = generator.synthesis(ws, t, motion_z)
    motion_v = generator.motion(t, motion_z)
    assert motion_v.shape == (2, 3, 8)
    assert torch.equal(generator.synthesis(ws, motion_v=motion_v), plain)
    assert difference(generator.synthesis(ws.unsqueeze(1).expand(-1, 3, -1, -1), t, motion_z), plain) < 1e-6
    u = generator.trajectory(motion_z)
    torch.testing.assert_close(generator.motion(t, None, u=u), motion_v)
    sizes = {name: style.shape[-1] for name, style in generator.styles(ws).items()}
    assert list(sizes) == ["b4.conv1", "b4.torgb", "b8.conv0", "b8.conv1", "b8.torgb", "b16.conv0", "b16.conv1", "b16.torgb"]
    delta = {name: draw(size, seed=8) for name, size in sizes.items()}
    wide = {name: value.expand(2, 3, -1) for name, value in delta.items()}
    changed = generator.synthesis(ws, t, motion_z, styles_delta=delta)
    assert difference(generator.synthesis(ws, t, motion_z, styles_delta=wide), changed) < 1e-6
    assert difference(generator.synthesis(ws, t, motion_z, styles_delta=delta, path="reference"), changed) < 1e-5
    assert torch.equal(generator.synthesis(ws, t, motion_z, styles_delta={"b8.conv0": torch.zeros(sizes["b8.conv0"])}), plain)
    with pytest.raises(ValueError, match=r"b3\.conv9"):
        generator.synthesis(ws, t, motion_z, styles_delta={"b3.conv9": torch.zeros(1)})


def test_random_noise_is_that_of_its_generator() -> None:
    generator = make(IMAGE)
    ws = inputs(generator)[0]

    def render(seed: int) -> Tensor:
        return generator.synthesis(ws, noise=torch.Generator().manual_seed(seed))

    assert torch.equal(render(1), render(1)) and difference(render(1), render(2)) > 1e-3
    reference = generator.synthesis(ws, noise=torch.Generator().manual_seed(1), path="reference")
    assert difference(render(1), reference) < 1e-5
    assert difference(generator.synthesis(ws), generator.synthesis(ws, noise="none")) > 1e-3


@pytest.mark.parametrize(("dtype", "limit"), [(torch.bfloat16, 0.03), (torch.float16, 0.005)])
def test_half_precision_is_close(dtype: torch.dtype, limit: float) -> None:
    generator = make(VIDEO)
    ws, t, motion_z, _ = inputs(generator)
    full = generator.synthesis(ws, t, motion_z)
    with torch.autocast("cpu", dtype=dtype):
        cast = generator.synthesis(ws, t, motion_z)
    half = generator.set_precision(dtype).synthesis(ws, t, motion_z)
    assert half.dtype == cast.dtype == torch.float32
    assert 0 < difference(half, full) < limit and difference(cast, full) < limit


# Discriminator


def clips(config: DiscriminatorConfig, n: int = 4) -> tuple[Tensor, Tensor, Tensor | None]:
    frames = draw(n, config.num_frames, 3, config.resolution, config.resolution) * 0.5
    t = draw(n, config.num_frames, seed=2).abs().cumsum(dim=1) * 2
    return frames.double(), t.double(), draw(n, config.c_dim, seed=3).double() if config.c_dim else None


SHAPES = {
    "two frames": dataclasses.replace(JUDGE, num_frames=2),
    "five frames": dataclasses.replace(JUDGE, num_frames=5, max_num_frames=100),
    "concatenated at full resolution": dataclasses.replace(JUDGE, concat_res=16),
    "labels and clamps": dataclasses.replace(JUDGE, c_dim=3, conv_clamp=0.5),
    "undivided": dataclasses.replace(JUDGE, num_frames_div_factor=1),
    "frames of 8": dataclasses.replace(JUDGE, resolution=8),
}


@pytest.mark.parametrize("name", SHAPES)
def test_discriminators_of_every_shape_agree_on_both_paths(name: str) -> None:
    config = SHAPES[name]
    discriminator = exact(randomised(Discriminator(config))).requires_grad_(True)
    frames, t, c = clips(config)
    frames.requires_grad_(True)
    found = {}
    for path in ("fast", "reference"):
        logits = discriminator(frames, t, c, path=path)
        assert logits.shape == (4,)
        found[path] = (logits.detach(), *torch.autograd.grad(logits.sum(), [frames, *discriminator.parameters()]))
    for fast, reference in zip(found["fast"], found["reference"], strict=True):
        assert difference(fast, reference) < 1e-10
    assert difference(discriminator(frames, t + 5, c), discriminator(frames, t, c)) < 1e-5, "only differences of times count"
    assert difference(discriminator(frames, t * 2, c), discriminator(frames, t, c)) > 1e-3
    assert difference(discriminator(frames.flip(1), t, c), discriminator(frames, t, c)) > 1e-3


@pytest.mark.parametrize("name", SHAPES)
def test_double_backward_of_r1_is_the_same_on_both_paths(name: str) -> None:
    config = SHAPES[name]
    discriminator = exact(randomised(Discriminator(config))).requires_grad_(True)
    frames, t, c = clips(config)
    frames.requires_grad_(True)
    found = {}
    for path in ("fast", "reference"):
        (slope,) = torch.autograd.grad(discriminator(frames, t, c, path=path).sum(), frames, create_graph=True)
        penalty = slope.square().sum(dim=(2, 3, 4)).mean()
        parameters = [value for key, value in discriminator.named_parameters() if "weight" in key and key.startswith("b")]
        found[path] = torch.autograd.grad(penalty, parameters)
    assert max(float(value.norm()) for value in found["reference"]) > 0
    for fast, reference in zip(found["fast"], found["reference"], strict=True):
        assert float((fast - reference).norm()) <= 1e-10 * float(reference.norm()) + 1e-13


@pytest.mark.parametrize("path", ["fast", "reference"])
def test_double_backward_agrees_with_finite_differences(path: str) -> None:
    """With steps so small that no activation changes its side."""
    discriminator = exact(randomised(Discriminator(JUDGE))).requires_grad_(True)
    frames, t, _ = clips(JUDGE)
    frames.requires_grad_(True)

    def penalty() -> Tensor:
        (slope,) = torch.autograd.grad(discriminator(frames, t, path=path).sum(), frames, create_graph=True)
        return slope.square().sum(dim=(2, 3, 4)).mean()

    for weight in (discriminator.b16.fromrgb.weight, discriminator.b16.conv1.weight, discriminator.b8.skip.weight, discriminator.b4.fc.weight):
        (slope,) = torch.autograd.grad(penalty(), weight)
        direction = slope / slope.norm()
        values = []
        for step in (1e-6, -2e-6):
            with torch.no_grad():
                weight.add_(direction, alpha=step)
            values.append(float(penalty().detach()))
        with torch.no_grad():
            weight.add_(direction, alpha=1e-6)
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(float(slope.norm()), rel=1e-4)


def test_the_discriminator_says_which_clips_it_wants() -> None:
    discriminator = Discriminator(JUDGE)
    frames, t, _ = clips(JUDGE)
    with pytest.raises(ValueError, match="3 frames"):
        discriminator(frames[:, :2], t[:, :2])
    with pytest.raises(ValueError, match="groups of 4"):
        discriminator(frames.repeat(2, 1, 1, 1, 1)[:6], t.repeat(2, 1)[:6])
