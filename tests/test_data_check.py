"""Broken data is named, skipped or refused by `check`, and training's `ClipDataset` does the same."""

from __future__ import annotations

import json
import os
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stylegan_v.data import ClipDataset, ClipSampler, DataError
from tests.clip_files import clips, labels, picture, write
from tests.commands import Vedit, one_line_error
from vedit.data.check import Checked, check
from vedit.data.manifest import rate_remark, read_manifest
from vedit.data.synth import synth
from vedit.progress import finish
from vedit.training_game import GameRecipe, fitting_clips, read_recipe
from vedit.training_watch import TrainingWarning

RECIPES = Path(__file__).parents[1] / "recipes"


def told(found: Checked) -> str:
    """All that a check found wrong, in one text."""
    return "\n".join(found.problems + [f"{clip.name}: {reason}" for clip in found.clips for reason in clip.reasons])


def train(path: Path) -> None:
    """What a training does with a data set before its first step and, in the end, with every frame."""
    with ClipDataset.open(path) as dataset:
        sampler = ClipSampler(dataset, 3, 1)
        for clip in sampler.usable:
            dataset.frames(clip, range(dataset.lengths[clip]))


def giant_png() -> bytes:
    """A PNG of a hundred bytes that claims 60000 x 60000 pixels."""
    chunks = b"\x89PNG\r\n\x1a\n"
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0")),
        (b"IEND", b""),
    ):
        chunks += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return chunks


def broken_crc(path: Path) -> None:
    """Change a byte of the last frame in a zip of stored files."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as made:
        info = made.getinfo("v1/000003.png")
    data[info.header_offset + 30 + len(info.filename) + info.file_size - 20] ^= 255
    path.write_bytes(data)


def lying_size(path: Path) -> None:
    """Let the zip's directory declare fewer bytes than a frame has."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as made:
        size = made.getinfo("v1/000003.png").file_size
    place = data.rindex(b"v1/000003.png") - 46
    assert data[place : place + 4] == b"PK\1\2" and struct.unpack_from("<I", data, place + 24)[0] == size
    struct.pack_into("<I", data, place + 24, size - 7)
    path.write_bytes(data)


def linked_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as made:
        link = zipfile.ZipInfo("v1/000004.png")
        link.external_attr = 0o120777 << 16
        made.writestr(link, "/etc/passwd")


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        made.writestr("v1/000004.png", bytes(65 << 20))
    assert path.stat().st_size < 1 << 20


def bomb_of_labels(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as made:
        made.writestr("dataset.json", text_bomb(2 << 20))
    assert path.stat().st_size < 1 << 15


def text_bomb(size: int) -> str:
    """JSON of so many bytes that takes as much memory as JSON can."""
    return '{"labels": [' + "{}," * (size // 3) + "{}]}"


REFUSED: dict[str, tuple[dict[str, bytes] | Callable[[Path], None], str]] = {
    "a text named jpg": ({"v1/000000.png": b"no picture at all"}, "v1/000000.png is no image"),
    "a text in the middle": ({"v1/000002.png": b"no picture at all"}, "v1/000002.png is no image"),
    "half an image": ({"v1/000002.png": picture(1, 2)[:60]}, "v1/000002.png is broken"),
    "a frame of another size": ({"v1/000002.png": picture(1, 2, (16, 8))}, "v1/000002.png has 16x8 pixels, wanted 8x8"),
    "a clip of another size": (clips([3, 4], (16, 16)) | clips([3]) | {"v2/1.png": picture(2, 1), "v2/2.png": picture(2, 2)}, "has frames of 16x16"),
    "a giant picture": ({"v1/000002.png": giant_png()}, "v1/000002.png"),
    "a path that leads outside": ({"../v9/000000.png": picture(0, 0)}, "leads outside"),
    "an absolute path": ({"/v9/000000.png": picture(0, 0)}, "leads outside"),
    "a Windows path": ({"v9\\..\\000000.png": picture(0, 0)}, "leads outside"),
    "a name that rules the terminal": ({"v9/\x1b[2J.png": picture(0, 0)}, "no plain path"),
    "a link": (linked_zip, "v1/000004.png is a link"),
    "a broken CRC": (broken_crc, "v1/000003.png is damaged (Bad CRC-32"),
    "a size that is not true": (lying_size, "v1/000003.png is damaged"),
    "a small bomb": (bomb, "declares 68157440 bytes"),
    "a small bomb of labels": (bomb_of_labels, "dataset.json: declares 2097"),
    "labels that are no JSON": ({"dataset.json": b'{"labels": ['}, "is no JSON"),
    "labels without pairs": (labels([1, 2]), "holds no list of pairs"),
    "a negative class": (labels([["v0", -1], ["v1", 0]]), "has the label '-1' for 'v0'"),
    "a huge class": (labels([["v0", 1 << 40], ["v1", 0]]), "has the label"),
    "classes and numbers": (labels([["v0", 1], ["v1", [0.5]]]), "unlike the others"),
    "numbers that are none": ({"dataset.json": b'{"labels": [["v0", [NaN]], ["v1", [1.0]]]}'}, "has the label '[nan]'"),
    "a missing label": (labels([["v0", 1]]), "v1: has no label in dataset.json"),
    "two labels of a clip": (labels([["v0", 1], ["v1/000000.png", 0], ["v1/000001.png", 1]]), "2 different labels"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_check_refuses_training_refuses_by_the_same_name(kind: str, tmp_path: Path) -> None:
    change, expected = REFUSED[kind]
    files = clips([3, 4]) | (change if isinstance(change, dict) else {})
    path = write(tmp_path / "set.zip", files)
    if callable(change):
        change(path)
    found = finish(check(path))
    assert not found.ok and expected in told(found)
    with pytest.raises(DataError) as error:
        train(path)
    assert expected in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


def test_many_images_may_have_many_labels(tmp_path: Path) -> None:
    files = {f"v{clip}/{frame}.png": picture(clip, 0) for clip in range(2) for frame in range(1000)}
    numbers = [[name, [i / 7 for i in range(40)]] for name in files]
    path = write(tmp_path / "set.zip", files | labels(numbers))
    with ClipDataset.open(path) as dataset:
        assert dataset.c_dim == 40 and len(labels(numbers)["dataset.json"]) > 1 << 20


def test_a_bomb_beside_the_clips_is_refused_by_check_and_training(tmp_path: Path, vedit: Vedit) -> None:
    path = write(tmp_path / "set.zip", clips([40, 40], (32, 32)))
    recipe = RECIPES / "ablation-stylegan-v-32.toml"
    with zipfile.ZipFile(path, "a") as made:
        made.writestr("prepared.json", '{"clips": "somebody else\'s"}')
    plain = ["--set", "metrics.names=[]", "--set", "metrics.best="]
    assert vedit("data", "check", str(path), "--recipe", str(recipe), *plain).returncode == 0
    path = write(tmp_path / "bomb.zip", clips([40, 40], (32, 32)))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as made:
        made.writestr("prepared.json", text_bomb(9 << 20))
    assert path.stat().st_size < 1 << 16
    expected = "prepared.json declares 9437"
    assert expected in told(finish(check(path)))
    assert expected in one_line_error(vedit("train", str(recipe), "--data", str(path), "--out", str(tmp_path / "run"), "--device", "cpu"))
    assert read_manifest(path) is None


@pytest.mark.parametrize(
    "files, expected",
    [
        ({}, "holds no clips"),
        ({"000000.jpg": picture(0, 0)}, "holds no clips"),
        (clips([2, 1]), "no clip has the 3 frames"),
        (clips([4], (12, 8)), "12x8 pixels, wanted squares"),
    ],
    ids=["an empty zip", "images in no folder", "short clips alone", "oblong frames"],
)
def test_a_data_set_without_a_clip_to_train_on_is_refused(
    files: dict[str, bytes], expected: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "set.zip", files)
    found = finish(check(path))
    assert not found.ok and expected in told(found)
    with pytest.raises(DataError, match=expected):
        train(path)


def test_links_in_a_folder_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "set", clips([3]))
    os.symlink("/etc/passwd", path / "v0" / "000003.png")
    assert "v0/000003.png is a link" in told(finish(check(path)))
    with pytest.raises(DataError, match=r"v0/000003\.png is a link"):
        train(path)


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"PK no zip")
    assert "is no zip" in told(finish(check(tmp_path / "set.zip")))


def test_short_clips_are_skipped_and_the_rest_is_used(tmp_path: Path) -> None:
    path = write(tmp_path / "set.zip", clips([4, 1, 9]))
    found = finish(check(path))
    assert found.ok and [clip.state for clip in found.clips] == ["used", "skipped", "used"]
    assert found.clips[1].reasons == ["1 frame, training with 3 a clip needs 3"]
    assert (found.frames, found.median_length, found.resolution) == (13, 6.5, 8)
    assert ClipSampler(ClipDataset.open(path), 3, 1).usable == [0, 2]
    train(path)


def test_a_broken_frame_in_a_clip_that_is_skipped_does_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "set.zip", clips([4, 2, 9]) | {"v1/000001.png": b"no picture"})
    found = finish(check(path))
    assert found.ok and [clip.state for clip in found.clips] == ["used", "skipped", "used"]
    assert "000001.png is no image" in found.clips[1].notes[0]
    train(path)


def test_a_check_for_a_recipe_asks_what_the_recipe_asks(vedit: Vedit, tmp_path: Path) -> None:
    mocogan, plain = (read_recipe(RECIPES / f"ablation-{name}-32.toml") for name in ("mocogan", "stylegan-v"))
    assert isinstance(mocogan, GameRecipe) and isinstance(plain, GameRecipe)
    path = write(tmp_path / "set.zip", clips([16, 16], (32, 32)))
    assert finish(check(path, game=mocogan.game)).ok  # sixteen frames that follow each other
    assert "no clip has the 17 frames" in told(finish(check(path, frames=16)))
    short = write(tmp_path / "short.zip", clips([15, 15], (32, 32)))
    assert "no clip has the 16 frames" in told(finish(check(short, game=mocogan.game))) and finish(check(short, game=plain.game)).ok
    small = write(tmp_path / "small.zip", clips([16, 16]))
    assert "wanted at least 32x32" in told(finish(check(small, game=plain.game)))
    labelled = GameRecipe.from_dict({**plain.to_dict(), "game": one_class_more(plain.to_dict()["game"])})
    assert "labels of size 0, the networks c_dim 3" in told(finish(check(path, game=labelled.game)))
    assert "training will use it" in vedit("data", "check", str(path), "--recipe", str(RECIPES / "ablation-mocogan-32.toml")).stdout
    assert "takes no data set" in one_line_error(vedit("data", "check", str(path), "--recipe", str(RECIPES / "skies-2.toml")))


def test_a_check_for_a_recipe_knows_its_changes_its_figures_and_labels_that_it_leaves_alone(vedit: Vedit, tmp_path: Path) -> None:
    recipe = ["--recipe", str(RECIPES / "ablation-stylegan-v-32.toml"), "--set", 'metrics.features=["builtin"]']
    alone = str(write(tmp_path / "alone.zip", clips([40], (32, 32))))
    found = vedit("data", "check", alone, *recipe, "--set", 'metrics.names=["fvd16"]')
    assert found.returncode == 1 and "fvd16 needs at least 2; add more, or cut long ones into several" in found.stdout
    assert "--set 'metrics.names=[]' --set metrics.best=" in found.stdout
    assert vedit("data", "check", alone, *recipe, "--set", "metrics.names=[]", "--set", "metrics.best=").returncode == 0
    far = ["--set", 'metrics.names=["fid"]', "--set", 'metrics.features=["inception"]']  # the machine that trains may have it
    assert vedit("data", "check", alone, *recipe, *far).returncode == 0
    assert "name one with --recipe" in one_line_error(vedit("data", "check", alone, "--set", "name=x"))
    files = clips([16, 16], (32, 32))
    path = str(write(tmp_path / "set.zip", files | labels({"v0": 0, "v1": 2})))
    said = vedit("data", "check", path, *recipe).stdout
    remedy = "--set game.generator.c_dim=3 --set game.discriminator.c_dim=3"
    assert f"labels of size 3 are not used, since the recipe's networks know no classes; {remedy} makes them" in said and "training will use it" in said
    assert "not used" not in vedit("data", "check", path, *recipe, *remedy.split()).stdout


def one_class_more(game: dict[str, Any]) -> dict[str, Any]:
    return {**game, **{key: {**game[key], "c_dim": 3} for key in ("generator", "discriminator")}}


@pytest.mark.parametrize("frames", [0, 99])
def test_numbers_of_frames_that_cannot_be_drawn_are_refused(frames: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"found {frames} frames"):
        finish(check(write(tmp_path / "set.zip", clips([4])), frames=frames))


def test_videos_and_images_of_other_kinds_are_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "films" / "below").mkdir(parents=True)
    (tmp_path / "films" / "below" / "a.mp4").write_bytes(b"")
    assert "vedit data prepare" in told(finish(check(tmp_path / "films")))
    found = finish(check(write(tmp_path / "set.zip", clips([4, 4]) | {"v7/0.bmp": b"BM", "v7/1.bmp": b"BM"})))
    assert found.ok and "v7/0.bmp: is not read, as 2 images of kinds other than .jpg" in found.notes[0]


def test_names_that_begin_with_a_dot_and_a_slash_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "set.zip", {"./" + name: data for name, data in clips([4, 3]).items()})
    found = finish(check(path))
    assert found.ok and [clip.name for clip in found.clips] == ["v0", "v1"]
    train(path)


def test_labels_under_another_name_are_told_by_check_and_training(tmp_path: Path) -> None:
    said = "dataset.json: has no key \"labels\" (found: 'label', 'classes'), so the clips have none; wanted"
    recipe = read_recipe(RECIPES / "ablation-stylegan-v-32.toml", [f"data.path={tmp_path / 'set.zip'}"])
    assert isinstance(recipe, GameRecipe)
    path = write(tmp_path / "set.zip", clips([40, 40], (32, 32)) | {"dataset.json": b'{"label": [["v0", 1], ["v1", 0]], "classes": []}'})
    (note,) = finish(check(path)).notes
    assert note.startswith(said)
    with pytest.warns(TrainingWarning, match=re.escape(said)):
        fitting_clips(recipe).close()
    write(path, clips([40, 40], (32, 32)) | labels(None))  # as public sets without labels have it
    assert not finish(check(path)).notes
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitting_clips(recipe).close()


def test_classes_without_a_clip_keep_their_place(tmp_path: Path) -> None:
    named = json.dumps({"classes": ["a", "b", "c"], "labels": [["v0", 0], ["v1", 1]]}).encode()
    with ClipDataset.open(write(tmp_path / "set.zip", clips([3, 3]) | {"dataset.json": named})) as dataset:
        assert dataset.c_dim == 3 and dataset.label(1).tolist() == [0, 1, 0]


def test_a_resolution_that_no_network_has_is_refused_unless_another_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "set.zip", clips([4], (12, 12)))
    assert "a power of two" in told(finish(check(path)))
    assert finish(check(path, resolution=8)).ok


def test_oddities_are_noted_and_used(tmp_path: Path) -> None:
    still = {f"v{i}/{j:06d}.png": picture(5, 0) for i in (3, 4) for j in range(3)}
    files = clips([3, 4]) | still | {"v1/000009.png": picture(1, 9), "loose.png": picture(0, 0)}
    files |= labels([["v0", 0], ["v1", 0], ["v3", 3], ["v4", 3], ["gone/1.png", 1]])
    found = finish(check(write(tmp_path / "set.zip", files)))
    assert found.ok and found.c_dim == 4 and found.classes == {0: 2, 3: 2}
    notes = {clip.name: clip.notes for clip in found.clips}
    assert notes["v1"] == ["after frame 3 comes 9 (1 such gaps): training takes them for neighbours"]
    assert notes["v4"] == ["has the same frames as v3"] and not notes["v0"]
    said = "\n".join(found.notes)
    assert (
        "1 labels of files that are not there, such as 'gone/1.png'" in said
        and "loose.png" in said
        and "2 of 4 classes have no clip" in said
    )


def test_a_world_makes_a_data_set_that_opens(tmp_path: Path) -> None:
    made = finish(synth("skies", tmp_path / "a.zip", clips=3, frames=20, size=16, seed=4))
    assert (made.clips, made.frames) == (3, 60)
    dataset = ClipDataset.open(made.path)
    assert (dataset.resolution, dataset.lengths) == (16, [20, 20, 20])
    assert (
        not (dataset.frames(0, [0]) == dataset.frames(1, [0])).all()
        and not (dataset.frames(0, [0]) == dataset.frames(0, [19])).all()
    )
    finish(synth("skies", tmp_path / "b", clips=4, frames=20, size=16, seed=4))  # as a folder, and one more
    with zipfile.ZipFile(made.path) as zipped:
        for name in zipped.namelist():
            if name.endswith(".jpg"):
                assert zipped.read(name) == (tmp_path / "b" / name).read_bytes()
    before = made.path.stat().st_mtime_ns
    finish(synth("skies", tmp_path / "a.zip", clips=3, frames=20, size=16, seed=4))
    assert made.path.stat().st_mtime_ns == before and finish(check(tmp_path / "b")).ok


def test_a_check_and_a_training_say_the_same_of_rates(tmp_path: Path, vedit: Vedit) -> None:
    made = finish(synth("skies", tmp_path / "a.zip", clips=3, frames=40, size=32))
    name, changes = RECIPES / "ablation-stylegan-v-32.toml", ["game.generator.fps=30", "metrics.names=[]", "metrics.best="]
    said = "runs at 25 frames/s, the generator's clock at 30: what it makes would play at another speed; --set game.generator.fps=25"
    options = [word for change in changes for word in ("--set", change)]
    assert f"note: {said}" in vedit("data", "check", str(made.path), "--recipe", str(name), *options).stdout
    recipe = read_recipe(name, [f"data.path={made.path}", *changes])
    assert isinstance(recipe, GameRecipe)
    with pytest.warns(TrainingWarning, match=re.escape(f"{made.path}: {said}")):
        fitting_clips(recipe).close()
    assert "frames/s" not in vedit("data", "check", str(made.path), "--recipe", str(name), *options, "--set", "game.generator.fps=25").stdout


@pytest.mark.parametrize("clips", ["many", [], [1, "two", {"fps": "25"}, {"fps": 0}, {"fps": -1}, {"fps": None}]])
def test_rates_that_are_none_are_not_compared(clips: object) -> None:
    assert rate_remark({"clips": clips}, 30) == "" and rate_remark(None, 30) == ""


def test_the_command_draws_and_checks_and_its_status_is_the_verdict(vedit: Vedit, tmp_path: Path) -> None:
    done = vedit(
        "data",
        "synth",
        "skies",
        "-o",
        "skies.zip",
        "--clips",
        "2",
        "--frames",
        "4",
        "--size",
        "8",
        "--quiet",
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "skies.zip: 2 clips, 8 frames\n", "")
    done = vedit("data", "check", "skies.zip", "--quiet", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.endswith("training will use it\n")
    done = vedit("data", "check", "skies.zip", "--frames", "4", "--quiet", "--json", cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and answer["ok"] is False and answer["clips"][0]["state"] == "skipped"
    assert "nothing.zip" in one_line_error(vedit("data", "check", "nothing.zip", cwd=tmp_path))
    assert "no world" in one_line_error(vedit("data", "synth", "seas", "-o", "x.zip", cwd=tmp_path))
