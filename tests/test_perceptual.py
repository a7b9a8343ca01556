"""Laws of perceptual distances, and their agreement with LPIPS where real weights are at hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr
from torch import Tensor

from tests.distortions import KINDS, blurred, distorted
from vedit import alignment, perceptual, video
from vedit.perceptual.builtin import BuiltinDistance
from vedit.perceptual.lpips_distance import Lpips
from vedit.perceptual.protocol import Perceptual
from vedit.perceptual.squeeze_features import SqueezeFeatures
from vedit.perceptual.weights import BadWeights
from vedit.pixels import from_pixels
from vedit.worlds.portraits import Portraits


def portraits(count: int, size: int = 64) -> Tensor:
    rng = torch.Generator().manual_seed(3)
    world = Portraits()
    t = torch.rand(count, 1, generator=rng) * 40
    return world.draw_clips(world.random_attributes(count, rng), world.random_motion(t, rng), size).flatten(0, 1)


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return portraits(4)


@pytest.fixture(scope="module", params=["builtin", "alex", "squeeze"])
def distance(request: pytest.FixtureRequest) -> Perceptual:
    if request.param == "builtin":
        return BuiltinDistance()
    weights = request.getfixturevalue("test_data") / "weights"
    files = {"alex": "alexnet_features.safetensors", "squeeze": "squeezenet1_1_features.safetensors"}
    return Lpips(request.param, weights / files[request.param])


def test_equal_frames_are_at_distance_zero_and_others_are_not(distance: Perceptual, frames: Tensor) -> None:
    assert distance(frames, frames).max() == 0
    assert distance(frames, frames.flip(0)).min() > 0.05


def test_distance_is_symmetric(distance: Perceptual, frames: Tensor) -> None:
    torch.testing.assert_close(distance(frames, frames.flip(0)), distance(frames.flip(0), frames))


def test_cached_features_give_the_same_distance(distance: Perceptual, frames: Tensor) -> None:
    target = distance.features(frames)
    other = frames.roll(1, 0)
    torch.testing.assert_close(distance.distance(distance.features(other), target), distance(other, frames))
    rows = [feature[1:3] for feature in target]
    torch.testing.assert_close(
        distance.distance(distance.features(other[1:3]), rows), distance(other, frames)[1:3], rtol=1e-4, atol=1e-6
    )


def test_distance_grows_with_blur_and_noise(distance: Perceptual, frames: Tensor) -> None:
    noise = torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))
    by_blur = torch.stack(
        [distance(blurred(frames.view(-1, 3, 64, 64), sigma), frames) for sigma in (0.4, 0.8, 1.6, 3.2)]
    )
    by_noise = torch.stack([distance(frames + sigma * noise, frames) for sigma in (0.02, 0.05, 0.1, 0.2, 0.4)])
    assert (by_blur.diff(dim=0) > 0).all()
    assert (by_noise.diff(dim=0) > 0).all()


def test_gradients_are_finite_even_for_flat_frames(distance: Perceptual, frames: Tensor) -> None:
    for start in (torch.zeros_like(frames), -torch.ones_like(frames), frames.clone()):
        start.requires_grad_()
        distance(start, frames).sum().backward()
        assert start.grad is not None and start.grad.isfinite().all()
    assert start.grad.abs().max() < 1e-6  # the last start is the target itself


def test_following_the_gradient_comes_closer(distance: Perceptual, frames: Tensor) -> None:
    target, x = distance.features(frames), (frames * 0.3).requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.02)
    before = distance.distance(distance.features(x), target).mean().item()
    for _ in range(20):
        optimizer.zero_grad()
        loss = distance.distance(distance.features(x), target).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * before


def test_sizes_that_are_odd_small_or_not_square_are_measured(distance: Perceptual) -> None:
    for height, width in ((17, 23), (33, 64), (96, 80)):
        pair = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(height)) * 2 - 1
        assert distance(pair[:1], pair[1:]).item() > 0


def test_frames_of_a_wrong_shape_are_refused(distance: Perceptual) -> None:
    with pytest.raises(ValueError, match="pass \\[N, 3, H, W\\]"):
        distance.features(torch.zeros(3, 64, 64))


@pytest.mark.parametrize("network, file", [("alex", "alexnet_features"), ("squeeze", "squeezenet1_1_features")])
def test_lpips_equals_the_package(network: str, file: str, test_data: Path, frames: Tensor) -> None:
    import lpips

    path = test_data / "weights" / f"{file}.safetensors"
    own, reference = Lpips(network, path), lpips.LPIPS(net=network, pnet_rand=True, verbose=False)
    features = load_file(path)
    reference.net.load_state_dict({k: features["features." + k.split(".", 1)[1]] for k in reference.net.state_dict()})
    with torch.no_grad():
        expected = reference(frames, frames.flip(0)).flatten()
    torch.testing.assert_close(own(frames, frames.flip(0)), expected, rtol=1e-4, atol=1e-6)


def test_torchvision_checkpoints_are_read_as_data(test_data: Path, tmp_path: Path, frames: Tensor) -> None:
    path = test_data / "weights/alexnet_features.safetensors"
    torch.save({**load_file(path), "classifier.6.bias": torch.zeros(1000)}, tmp_path / "alexnet.pth")
    torch.testing.assert_close(
        Lpips("alex", tmp_path / "alexnet.pth")(frames, frames.flip(0)), Lpips("alex", path)(frames, frames.flip(0))
    )


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, ("executed",)


def test_files_of_another_network_or_of_none_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("not a model")
    torch.save({"features.0.weight": Payload()}, tmp_path / "payload.pth")
    for name, message in (
        ("other.safetensors", "another network"),
        ("text.safetensors", "fetch it again"),
        ("payload.pth", "fetch it again"),
    ):
        with pytest.raises(BadWeights, match=message):
            Lpips("alex", tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_auto_takes_what_is_there_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for variable in ("VEDIT_MODEL_PATH", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert perceptual.load("auto").name == "builtin"
    assert perceptual.available("builtin") and not perceptual.available("lpips-alex")
    monkeypatch.setenv("VEDIT_MODEL_PATH", str(request.getfixturevalue("test_data") / "weights"))
    assert perceptual.load("auto").name == "lpips-alex"
    assert perceptual.load("lpips-squeeze").name == "lpips-squeeze"
    assert perceptual.available("lpips-alex") and not perceptual.available("lpips-vgg")


def test_an_unknown_name_is_one_clear_line() -> None:
    with pytest.raises(perceptual.UnknownDistance, match="'ssim'; choose one of auto"):
        perceptual.load("ssim")
    with pytest.raises(perceptual.UnknownDistance):
        perceptual.available("ssim")


def photographs(clips: Path) -> Tensor:
    """Squares of each real clip's first frame, [N, 3, 64, 64]: the middle, and four smaller ones around it."""
    paths = sorted(clips.glob("*.mp4"))
    assert paths, f"no clips in {clips}"
    squares = []
    for path in paths:
        image = next(iter(video.read(path))).image
        height, width = image.shape[:2]
        for share, x, y in ((1.0, 0.5, 0.5), (0.6, 0.1, 0.1), (0.6, 0.9, 0.1), (0.5, 0.2, 0.9), (0.5, 0.7, 0.6)):
            side = share * min(height, width)
            matrix = np.array([[side, 0, x * (width - side)], [0, side, y * (height - side)]])
            squares.append(alignment.extract(image, matrix, 64))
    return from_pixels(torch.stack(squares))


@pytest.mark.parametrize("footage, wanted", [("photographs", 0.85), ("portraits", 0.75)])
def test_builtin_agrees_with_lpips_in_rank(footage: str, wanted: float, test_data: Path) -> None:
    """World frames have less texture than photographs: their blurs are underrated against other distortions."""
    frames = photographs(test_data / "clips") if footage == "photographs" else portraits(24)
    frames, rng = frames.repeat(2, 1, 1, 1), torch.Generator().manual_seed(1)
    reference, own = Lpips("alex", test_data / "weights/alexnet_features.safetensors"), BuiltinDistance()
    expected, found = {}, {}
    for kind in KINDS:
        copies = torch.cat([distorted(frame[None], kind, rng) for frame in frames])
        with torch.no_grad():
            expected[kind], found[kind] = reference(copies, frames), own(copies, frames)
    ranks = {kind: spearmanr(expected[kind], found[kind]).statistic for kind in KINDS}
    assert min(ranks.values()) >= 0.7, ranks
    overall = spearmanr(torch.cat(list(expected.values())), torch.cat(list(found.values()))).statistic
    assert overall >= wanted, ranks


def test_squeeze_features_have_one_vector_a_frame(test_data: Path, frames: Tensor) -> None:
    features = SqueezeFeatures(test_data / "weights/squeezenet1_1_features.safetensors")
    rows = features(frames)
    assert rows.shape == (4, 512) and rows.isfinite().all() and rows.std(dim=0).max() > 0
    torch.testing.assert_close(features(frames[2:]), rows[2:], rtol=1e-4, atol=1e-5)
