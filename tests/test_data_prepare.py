"""From videos to clips: cuts are found, frames are the right ones, and neither a kill nor the number of workers changes the result."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import typer

from stylegan_v.config import ConfigError
from stylegan_v.data import ClipDataset
from tests.commands import Vedit, one_line_error
from tests.numbered import make_clip, number, picture
from vedit import video
from vedit.alignment import AlignmentError, load_detector
from vedit.cli import app
from vedit.data.likeness import near_duplicates, signature, thumbnail
from vedit.data.manifest import read_manifest
from vedit.data.prepare import prepare
from vedit.data.sources import PreparationError, find_sources
from vedit.pixels import save_png, to_pixels
from vedit.progress import finish
from vedit.training_game import GameRecipe, fitting_clips, read_recipe
from vedit.training_watch import TrainingWarning
from vedit.worlds import world

SIDE = 32
GUIDE_FOLDER = Path(__file__).parents[1] / "recipes"
GUIDE = (GUIDE_FOLDER / "DATA.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", GUIDE, flags=re.DOTALL) for line in block.splitlines()]


def film(path: Path, scenes: list[range], fps: int = 25) -> Path:
    """A video of numbered pictures; every other scene has them in negative."""
    frames = [
        255 - picture(i, 64, 64) if odd % 2 else picture(i, 64, 64) for odd, scene in enumerate(scenes) for i in scene
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    video.write(path, frames, fps=fps, crf=10)
    return path


def numbers(dataset: ClipDataset, clip: int) -> list[int]:
    """The numbers that a clip's frames carry."""
    frames = dataset.frames(clip, range(dataset.lengths[clip])).permute(0, 2, 3, 1).numpy()
    return [number(np.array(frame)) for frame in frames]


def contents(path: Path) -> dict[str, bytes]:
    """Everything in a folder, by name."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos in two folders."""
    folder = tmp_path_factory.mktemp("films")
    film(folder / "walk" / "a.mp4", [range(20)])
    film(folder / "walk" / "b 2.mp4", [range(40, 60)])
    film(folder / "run" / "a.mp4", [range(80, 104)])
    return folder


def test_a_cut_is_found_and_every_frame_is_where_it_belongs(tmp_path: Path) -> None:
    pytest.importorskip("scenedetect", reason="PySceneDetect is not installed")
    source = film(tmp_path / "film.mp4", [range(20), range(30, 55), range(60, 66), range(70, 87)])
    made = finish(prepare([source], tmp_path / "set.zip", size=SIDE))
    dataset = ClipDataset.open(made.path)
    assert dataset.names == ["film-0000", "film-0001", "film-0002"]
    assert numbers(dataset, 0) == list(range(20))
    for clip, scene in ((1, range(30, 55)), (2, range(70, 87))):  # the stripes of a negative spell the complement
        assert [255 - n for n in numbers(dataset, clip)] == list(scene)
    assert made.left_out == [
        {"source": str(source), "start": 1.8, "end": 2.04, "reason": "6 frames, wanted at least 16"}
    ]
    whole = finish(prepare([source], tmp_path / "whole", size=SIDE, scenes=False))
    assert (whole.clips, whole.frames) == (1, 68)


def test_without_the_scene_detector_the_remedy_is_named(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scenedetect", None)
    with pytest.raises(PreparationError, match=r"vedit\[scenes\].*--no-scenes"):
        finish(prepare([films], tmp_path / "set"))
    assert not list(tmp_path.iterdir())


def test_rate_start_duration_and_most_choose_frames_by_their_times(films: Path, tmp_path: Path) -> None:
    made = finish(
        prepare(
            [films / "run/a.mp4"],
            tmp_path / "set",
            size=SIDE,
            scenes=False,
            fps="12.5",
            start=0.16,
            duration=0.68,
            least=3,
            most=4,
        )
    )
    dataset = ClipDataset.open(made.path)
    assert [numbers(dataset, clip) for clip in range(len(dataset))] == [[84, 86, 88, 90], [92, 94, 96, 98]]
    assert made.left_out[0]["reason"] == "1 frame, wanted at least 3"
    clips = json.loads((made.path / "prepared.json").read_text())["clips"]
    assert [(clip["start"], clip["end"]) for clip in clips] == [(0.16, 0.48), (0.48, 0.8)]


def test_crops_are_squares_at_their_place_and_turned_upright(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "turned.mp4", 4, size=(96, 64), rotation=(90, False))  # shown 64 wide, 96 high
    frames = [frame.image for frame in video.read(source)]
    for crop, (top, left, side) in {"center": (16, 0, 64), "8,20,32,32": (20, 8, 32)}.items():
        made = finish(prepare([source], tmp_path / crop, size=side, crop=crop, scenes=False, least=2, format="png"))
        got = ClipDataset.open(made.path).frames(0, range(4)).permute(0, 2, 3, 1).numpy()
        assert (got == np.stack(frames)[:, top : top + side, left : left + side]).all()


def test_a_killed_run_goes_on_and_a_finished_one_is_left_alone(films: Path, tmp_path: Path) -> None:
    def task(out: str) -> object:
        return prepare([films], tmp_path / out, size=SIDE, scenes=False)

    for name in ("set", "set.zip"):
        finish(task(f"whole-{name}"))
        running = task(name)
        for progress in running:
            if progress.done == 1 and "cut 9" in progress.note:
                break  # in the middle of the second video; nothing is tidied up, as after a kill
        del running
        parts = tmp_path / f".{name}.parts"
        assert not (tmp_path / name).exists() and len(list(parts.glob("*.unfinished"))) == 1
        assert [progress.done for progress in task(name) if progress.stage == "cut"][
            0
        ] == 1  # the first video is not cut again
        assert not parts.exists()
        if name == "set":
            assert contents(tmp_path / "set") == contents(tmp_path / "whole-set")
        else:
            assert (tmp_path / "set.zip").read_bytes() == (tmp_path / "whole-set.zip").read_bytes()
        assert not list(task(name))  # nothing to do, not a moment of progress
    for name in ("walk-a", "walk-b_2", "run-a"):
        assert len(list((tmp_path / "set" / f"{name}-0000").glob("*.jpg"))) >= 20


def test_clips_of_a_run_with_other_settings_that_was_killed_while_writing_are_not_kept(films: Path, tmp_path: Path) -> None:
    for progress in prepare([films], tmp_path / "set", size=2 * SIDE, scenes=False):
        if progress.stage == "write" and progress.done == 2:
            break  # killed with two clips of the larger size in place
    finish(prepare([films / "walk"], tmp_path / "set", size=SIDE, scenes=False))
    finish(prepare([films / "walk"], tmp_path / "plain", size=SIDE, scenes=False))
    assert contents(tmp_path / "set") == contents(tmp_path / "plain")


def test_the_number_of_workers_changes_nothing(films: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        finish(prepare([films], tmp_path / f"{workers}.zip", size=SIDE, scenes=False, workers=workers))
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_folders_are_classes_when_asked(films: Path, tmp_path: Path) -> None:
    made = finish(prepare([films], tmp_path / "set.zip", size=SIDE, scenes=False, labels="folder"))
    dataset = ClipDataset.open(made.path)
    assert made.classes == ["run", "walk"] and dataset.names == ["run-a-0000", "walk-a-0000", "walk-b_2-0000"]
    assert [dataset.label(clip).tolist() for clip in range(3)] == [[1, 0], [0, 1], [0, 1]]


def test_a_class_without_a_clip_is_named_and_counted(films: Path, tmp_path: Path) -> None:
    shutil.copytree(films, tmp_path / "in")
    film(tmp_path / "in" / "zoom" / "a.mp4", [range(5)])
    made = finish(prepare([tmp_path / "in"], tmp_path / "set.zip", size=SIDE, scenes=False, labels="folder"))
    assert made.notes == ["class 'zoom' has no clip"] and ClipDataset.open(made.path).c_dim == 3


def test_rates_are_kept_and_a_training_at_another_one_is_warned(films: Path, tmp_path: Path) -> None:
    made = finish(prepare([films], tmp_path / "set.zip", size=SIDE, scenes=False))
    assert {clip["fps"] for clip in read_manifest(made.path)["clips"]} == {25.0}  # type: ignore[index]
    settings = ["game.generator.resolution=32", "game.discriminator.resolution=32", f"data.path={made.path}"]
    recipe = read_recipe(GUIDE_FOLDER / "laptop-64.toml", settings)
    assert isinstance(recipe, GameRecipe)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitting_clips(recipe).close()
    faster = read_recipe(GUIDE_FOLDER / "laptop-64.toml", [*settings, "game.generator.fps=30"])
    assert isinstance(faster, GameRecipe)
    with pytest.warns(TrainingWarning, match=r"runs at 25 frames/s, the generator's clock at 30.*fps=25, or prepare the clips with --fps 30"):
        fitting_clips(faster).close()


@pytest.mark.parametrize("out", [".", "/", ".."])
def test_a_place_that_is_no_data_sets_own_is_refused(out: str, films: Path) -> None:
    with pytest.raises(PreparationError, match="a folder of its own"):
        finish(prepare([films], out, size=SIDE, scenes=False))


def test_a_folder_named_zip_is_refused_before_the_work(films: Path, tmp_path: Path) -> None:
    (tmp_path / "set.zip").mkdir()
    with pytest.raises(PreparationError, match="is a folder"):
        next(prepare([films], tmp_path / "set.zip", size=SIDE, scenes=False))


def test_a_face_at_a_place_is_no_crop_of_many_videos(films: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="crop is 'face@10,10'"):
        finish(prepare([films], tmp_path / "set.zip", crop="face@10,10"))


@pytest.mark.skipif(sys.platform == "win32", reason="pipes, links and names of any bytes are POSIX")
def test_pipes_links_to_nothing_and_strange_names_do_not_end_the_work(films: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    shutil.copytree(films / "walk", source)
    os.mkfifo(source / "pipe.mp4")
    (source / "gone.mp4").symlink_to(source / "nothing.mp4")
    shutil.copy(films / "run" / "a.mp4", os.fsencode(source) + b"/ok\xff.mp4")
    made = finish(prepare([source], tmp_path / "set.zip", size=SIDE, scenes=False))
    assert made.clips == 3


def test_what_cannot_be_read_is_left_out_by_name_and_a_copy_too(films: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    shutil.copytree(films / "walk", source)
    frames = [frame.image for frame in video.read(source / "a.mp4")]
    video.write(source / "copy.mp4", frames, fps=25, crf=35)
    (source / "broken.mp4").write_bytes(b"no video")
    frames_folder = source / "stills"
    frames_folder.mkdir()
    for i in range(16):
        save_png(frames_folder / f"{i}.png", picture(200 + i, 64, 64))
    made = finish(prepare([source], tmp_path / "set", size=SIDE, scenes=False))
    assert ClipDataset.open(made.path).names == ["a-0000", "b_2-0000", "stills-0000"]
    assert made.duplicates == [{"name": "copy-0000", "like": "a-0000"}]
    assert [Path(item["source"]).name for item in made.left_out] == ["broken.mp4"]
    kept = finish(prepare([source], tmp_path / "all", size=SIDE, scenes=False, duplicates=True))
    assert kept.clips == 4


def test_a_crop_outside_the_picture_leaves_the_video_out_and_no_clip_is_an_error(films: Path, tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match=r"no clip is left of 3 videos; the first: .*reaches to"):
        finish(prepare([films], tmp_path / "set", size=SIDE, scenes=False, crop="40,0,32,32"))
    assert not (tmp_path / ".set.parts").exists()  # nothing in it is of use
    with pytest.raises(AlignmentError):
        finish(prepare([films], tmp_path / "set", crop="middle", scenes=False))
    with pytest.raises(ConfigError, match="least"):
        finish(prepare([films], tmp_path / "set", least=0, scenes=False))


def test_only_clips_that_show_a_face_are_kept_with_crop_face(tmp_path: Path) -> None:
    if load_detector() is None:
        pytest.skip("no face detector is installed")
    for name in ("portraits", "skies"):
        place = world(name)
        rng = torch.Generator().manual_seed(2)
        drawn = place.draw_clips(
            place.random_attributes(1, rng), place.random_motion(torch.arange(8.0)[None], rng), 160
        )
        video.write(tmp_path / f"{name}.mp4", list(to_pixels(drawn[0]).numpy()), fps=25)
    made = finish(prepare([tmp_path], tmp_path / "set.zip", size=SIDE, crop="face", scenes=False, least=4))
    assert ClipDataset.open(made.path).names == ["portraits-0000"]
    assert [(Path(item["source"]).name, item["reason"]) for item in made.left_out] == [
        ("skies.mp4", "no face in most of its 8 frames")
    ]


def test_another_data_set_in_the_place_is_never_lost(films: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear")
    for overwrite in (False, True):
        with pytest.raises(PreparationError, match="was not made by this command"):
            finish(prepare([films], tmp_path / "mine", scenes=False, overwrite=overwrite))
    for name in ("set", "set.zip"):
        finish(prepare([films], tmp_path / name, size=SIDE, scenes=False))
        with pytest.raises(PreparationError, match="--overwrite"):
            finish(prepare([films], tmp_path / name, size=16, scenes=False))
        finish(prepare([films], tmp_path / name, size=16, scenes=False, overwrite=True))
        assert ClipDataset.open(tmp_path / name).resolution == 16
    with zipfile.ZipFile(tmp_path / "set.zip") as made:
        assert "prepared.json" in made.namelist()


def test_names_of_clips_are_plain_and_never_the_same(tmp_path: Path) -> None:
    for name in ("a/x.mp4", "a/x.avi", "a-x.mp4", "b/Straße & Ω.mp4", "10.mp4", "9.mp4", ".hidden.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    names = [source.name for source in find_sources([tmp_path])]
    assert names == ["9", "10", "a-x", "a-x-v2", "a-x-v3", "b-Straße___Ω"]


def test_clips_may_lie_beside_their_videos(films: Path, tmp_path: Path) -> None:
    shutil.copytree(films / "walk", tmp_path / "walk")
    made = [finish(prepare([tmp_path], tmp_path / "walk" / "set", size=SIDE, scenes=False)) for _ in range(2)]
    assert made[0] == made[1] and made[0].clips == 2


def test_copies_are_near_and_other_moments_of_a_still_scene_are_not() -> None:
    rng = torch.Generator().manual_seed(0)
    scene = torch.rand(3, 16, 16, generator=rng) * 200

    def clip(seed: int, noise: float = 0.0, moved: float = 6.0) -> np.ndarray:
        own, grain = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(99)
        frames = [
            scene + moved * torch.randn(3, 16, 16, generator=own) + noise * torch.randn(3, 16, 16, generator=grain)
            for _ in range(8)
        ]
        return signature([thumbnail(frame.clamp(0, 255).to(torch.uint8)) for frame in frames])

    found = list(
        near_duplicates([clip(1), clip(2), clip(1, 1.0), clip(2, 1.0), clip(3), clip(4, 0.2, 0.0), clip(5, 0.2, 0.0)])
    )
    assert found == [(0, 2), (1, 3), (5, 6)]


def test_the_command_prepares_and_tells(vedit: Vedit, films: Path, tmp_path: Path) -> None:
    args = ("data", "prepare", str(films), "-o", "set.zip", "--size", "32", "--no-scenes", "--least", "21")
    done = vedit(*args, "--quiet", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "set.zip: 1 clip, 24 frames" and lines[1].endswith(
        "walk/a.mp4 (0.00 s to 0.80 s): 20 frames, wanted at least 21"
    )
    answer = json.loads(vedit(*args, "--quiet", "--json", cwd=tmp_path).stdout)
    assert (answer["clips"], len(answer["left_out"])) == (1, 2)
    assert "nothing at gone" in one_line_error(vedit("data", "prepare", "gone", "-o", "x.zip", cwd=tmp_path))
    assert "least" in one_line_error(vedit("data", "prepare", str(films), "-o", "x.zip", "--least", "0", cwd=tmp_path))


def test_the_guide_names_data_sets() -> None:
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_guide_is_understood(line: str) -> None:
    program, group, name, *args = shlex.split(line)
    assert (program, group) == ("vedit", "data")
    command = typer.main.get_command(app)
    for part in (group, name):
        command = command.commands[part]  # type: ignore[attr-defined]
    command.make_context(name, args)
