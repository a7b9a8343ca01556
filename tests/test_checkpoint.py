"""Checkpoints come back as they were, and a file that is not a sound one is refused with the name of what is wrong."""

from __future__ import annotations

import json
import os
import stat
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from stylegan_v import Discriminator, DiscriminatorConfig, Generator, load_generator, model_hash, save_generator
from stylegan_v.checkpoint import CheckpointError, load_discriminator, read_metadata, save_discriminator
from tests.pickled import TINY, tiny_generator

JUDGE = DiscriminatorConfig(8, channel_base=64, channel_max=8, concat_res=8, max_num_frames=16, time_embed_dim=4)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return tiny_generator()


@pytest.fixture
def saved(tmp_path: Path, generator: Generator) -> Path:
    path = tmp_path / "g.safetensors"
    save_generator(generator, path, world="portraits", note="a test")
    return path


def rewrite(path: Path, tensors: dict[str, Any] | None = None, **metadata: str) -> None:
    """Replace tensors (None removes one) and metadata of a checkpoint."""
    content = {**load_file(path), **(tensors or {})}
    path.write_bytes(save({k: v for k, v in content.items() if v is not None}, metadata={**read_metadata(path), **metadata}))


def refused(path: Path, *words: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_generator(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_generator_comes_back_as_it_was(saved: Path, generator: Generator) -> None:
    found = load_generator(saved)
    assert found.cfg == generator.cfg == TINY and found.metadata == {"world": "portraits", "note": "a test"}
    assert found.hash == model_hash(found) == model_hash(generator)
    assert not found.training and not any(p.requires_grad for p in found.parameters())
    z, t, motion_z = torch.ones(1, 7), torch.tensor([[0.5]]), torch.ones(1, generator.num_motion_codes(1), 5)
    assert torch.equal(found(z, t, motion_z), generator(z, t, motion_z))


def test_a_discriminator_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    discriminator = Discriminator(JUDGE)
    save_discriminator(discriminator, path)
    found = load_discriminator(path)
    assert found.cfg == JUDGE and model_hash(found) == model_hash(discriminator)
    assert found.training and all(p.requires_grad for p in found.parameters())
    with pytest.raises(CheckpointError, match="'discriminator', wanted a generator"):
        load_generator(path)


def test_half_precision_is_half_the_size_and_comes_back_as_float32(saved: Path, tmp_path: Path, generator: Generator) -> None:
    half = tmp_path / "half.safetensors"
    save_generator(generator, half, half=True)
    found = load_generator(half)
    tensors = [(name, tensor.dtype) for name, tensor in found.state_dict().items()]
    assert {dtype for _, dtype in tensors} == {torch.float32}
    for name, tensor in generator.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)
    sizes = [sum(t.numel() * t.element_size() for t in load_file(path).values()) for path in (half, saved)]
    assert sizes[0] * 2 == sizes[1] and found.hash != model_hash(generator)


def test_loading_draws_no_random_numbers(saved: Path) -> None:
    before = torch.get_rng_state()
    load_generator(saved)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_hash_sees_every_tensor_and_nothing_else(generator: Generator, saved: Path) -> None:
    found = load_generator(saved)
    for name, tensor in found.state_dict().items():
        flat = tensor.view(-1)
        kept = flat[-1].clone()
        flat[-1] += 1
        assert model_hash(found) != model_hash(generator), name
        flat[-1] = kept
    assert model_hash(found) == model_hash(generator.train())


def test_equal_networks_are_equal_files(tmp_path: Path, generator: Generator) -> None:
    metadata = {f"key-{i}": f"Ä {i}" for i in range(8)}
    for i in range(4):
        save_generator(generator, tmp_path / f"{i}.safetensors", **metadata)
    files = [(tmp_path / f"{i}.safetensors").read_bytes() for i in range(4)]
    assert len(set(files)) == 1
    found = load_generator(tmp_path / "0.safetensors")
    assert found.metadata == metadata and found.hash == model_hash(generator)


def test_a_failed_save_leaves_the_old_file_alone(saved: Path, generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    old = saved.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        save_generator(Generator(TINY), saved)
    assert saved.read_bytes() == old and list(saved.parent.iterdir()) == [saved]


def test_a_checkpoint_has_the_mode_of_an_ordinary_file(saved: Path) -> None:
    plain = saved.with_name("plain")
    plain.write_text("")
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.parametrize("metadata", [{"kind": "x"}, {"schema": "2"}, {"config": "{}"}, {"steps": 3}])
def test_metadata_is_text_and_leaves_our_own_keys_alone(metadata: dict[str, Any], tmp_path: Path, generator: Generator) -> None:
    with pytest.raises(CheckpointError, match="cannot be saved"):
        save_generator(generator, tmp_path / "g.safetensors", **metadata)
    assert list(tmp_path.iterdir()) == []


def test_tensors_that_do_not_fit_are_named(saved: Path) -> None:
    sound = saved.read_bytes()
    for tensors, words in (
        ({"mapping.fc1.bias": None}, ("mapping.fc1.bias", "missing")),
        ({"mapping.fc7.bias": torch.zeros(3)}, ("mapping.fc7.bias", "not part")),
        ({"mapping.w_avg": torch.zeros(8)}, ("mapping.w_avg", "[8]", "[9]")),
        ({"mapping.w_avg": torch.zeros(9, dtype=torch.int32)}, ("mapping.w_avg", "I32")),
    ):
        rewrite(saved, tensors)
        refused(saved, *words)
        saved.write_bytes(sound)


@pytest.mark.parametrize(
    ("metadata", "word"),
    [
        ({"kind": "clip"}, "'clip', wanted a generator"),
        ({"schema": "2"}, "upgrade"),
        ({"schema": "-1"}, "schema"),
        ({"schema": "one"}, "schema"),
        ({"schema": "9" * 5000}, "schema"),
        ({"config": "{"}, "configuration"),
        ({"config": "[]"}, "configuration"),
        ({"config": "[" * 100_000}, "configuration"),
        ({"config": '{"resolution": 8, "depth": 3}'}, "depth"),
        ({"config": '{"resolution": 7}'}, "resolution"),
        ({"config": '{"resolution": "8"}'}, "resolution"),
        ({"config": '{"resolution": 4096}'}, "larger network"),
        ({"config": '{"resolution": 8, "mapping_layers": 1000000}'}, "mapping_layers"),
        ({"config": '{"resolution": 8, "w_dim": 1048576, "z_dim": 1048576}'}, "larger network"),
        ({"config": '{"resolution": 8, "motion": {"kind": "lstm", "z_dim": 1000000}}'}, "larger network"),
        ({"config": '{"resolution": 8, "motion": 3}'}, "motion"),
        ({"config": '{"resolution": 8, "conv_clamp": "x"}'}, "configuration"),
        ({"config": '{"resolution": 8, "channel_base": 1}'}, "channel_base"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(metadata: dict[str, str], word: str, saved: Path) -> None:
    rewrite(saved, **metadata)
    refused(saved, word)


def test_files_that_are_no_checkpoints_are_refused(saved: Path, tmp_path: Path) -> None:
    sound = saved.read_bytes()
    length = struct.unpack("<Q", sound[:8])[0]
    wide = json.loads(sound[8 : 8 + length])
    wide["mapping.w_avg"]["shape"] = [1 << 40]
    header = json.dumps(wide).encode()
    for data in (
        b"",
        b"12345678",
        b"not a model\n",
        b"\x80\x04N.",
        b"PK\x03\x04" + bytes(100),
        sound[:-4],
        sound + b"more",
        sound[: 8 + length // 2],
        struct.pack("<Q", 1 << 62) + sound[8:],
        struct.pack("<Q", 20 << 20) + b"{" + b" " * (20 << 20),
        struct.pack("<Q", len(header)) + header + sound[8 + length :],
        struct.pack("<Q", 2) + b"{}",
    ):
        saved.write_bytes(data)
        refused(saved)
    for path in (tmp_path, tmp_path / "missing.safetensors"):
        with pytest.raises(CheckpointError, match="not a file"):
            load_generator(path)


def test_metadata_can_be_read_alone(saved: Path) -> None:
    found = read_metadata(saved)
    assert found["kind"] == "generator" and found["world"] == "portraits" and json.loads(found["config"])["resolution"] == 8
    with safe_open(saved, framework="pt") as file:
        assert file.metadata() == found
