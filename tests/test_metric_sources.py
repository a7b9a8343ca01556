"""Data sets as metrics see them: shrunk as for a training, and with their classes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from stylegan_v import Generator, GeneratorConfig, save_generator
from stylegan_v.data import ClipDataset
from stylegan_v.metrics.windows import Choice
from tests.commands import Vedit, one_line_error
from tests.tiny_game import write_clips
from tests.tiny_generator import tiny_generator
from vedit import video
from vedit.frame_store import FrameStore
from vedit.metrics import sources
from vedit.metrics.comparing import Settings, compare
from vedit.pixels import from_pixels
from vedit.progress import finish


@pytest.mark.parametrize("size", [8, 16])
def test_a_data_set_is_shrunk_as_a_training_shrinks_it(tmp_path: Path, size: int) -> None:
    path = write_clips(tmp_path / "set", clips=2, frames=4, size=16)
    source = sources.open_source(path)
    wanted = ClipDataset.open(path, resolution=size).frames(1, [0, 3])
    assert torch.equal(source.clip(Choice(1, (0, 3)), size), from_pixels(wanted.permute(0, 2, 3, 1)))


def labelled_generator() -> Generator:
    plain = tiny_generator(0)
    return Generator(GeneratorConfig.from_dict({**plain.cfg.to_dict(), "c_dim": 3})).eval().requires_grad_(False)


def test_a_generator_of_classes_draws_them_as_often_as_the_real_clips_have_them(tmp_path: Path) -> None:
    path = write_clips(tmp_path / "set", clips=6, frames=8, size=16, classes=3)
    table = json.loads((path / "dataset.json").read_text())
    table["labels"] = [[name, 0 if i < 5 else 2] for i, (name, _) in enumerate(table["labels"])]
    (path / "dataset.json").write_text(json.dumps(table))
    source = sources.GeneratorSource(labelled_generator())
    drawn = torch.cat([source._inputs(seed, 8.0)[2] for seed in range(90)]).sum(dim=0)
    assert drawn.min() > 15  # all alike
    source.take_labels_of(sources.open_source(path))
    drawn = torch.cat([source._inputs(seed, 8.0)[2] for seed in range(90)]).sum(dim=0)
    assert drawn[1] == 0 and 60 < drawn[0] < 90 and drawn.sum() == 90
    save_generator(labelled_generator(), tmp_path / "g.safetensors")
    settings = Settings(metrics=("fid",), features=("builtin",), clips=8)
    assert finish(compare(path, tmp_path / "g.safetensors", settings, store=FrameStore(tmp_path / "features"))).figures["fid-builtin"].mean > 0
    two = write_clips(tmp_path / "two", clips=4, frames=8, size=16, classes=2)
    with pytest.raises(sources.SourceError, match="labels of size 2, .* of 3"):
        finish(compare(two, tmp_path / "g.safetensors", settings, store=FrameStore(tmp_path / "features")))


def test_a_class_can_be_drawn_by_its_number(vedit: Vedit, tmp_path: Path) -> None:
    save_generator(labelled_generator(), tmp_path / "g.safetensors")
    common = ("generate", "-g", str(tmp_path / "g.safetensors"), "--seeds", "0", "--frames", "2")
    films = {}
    for number in ("0", "2"):
        assert vedit(*common, "--class", number, "-o", str(tmp_path / number)).returncode == 0
        films[number] = [frame.image for frame in video.read(tmp_path / number / "0000.mp4")]
    assert any((a != b).any() for a, b in zip(films["0"], films["2"], strict=True))
    assert "classes 0 to 2" in one_line_error(vedit(*common, "--class", "3"))
    assert "--class N" in one_line_error(vedit(*common))
