"""Text–image models: loading by name, unit vectors, gradients, words never seen, and no silent random model."""

from __future__ import annotations

import json
import os
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch

from tests import tiny_words
from vedit import guidance
from vedit.guidance import Guidance, GuidanceError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip")
    tiny_words.text_image_model(path)
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> Guidance:
    return guidance.load(f"local-dir:{folder}")


def test_vectors_have_unit_length_at_any_frame_size(model: Guidance) -> None:
    assert model.size == (32, 32)
    for size in (16, 32, 50):
        vectors = model.encode_images(torch.rand(3, 3, size, size) * 2 - 1)
        assert vectors.shape == (3, 16)
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(model.encode_texts(["an old person", "a sky"]).norm(dim=1), torch.ones(2))


def test_gradients_reach_the_frames_and_no_weight(model: Guidance) -> None:
    frames = (torch.rand(2, 3, 64, 64) * 2 - 1).requires_grad_()
    (model.encode_images(frames) @ model.encode_texts(["an old person"]).T).sum().backward()
    assert frames.grad is not None and frames.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in model.model.parameters())


def test_large_frames_are_resized_without_aliasing(model: Guidance) -> None:
    """One-pixel stripes at eight times the model's size are grey to it."""
    stripes = torch.ones(1, 3, 256, 256)
    stripes[:, :, :, ::2] = -1
    grey = torch.zeros(1, 3, 32, 32)
    assert (model.encode_images(stripes) * model.encode_images(grey)).sum() > 0.999


def test_the_model_sees_open_clips_own_normalisation(model: Guidance, folder: Path) -> None:
    import open_clip

    reference = open_clip.create_model(f"local-dir:{folder}").eval()
    frames = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(getattr(reference.visual, f"image_{what}")).view(3, 1, 1) for what in ("mean", "std"))
    wanted = reference.encode_image((frames - mean) / std, normalize=True)
    torch.testing.assert_close(model.encode_images(frames * 2 - 1), wanted, rtol=1e-4, atol=1e-5)


def test_words_never_seen_are_named_once_and_small_words_are_not(model: Guidance) -> None:
    assert model.unknown_words("An old person with a BEARD") == []
    assert model.unknown_words("a zebra, an old zebra on a surfboard") == ["zebra", "surfboard"]
    assert model.unknown_words("I'd love it if the person's beard were old") == ["love", "were"]
    assert model.unknown_words("an old-young clean-shaven person") == []


def test_a_model_without_a_list_of_words_claims_to_know_none(model: Guidance) -> None:
    anyones = Guidance("x", model.model, lambda texts: torch.zeros(len(texts), 16, dtype=torch.long), {}, None)
    assert anyones.unknown_words("a zebra") == []


def test_the_hash_follows_weights_and_configuration(model: Guidance, folder: Path, tmp_path: Path) -> None:
    again = guidance.load(str(folder))  # a bare folder is a local-dir too
    assert again.hash == model.hash
    other = tmp_path / "other"
    tiny_words.text_image_model(other)
    weights = {**again.model.state_dict()}
    weights["visual.conv1.weight"] = weights["visual.conv1.weight"] + 0.01
    tiny_words.export(weights, tiny_words.MODEL, set(), torch.ones(49408, dtype=torch.bool), other)
    assert guidance.load(f"local-dir:{other}").hash != model.hash


def test_a_folder_without_weights_is_refused_instead_of_random(folder: Path, tmp_path: Path) -> None:
    (tmp_path / guidance.CONFIG_FILE).write_text((folder / guidance.CONFIG_FILE).read_text())
    with pytest.raises(GuidanceError, match="could not be loaded"):
        guidance.load(f"local-dir:{tmp_path}")


def test_weights_of_another_architecture_are_refused(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / guidance.CONFIG_FILE).read_text())
    config["model_cfg"]["embed_dim"] = 24
    (tmp_path / guidance.CONFIG_FILE).write_text(json.dumps(config))
    (tmp_path / guidance.WEIGHTS_FILE).write_bytes((folder / guidance.WEIGHTS_FILE).read_bytes())
    with pytest.raises(GuidanceError, match="could not be loaded"):
        guidance.load(f"local-dir:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no-such-model", "no text–image model is called"),
        ("local-dir:/no/such/folder", "holds no text–image model"),
        ("ViT-B-32:/no/such/file.safetensors", "could not be loaded"),
        ("ViT-B-32-256:no_such_tag", "could not be loaded"),
        ("ViT-M-16-alt", "would be random"),
    ],
)
def test_names_that_mean_nothing_are_one_clear_line(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDIT_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(GuidanceError, match=message) as caught:
        guidance.load(name)
    assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value)


def test_a_name_of_the_web_fails_at_once_when_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VEDIT_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(GuidanceError, match="offline"):
        guidance.load("hf-hub:somebody/a-model-nobody-has")
    assert os.environ["HF_HUB_OFFLINE"] == "0" and not huggingface_hub.constants.HF_HUB_OFFLINE, "offline for good, after one failure"
