"""Metrics of sets of clips: what is compared, with which features, what is kept, and the command."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegan_v import save_generator
from stylegan_v.metrics.windows import Choice, Window
from tests import clip_files
from tests.commands import Vedit, one_line_error
from tests.tiny_generator import tiny_generator
from tests.tiny_project import finished
from vedit import metrics, models, video
from vedit.compat import import_torchvision
from vedit.frame_store import FrameStore
from vedit.metrics import features, inception, sources
from vedit.metrics.comparing import Comparison, Settings, compare
from vedit.metrics.i3d_network import I3D, Mixed
from vedit.perceptual.squeeze_features import SqueezeFeatures
from vedit.perceptual.weights import BadWeights
from vedit.pixels import to_pixels
from vedit.progress import finish

DEMO = Path(__file__).parents[1] / "examples" / "demo.mp4"


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without weights: what is computed does not depend on where the tests run."""
    monkeypatch.setenv("VEDIT_MODEL_PATH", "")


class Recorded:
    """A data set in memory, as `stylegan_v.data.ClipDataset` is one, that counts what is read."""

    resolution = 16
    c_dim = 0

    def label(self, clip: int) -> torch.Tensor:
        return torch.zeros(0)

    def __init__(self, lengths: Sequence[int], seed: int = 0) -> None:
        self.lengths, self.read = list(lengths), 0
        rng = np.random.default_rng(seed)
        self._clips = [torch.from_numpy(rng.integers(0, 256, (length, 3, 16, 16), dtype=np.uint8)) for length in lengths]

    def frames(self, clip: int, indices: Sequence[int], size: int | None = None) -> torch.Tensor:
        self.read += len(indices)
        return self._clips[clip][list(indices)]


def recorded(lengths: Sequence[int] = (20, 24, 30, 18, 40, 17, 9), seed: int = 0) -> sources.DatasetSource:
    return sources.DatasetSource(Recorded(lengths, seed), "recorded", f"recorded {seed}")


def needs_torch_fidelity() -> None:
    if not inception.installed():
        pytest.skip("torch-fidelity, of the extra `metrics`, is not installed")
    import_torchvision()  # which it imports as it stands


def tiny(seed: int = 0) -> sources.GeneratorSource:
    return sources.GeneratorSource(tiny_generator(seed), f"tiny {seed}")


def run(real: sources.Source, fake: sources.Source, store: FrameStore, **settings: Any) -> Comparison:
    return finish(compare(real, fake, Settings(**{"metrics": ("fid", "fvd16"), "clips": 7} | settings), device="cpu", store=store))


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    return FrameStore(tmp_path / "features")


# What is compared


def test_a_seed_s_clip_does_not_depend_on_its_batch_or_window() -> None:
    source = tiny()
    choices = [Choice(seed, tuple(range(0, 24, 3))) for seed in (5, 9, 2)]
    together = list(source.clips(choices, 16))
    for choice, frames in zip(choices, together, strict=True):
        torch.testing.assert_close(source.clip(choice, 16), frames, atol=1e-5, rtol=0)
        torch.testing.assert_close(source.clip(Choice(choice.clip, (6, 9)), 16), frames[2:4], atol=1e-5, rtol=0)
    assert (together[0] - together[1]).abs().max() > 0.01


def test_a_world_s_frame_does_not_depend_on_its_window() -> None:
    source = sources.open_source("world:portraits")
    long, alone = source.clip(Choice(7, (0, 40, 100)), 16), source.clip(Choice(7, (40,)), 16)
    torch.testing.assert_close(long[1:2], alone)
    assert long.shape == (3, 3, 16, 16) and (long[0] - long[2]).abs().max() > 0.01


def test_the_two_sides_and_the_repeats_draw_other_seeds() -> None:
    source = tiny()
    drawn = [{choice.clip for choice in source.windows(Window(16), 50, torch.Generator().manual_seed(0), side).chosen} for side in (0, 1)]
    assert not drawn[0] & drawn[1] and max(drawn[0] | drawn[1]) < 1 << 32


def test_a_folder_of_videos_gives_the_middle_square_of_the_frames_that_were_asked_for(tmp_path: Path) -> None:
    pictures = np.zeros((20, 32, 48, 3), np.uint8)
    pictures[:, :, 8:40] = (np.arange(20, dtype=np.uint8) * 10 + 20)[:, None, None, None]
    for name in ("a", "b"):
        video.write(tmp_path / f"{name}.mkv", iter(pictures), fps=25, codec="ffv1")
    (tmp_path / "notes.txt").write_text("no video")
    source = sources.open_source(tmp_path)
    assert isinstance(source, sources.VideoFolder) and source.lengths == [20, 20] and source.resolution == 32
    frames = source.clip(Choice(1, (3, 11)), 16)
    assert frames.shape == (2, 3, 16, 16)
    torch.testing.assert_close(frames.add(1).mul(127.5).mean(dim=(1, 2, 3)), torch.tensor([50.0, 130.0]), atol=2, rtol=0)


def test_both_sides_are_brought_to_the_smaller_size() -> None:
    assert sources.common_size(recorded(), sources.open_source("world:skies")) == 16
    checks = torch.tensor([1.0, -1.0]).repeat(8).expand(2, 3, 16, 16)
    assert sources.resized(checks, 8).abs().max() < 0.2 and sources.resized(checks, 16) is checks


@pytest.mark.parametrize(
    ("spec", "said"), [("nowhere/at/all", "does not exist"), ("world:gardens", "portraits"), (str(DEMO), "is a single file")]
)
def test_what_is_no_source_is_refused(spec: str, said: str) -> None:
    with pytest.raises(metrics.SourceError if "world" not in spec else ValueError, match=said):
        sources.open_source(spec)


# Features


@pytest.mark.parametrize("name", ["builtin", "squeeze", "alex"])
def test_rows_belong_to_their_frame_or_clip_alone(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if name != "builtin":
        monkeypatch.setenv("VEDIT_MODEL_PATH", str(request.getfixturevalue("test_data") / "weights"))
    clips = torch.rand(3, 5, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for found, pictures in ((features.load_frame_features(name), clips[:, 0]), (features.load_clip_features(name), clips)):
        together = found(pictures)
        assert together.shape == (3, found.width) and together.isfinite().all() and found.name == name
        torch.testing.assert_close(found(pictures[1:2]), together[1:2], rtol=1e-3, atol=1e-4)
        assert (together[0] - together[1]).abs().max() > 1e-3


def test_squeeze_s_frame_features_are_those_that_fid_squeeze_always_had(test_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDIT_MODEL_PATH", str(test_data / "weights"))
    frames = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    plain = SqueezeFeatures()
    images = torch.nn.functional.interpolate(frames, size=(128, 128), mode="bilinear", antialias=True).add(1).div(2)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    torch.testing.assert_close(features.load_frame_features("squeeze")(frames), plain.net((images - mean) / std).mean(dim=(2, 3)))


def test_motion_features_see_movement_and_not_only_pictures() -> None:
    found = features.load_clip_features("builtin")
    clip = sources.open_source("world:skies").clip(Choice(3, tuple(range(0, 128, 8))), 16)
    looks = found.trunk.maps(clip[:1])[1].shape[1]  # type: ignore[attr-defined]
    still, moving = found(clip[:1].expand(40, -1, -1, -1)[None])[0], found(clip[None])[0]
    shuffled = found(clip[torch.randperm(16, generator=torch.Generator().manual_seed(0))][None])[0]
    assert still[looks:].abs().max() < 1e-6 < moving[looks:].mean()
    torch.testing.assert_close(shuffled[:looks], moving[:looks])  # the same pictures
    assert shuffled[looks:].mean() > 1.2 * moving[looks:].mean()  # in another order


def test_long_clips_are_taken_in_parts_without_a_seam() -> None:
    found = features.load_clip_features("builtin")
    clip = torch.rand(1, features.CHUNK + 5, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    whole = found(clip)
    maps = [found.trunk.maps(clip[0, i : i + 1]) for i in range(clip.shape[1])]  # type: ignore[attr-defined]
    moved = torch.cat([middle for middle, _ in maps]).diff(dim=0).abs().mean(dim=(0, 2, 3))
    torch.testing.assert_close(whole[0, -len(moved) :], moved, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def i3d() -> I3D:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return I3D().eval()


def test_i3d_has_the_published_shape_and_gives_400_logits(i3d: I3D) -> None:
    assert sum(parameter.numel() for parameter in i3d.parameters()) == 12_697_264
    names = set(i3d.state_dict())
    assert {"Conv3d_1a_7x7.conv3d.weight", "Mixed_4f.b2b.bn.running_var", "logits.conv3d.bias"} <= names
    widths = {name: module.b0.conv3d.in_channels for name, module in i3d.named_children() if isinstance(module, Mixed)}
    assert list(widths.values()) == [192, 256, 480, 512, 512, 512, 528, 832, 832]
    found = features.I3DFeatures(i3d)
    logits = found(torch.rand(1, 9, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    assert logits.shape == (1, found.width) == (1, 400) and logits.isfinite().all()
    with pytest.raises(features.FeaturesError, match="at least 9"):
        found(torch.zeros(1, 8, 3, 16, 16))


def test_i3d_sees_whole_frames_at_224_in_its_own_range() -> None:
    clips = torch.full((2, 9, 3, 20, 30), 1.5)
    clips[:, :, :, :, :15] = -1
    seen = features.I3DFeatures.prepared(clips)
    assert seen.shape == (2, 3, 9, 224, 224) and (seen.min(), seen.max()) == (-1, 1)
    assert (seen[..., :100] == -1).all() and (seen[..., 124:] == 1).all()


def test_i3d_s_weights_load_as_they_are_published_and_others_are_refused(i3d: I3D, tmp_path: Path) -> None:
    published = {name: value for name, value in i3d.state_dict().items() if "num_batches" not in name}  # as PyTorch 0.3 wrote it
    torch.save(published, tmp_path / "rgb_imagenet.pt")
    loaded = features.I3DFeatures.load(tmp_path / "rgb_imagenet.pt")
    assert loaded.identity == features.I3DFeatures(i3d).identity
    torch.save({"Mixed_3b.b0.conv3d.weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(BadWeights, match="another network"):
        features.I3DFeatures.load(tmp_path / "other.pt")


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("kind", ["inception", "i3d"])
def test_weight_files_are_never_executed(kind: str, tmp_path: Path) -> None:
    torch.save({"fc.weight": Malicious(tmp_path / "ran")}, tmp_path / "weights.pth")
    if kind == "inception":
        needs_torch_fidelity()
    load = inception.InceptionFeatures if kind == "inception" else features.I3DFeatures.load
    with pytest.raises(BadWeights, match="not a readable weight file"):
        load(tmp_path / "weights.pth")
    assert not (tmp_path / "ran").exists()


def test_inception_takes_its_weights_from_a_file_and_frames_as_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_torch_fidelity()
    from torch_fidelity import feature_extractor_inceptionv3 as upstream

    with torch.random.fork_rng(devices=[]), monkeypatch.context() as patch:
        torch.manual_seed(0)
        patch.setattr(upstream.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        blank = upstream.FeatureExtractorInceptionV3("random", ["2048"], feature_extractor_weights_path=_empty())
    file = "weights-inception-2015-12-05-6726825d.pth"
    torch.save(blank.state_dict(), tmp_path / file)
    monkeypatch.setenv("VEDIT_MODEL_PATH", str(tmp_path))
    assert features.pick(("auto",), features.FRAME_FEATURES, ("fid",)) == "inception"
    found = features.load_frame_features("inception")
    frames = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2.4 - 1.2
    pixels = frames.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    torch.testing.assert_close(found(frames), blank(pixels)[0])
    assert found(frames).shape == (2, found.width)


def _empty() -> io.BytesIO:
    """A file of no tensors, which is not loaded."""
    file = io.BytesIO()
    torch.save({}, file)
    file.seek(0)
    return file


def test_without_torch_fidelity_only_inception_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inception, "installed", lambda: False)
    with pytest.raises(inception.MissingExtra, match=r"pip install 'vedit\[metrics\]'"):
        features.load_frame_features("inception")
    assert features.pick(("auto",), features.FRAME_FEATURES, ("fid",)) == "builtin"


def test_features_are_picked_by_what_a_metric_sees() -> None:
    assert features.pick(("i3d", "builtin"), features.FRAME_FEATURES, ("fid",)) == "builtin"
    assert features.pick(("inception", "i3d"), features.CLIP_FEATURES, ("fvd16",)) == "i3d"
    with pytest.raises(features.FeaturesError, match="fvd16 needs features of clips"):
        features.pick(("inception",), features.CLIP_FEATURES, ("fvd16",))
    with pytest.raises(features.FeaturesError, match="no features 'vgg'"):
        features.pick(("vgg",), features.FRAME_FEATURES, ("fid",))


# Figures


def test_a_seed_gives_the_same_figures_and_the_repeats_are_the_next_seeds(store: FrameStore) -> None:
    every = {"metrics": ("fid", "kid", "pr", "fvd16"), "clips": 5}
    first, again = (run(tiny(), tiny(1), store, seed=3, **every) for _ in range(2))
    assert first.figures == again.figures and first.to_dict() == again.to_dict()
    assert set(first.figures) == {f"{name}-builtin" for name in ("fid", "kid", "precision", "recall", "fvd16")}
    both = run(tiny(), tiny(1), store, seed=3, repeats=2, **every)
    next_one = run(tiny(), tiny(1), store, seed=4, **every)
    for name, figure in both.figures.items():
        assert figure.values == (first.figures[name].values[0], next_one.figures[name].values[0])
        assert figure.spread is not None and first.figures[name].spread is None
    assert both.figures["fid-builtin"].spread > 0


def test_a_generator_is_nearer_to_itself_than_to_a_world(store: FrameStore) -> None:
    every = {"metrics": ("fid", "kid", "pr", "fvd16"), "clips": 12}
    itself, world = (run(tiny(), other, store, **every).figures for other in (tiny(), sources.open_source("world:portraits")))
    for name in ("fid-builtin", "kid-builtin", "fvd16-builtin"):
        assert itself[name].mean < 0.7 * world[name].mean, name
    for name in ("precision-builtin", "recall-builtin"):
        assert itself[name].mean > world[name].mean, name


def test_short_videos_are_left_out_counted_and_said(store: FrameStore) -> None:
    found = run(recorded(), tiny(), store)
    assert (found.samples["fvd16"]["real"].rows, found.samples["fvd16"]["real"].left_out) == (6, 1)
    assert found.samples["frames"]["real"].rows == 7
    assert any("1 videos are shorter than 16 frames" in note for note in found.notes)
    assert any("6 clips instead of 7" in note for note in found.notes)
    with pytest.raises(metrics.MetricsError, match="gives 0 videos of 128 frames"):
        run(recorded(), tiny(), store, metrics=("fvd128",))


def test_the_real_side_is_computed_once_and_again_for_other_settings(store: FrameStore) -> None:
    real = recorded()
    assert isinstance(real.data, Recorded)

    def reads(**settings: Any) -> int:
        before = real.data.read
        run(real, tiny(), store, **settings)
        return real.data.read - before

    assert reads() == 7 + 6 * 16
    kept = run(real, tiny(), store).figures
    assert reads() == 0
    assert reads(seed=1, metrics=("fid",)) == 7 and reads(clips=5, metrics=("fid",)) == 5
    real.identity = "recorded, and changed since"
    assert reads(metrics=("fid",)) == 7
    assert run(real, tiny(), FrameStore(store.folder / "elsewhere")).figures == kept


def test_a_folder_s_identity_changes_with_its_files(tmp_path: Path) -> None:
    one, two = tmp_path / "1.mp4", tmp_path / "2.mp4"
    one.write_bytes(b"one")
    two.write_bytes(b"two")
    first = sources.listing_hash(tmp_path, [one])
    assert first == sources.listing_hash(tmp_path, [one]) != sources.listing_hash(tmp_path, [one, two])
    one.write_bytes(b"other")
    assert sources.listing_hash(tmp_path, [one]) != first


def test_settings_are_checked() -> None:
    for wrong in ({"metrics": ("fid", "is")}, {"metrics": ()}, {"clips": 1}, {"repeats": 0}, {"seed": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Settings(**wrong)


# The command


@pytest.fixture
def real_and_fake(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of seven short videos and a generator's file."""
    (tmp_path / "clips").mkdir()
    source = tiny(5)
    for seed in range(7):
        frames = source.clip(Choice(seed, tuple(range(18))), 32).add(1).mul(127.5).round().to(torch.uint8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            video.write(tmp_path / "clips" / f"{seed}.mkv", iter(frames.permute(0, 2, 3, 1).numpy()), fps=25, codec="ffv1")
    save_generator(tiny_generator(), tmp_path / "tiny.safetensors")
    return tmp_path / "clips", tmp_path / "tiny.safetensors"


def test_the_command_compares_videos_with_a_generator(vedit: Vedit, real_and_fake: tuple[Path, Path]) -> None:
    real, fake = map(str, real_and_fake)
    asked = ("--metrics", "fid,kid,pr,fvd16", "--clips", "7", "--features", "builtin", "--repeats", "2", "--device", "cpu")
    done = vedit("metrics", "compare", real, fake, *asked, "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["metrics"]) == {f"{name}-builtin" for name in ("fid", "kid", "precision", "recall", "fvd16")}
    assert found["size"] == 16 and found["samples"]["fvd16"]["real"] == {"rows": 7, "left_out": 0}
    assert all(len(figure["values"]) == 2 for figure in found["metrics"].values())
    spoken = vedit("metrics", "compare", real, fake, *asked)
    assert f"fvd16-builtin      {found['metrics']['fvd16-builtin']['mean']:.4g}" in spoken.stdout
    assert "seeds 0 to 1" in spoken.stdout and "7/7" in spoken.stderr
    assert list(models.features_dir().glob("*.f32"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--metrics", "fid,is"), "found --metrics 'fid,is'"),
        (("--features", "i3d"), "needs features of single frames"),
        (("--metrics", "fid", "--features", "inception"), "VEDIT_OFFLINE"),
        (("--metrics", "fvd16", "--features", "i3d"), "rgb_imagenet.pt"),
        (("--metrics", "fvd128",), "gives 0 videos of 128 frames"),
    ],
)
def test_the_command_s_mistakes_are_one_line(vedit: Vedit, real_and_fake: tuple[Path, Path], asked: tuple[str, ...], said: str) -> None:
    if "inception" in asked:
        needs_torch_fidelity()
    done = vedit("metrics", "compare", *map(str, real_and_fake), *asked, "--quiet")
    assert said in one_line_error(done)


def test_a_project_s_figures_are_shown_and_measuring_again_gives_the_same(vedit: Vedit, real_and_fake: tuple[Path, Path], tmp_path: Path) -> None:
    clip, generator = real_and_fake[0] / "0.mkv", real_and_fake[1]
    spent = ("--steps", "2", "--perceptual", "builtin", "--crop", "center", "--fidelity", "latent", "--duration", "0.2", "--device", "cpu")
    done = vedit("project", str(clip), "-g", str(generator), "-o", str(tmp_path / "a.vedit"), "--quiet", *spent)
    assert done.returncode == 0, done.stderr
    kept, again = (json.loads(vedit("metrics", "reconstruction", str(tmp_path / "a.vedit"), "--json", "-q", *more).stdout) for more in ((), ("--again",)))
    assert list(kept["levels"]) == ["latent"] and list(again["levels"]) == ["measured"]
    for name in ("psnr", "sharpness", "motion_ratio"):
        assert again["levels"]["measured"][name] == pytest.approx(kept["levels"]["latent"][name], rel=1e-2)
    spoken = vedit("metrics", "reconstruction", cwd=tmp_path)
    assert spoken.stdout.splitlines()[0].split()[:2] == ["level", "psnr"]
    assert f"{kept['levels']['latent']['psnr']:.4g}" in spoken.stdout


def test_figures_that_do_not_exist_are_a_dash(vedit: Vedit, tmp_path: Path) -> None:
    workspace = finished(tmp_path / "b.vedit")
    workspace.info["levels"] = {"latent": {"psnr": None, "sharpness": 0.5, "perceptual": {"builtin": 0.25}}}
    workspace.save()
    done = vedit("metrics", "reconstruction", str(tmp_path / "b.vedit"))
    assert done.stdout.splitlines()[1].split() == ["latent", "–", "0.5", "–", "–", "–", "0.25"]


def test_frames_of_broken_generators_are_named(store: FrameStore) -> None:
    broken = tiny()
    with torch.no_grad():
        broken.generator.mapping.w_avg.fill_(float("nan"))
        for parameter in broken.generator.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(metrics.MetricsError, match="not finite"):
        run(recorded(), broken, store)


def test_rows_come_in_the_order_of_the_choices(store: FrameStore) -> None:
    source, mean = recorded(), _Means()
    from vedit.metrics.comparing import _rows

    choices = source.moments(60, torch.Generator().manual_seed(0), 0)
    found = finish(_rows(source, "frames", "real", choices, 16, mean, store))
    expected = torch.cat([source.clip(choice, 16).mean(dim=(2, 3)) for choice in choices.chosen])
    torch.testing.assert_close(found, expected)


class _Means:
    name, width, identity = "means", 3, "means"

    def __call__(self, frames: Tensor) -> Tensor:
        return frames.mean(dim=(2, 3))


@pytest.mark.parametrize("name", ["set", "set.zip"])
def test_a_data_set_is_opened_by_its_path_and_known_by_what_it_holds(tmp_path: Path, name: str) -> None:
    place = clip_files.write(tmp_path / name, clip_files.clips([3, 5]))
    found = sources.open_source(place)
    assert list(found.lengths) == [3, 5] and found.resolution == 8
    frame = found.clip(Choice(1, (4,)), 8)
    assert frame.shape == (1, 3, 8, 8) and torch.equal(to_pixels(frame)[0, 0, 7], torch.tensor([10, 20, 0], dtype=torch.uint8))
    other = clip_files.write(tmp_path / f"other-{name}", clip_files.clips([3, 6]))
    assert sources.open_source(other).identity != found.identity
