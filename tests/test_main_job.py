"""The main job through the command line with a tiny real generator: project, edit, render, upsample, generate, decompose."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from stylegan_v import Generator, GeneratorConfig, MotionConfig, load_generator, save_generator
from tests.commands import Ran, Vedit, one_line_error
from vedit import video
from vedit.editing import Edit
from vedit.workspace import Workspace

DEMO = Path(__file__).parents[1] / "examples" / "demo.mp4"
FRAMES = 10  # of the demo clip, at 25 frames/s
SPENT = ("--steps", "3", "--perceptual", "builtin", "--crop", "center", "--duration", str(FRAMES / 25), "--device", "cpu")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny generator with random weights."""
    torch.manual_seed(0)
    motion = MotionConfig(
        z_dim=8, v_dim=8, distance=8, kernel_size=3, num_freqs=8, min_period=8.0, max_period=64.0, lr_multiplier=1.0
    )
    cfg = GeneratorConfig(resolution=32, z_dim=16, w_dim=16, channel_base=256, channel_max=16, motion=motion)
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    save_generator(Generator(cfg), path)
    return path


@pytest.fixture(scope="module")
def projected(generator: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project, made once by the command; tests copy it."""
    from tests.commands import python

    folder = tmp_path_factory.mktemp("projected")
    script = "from vedit.cli import main; main()"
    done = python(script, "project", str(DEMO), "-g", str(generator), "-o", str(folder / "a.vedit"), "--json", *SPENT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["project"].endswith("a.vedit")
    assert "it/s" in done.stderr or "s/it" in done.stderr, "no progress in the log"
    return folder


@pytest.fixture
def here(projected: Path, tmp_path: Path) -> Path:
    """A fresh copy of the project's folder, with one edit."""
    shutil.copytree(projected, tmp_path / "work")
    workspace = Workspace.open(tmp_path / "work" / "a.vedit")
    generator = load_generator(workspace.info["generator"]["name"])
    styles = generator.styles(generator.mapping(torch.zeros(1, 16)), torch.zeros(1, 1, generator.cfg.motion.v_dim * 2))
    direction = {name: torch.ones(style.shape[-1]) for name, style in styles.items() if "torgb" not in name}
    edit = Edit("loud", "a loud person", "a person", ((0.0, 1.0),), direction, generator.hash)
    workspace.save_edit("loud", *edit.to_files())
    return tmp_path / "work"


def made(done: Ran) -> Path:
    """The path that a command prints last."""
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip().splitlines()[-1])


def times(path: Path) -> list[float]:
    return [frame.time for frame in video.read(path)]


def test_a_render_has_the_sources_times_and_sound(vedit: Vedit, here: Path) -> None:
    path = here / made(vedit("render", cwd=here))
    assert path.parent == here / "a.vedit" / "renders"
    assert times(path) == pytest.approx(times(DEMO)[:FRAMES], abs=1e-3)
    assert video.probe(path).audio and not video.probe(here / made(vedit("render", "--no-audio", cwd=here))).audio


def test_upsampling_multiplies_the_frames_and_keeps_the_moments(vedit: Vedit, here: Path) -> None:
    path = here / made(vedit("upsample", "a.vedit", "--factor", "5", "-o", "smooth.mp4", cwd=here))
    assert path == here / "smooth.mp4"
    assert len(times(path)) == 5 * FRAMES
    assert times(path)[::5] == pytest.approx(times(DEMO)[:FRAMES], abs=1e-3)


def test_edits_change_the_picture_and_can_be_left_out(vedit: Vedit, here: Path) -> None:
    def picture(*args: str) -> torch.Tensor:
        path = here / made(vedit("render", *args, "--codec", "ffv1", "-o", "out.mkv", cwd=here))
        return torch.from_numpy(next(iter(video.read(path))).image.copy()).float()

    plain, edited = picture("--no-edits"), picture()
    assert (edited - plain).abs().mean() > 0.5
    assert torch.equal(picture("--edit", "loud"), edited)
    assert torch.equal(picture("--edit", "loud=0"), plain)


@pytest.mark.parametrize("how", ["--paste-back", "--compare", "--sweep=-1:1:3"])
def test_a_render_from_kept_frames_is_the_same(vedit: Vedit, here: Path, how: str) -> None:
    """With an edit that keeps to a region, whose surroundings are frames that the reconstruction needs at the same time."""
    info, tensors = Workspace.open(here / "a.vedit").load_edit("loud")
    info["region"] = {"kind": "box", "size": Workspace.open(here / "a.vedit").info["size"], "box": [0.0, 0.0, 60.0, 60.0]}
    Workspace.open(here / "a.vedit").save_edit("there", {**info, "name": "there"}, tensors)

    def pictures(name: str) -> list[torch.Tensor]:
        path = here / made(vedit("render", "--edit", "there", how, "--codec", "ffv1", "-o", name, cwd=here, XDG_CACHE_HOME=str(here / "cache")))
        return [torch.from_numpy(frame.image.copy()) for frame in video.read(path)]

    first = pictures("first.mkv")
    kept = {file: file.stat().st_ino for file in (here / "cache" / "vedit" / "frames").iterdir()}
    assert kept and all(file.suffix == ".f32" for file in kept)
    assert all(torch.equal(one, other) for one, other in zip(first, pictures("second.mkv"), strict=True))
    assert kept == {file: file.stat().st_ino for file in (here / "cache" / "vedit" / "frames").iterdir()}, "frames were rendered again"


@pytest.mark.parametrize(
    "args, expected",
    [
        (["render", "--edit", "quiet"], "loud"),
        (["render", "-o", "missing/folder/out.mp4"], "missing"),
        (["render", "--codec", "vp9", "-o", "out.mp3"], "out.mp3"),
        (["render", "--start", "100"], "100"),
        (["render", "--speed", "0"], "speed"),
        (["upsample", "nothing.mp4", "--factor", "2"], "nothing.mp4"),
        (["generate", "-g", "nobody"], "nobody"),
        (["project", "nothing.mp4"], "nothing.mp4"),
        (["project", "text.mp4"], "text.mp4"),
        (["project", str(DEMO), "-g", "nobody-9", "-o", "new.vedit"], "nobody-9"),
        (["project", str(DEMO), "-g", "text.mp4", "-o", "new.vedit"], "text.mp4"),
        (["project", str(DEMO), "-g", "TINY", "--crop", "9,9,-1,4", "-o", "new.vedit"], "9,9,-1,4"),
        (["project", str(DEMO), "-g", "TINY", "--start", "99", "-o", "new.vedit"], "99"),
        (["project", str(DEMO), "-g", "TINY", "-o", "text.mp4"], "text.mp4"),
        (["edit", "--prompt", "  "], "prompt"),
        (["edit", "--prompt", "x", "--clip", "no-such-model"], "no-such-model"),
    ],
)
def test_a_mistake_leaves_nothing(vedit: Vedit, here: Path, generator: Path, args: list[str], expected: str) -> None:
    (here / "text.mp4").write_text("This is no video.")
    before = sorted(str(path.relative_to(here)) for path in here.rglob("*"))
    args = [str(generator) if arg == "TINY" else arg for arg in args]
    line = one_line_error(vedit(*args, "--quiet", cwd=here))
    assert expected in line and "bug" not in line
    assert sorted(str(path.relative_to(here)) for path in here.rglob("*")) == before


def test_the_highest_fidelity_tunes_and_a_lower_one_forgets_it(vedit: Vedit, here: Path, generator: Path) -> None:
    def levels(*args: str) -> list[str]:
        done = vedit("project", str(DEMO), "-g", str(generator), "-o", "a.vedit", "--json", *SPENT, *args, cwd=here)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout)["levels"])

    assert levels("--fidelity", "max") == ["latent", "balanced", "max"]
    assert (here / "a.vedit" / "tuned.safetensors").exists()
    assert "max" in (here / "a.vedit" / "report.html").read_text(encoding="utf-8")
    preview = video.probe(here / "a.vedit" / "preview.mp4")
    assert (preview.width, preview.height) == (512, 256) and preview.audio
    assert times(here / "a.vedit" / "preview.mp4") == pytest.approx(times(DEMO)[:FRAMES], abs=1e-3)
    made(vedit("render", "-o", "tuned.mp4", cwd=here))
    assert levels("--fidelity", "max", "--no-tune") == ["latent", "balanced"]
    assert not (here / "a.vedit" / "tuned.safetensors").exists()


def test_another_clip_does_not_replace_a_project_unasked(vedit: Vedit, here: Path, generator: Path) -> None:
    made(vedit("render", "-o", "other.mp4", cwd=here))
    done = vedit("project", "other.mp4", "-g", str(generator), "-o", "a.vedit", "--quiet", *SPENT, cwd=here)
    assert "--overwrite" in one_line_error(done)


def test_a_run_killed_before_its_end_goes_on_where_it_was(vedit: Vedit, here: Path, generator: Path) -> None:
    again = ("project", str(DEMO), "-g", str(generator), "-o", "a.vedit", "--quiet", "--json", *SPENT)
    project = here / "a.vedit"
    (project / "project.json").unlink()  # written last
    (project / "stages" / "invert" / "key").unlink()
    before = {path: path.stat().st_mtime_ns for path in project.glob("stages/*/key")}
    assert before
    done = vedit(*again, cwd=here)
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (project / "stages" / "invert" / "key").is_file()


def test_overwriting_leaves_the_files_of_others(vedit: Vedit, here: Path, generator: Path) -> None:
    (here / "a.vedit" / "notes.txt").write_text("mine")
    done = vedit("project", str(DEMO), "-g", str(generator), "-o", "a.vedit", "--overwrite", "--quiet", *SPENT, cwd=here)
    assert done.returncode == 0, done.stderr
    assert (here / "a.vedit" / "notes.txt").read_text() == "mine"
    assert not Workspace.open(here / "a.vedit").list_edits()


def test_random_videos_and_their_grid(vedit: Vedit, generator: Path, tmp_path: Path) -> None:
    done = vedit("generate", "-g", str(generator), "--seeds", "0-1", "--frames", "4", "--json", "--quiet", cwd=tmp_path)
    paths = [tmp_path / path for path in json.loads(done.stdout)["videos"]]
    assert [len(times(path)) for path in paths] == [4, 4] and done.stderr == ""
    grid = made(vedit("generate", "-g", str(generator), "--seeds", "0-3", "--frames", "4", "--grid", "-o", "g.mp4", cwd=tmp_path))
    assert (video.probe(tmp_path / grid).width, video.probe(tmp_path / grid).height) == (64, 64)


def test_a_decomposition_has_a_row_for_a_content(vedit: Vedit, generator: Path, tmp_path: Path) -> None:
    path = made(vedit("decompose", "-g", str(generator), "--contents", "2", "--motions", "3", cwd=tmp_path))
    found = video.probe(tmp_path / path)
    assert (found.width, found.height) == (96, 64)
    row = made(vedit("decompose", "-g", str(generator), "--contents", "1", "--motions", "4", "-o", "row.mp4", cwd=tmp_path))
    assert (video.probe(tmp_path / row).width, video.probe(tmp_path / row).height) == (128, 32)
