"""`render --preview`: the whole at its own pace in few frames; and what goes with no preview, no paste-back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.commands import Vedit, one_line_error
from tests.tiny_project import rendered
from vedit import video
from vedit.editing import Edit
from vedit.rendering import schedule
from vedit.schedule import PREVIEWED, previewed
from vedit.workspace import Workspace

TIMES = [0.0, 0.04, 0.09, 0.12, 0.16, 0.2, 0.27]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 100 frames at 25 a second, with one edit."""
    folder = tmp_path_factory.mktemp("preview")
    workspace = rendered(folder / "clip.vedit", 100)
    edit = Edit("loud", "loud", "n", ((0.0, 1.0),), {"b8.conv0": torch.full((16,), 2.0)}, workspace.info["generator"]["hash"])
    workspace.save_edit("loud", *edit.to_files())
    return folder


@pytest.mark.parametrize(
    ("args", "count", "duration"),
    [
        ((), 34, 4.0),
        (("--end", "1.92"), 48, 1.92),
        (("--start", "2", "--speed", "0.5"), 25, 4.0),
        (("--extend", "1"), 42, 5.0),
        (("--paste-back", "--blend", "poisson"), 34, 4.0),
        (("--compare",), 34, 4.0),
        (("--sweep", "-1:1:3"), 34, 4.0),
        (("--motion-seed", "2", "--precision", "fp32"), 34, 4.0),
    ],
)
def test_a_preview_is_as_long_as_the_render_in_few_frames(vedit: Vedit, folder: Path, args: tuple[str, ...], count: int, duration: float) -> None:
    done = vedit("render", "--preview", "-q", *args, cwd=folder)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    path = folder / done.stdout.strip()
    assert path.parent.name == "renders" and path.name.startswith("preview-loud")
    frames = list(video.read(path))
    assert len(frames) == count <= PREVIEWED and frames[-1].time + frames[-1].duration == pytest.approx(duration, abs=2e-3)
    gaps = [later.time - earlier.time for earlier, later in zip(frames, frames[1:], strict=False)]
    assert max(gaps) - min(gaps) < 1e-3 and not video.probe(path).audio
    if not args:
        whole = folder / vedit("render", "-q", cwd=folder).stdout.strip()
        assert path.stat().st_size < whole.stat().st_size / 2


def test_a_preview_shows_frames_of_the_render_where_they_stand() -> None:
    plan = schedule(TIMES, 0.3)
    few = previewed(plan, 3)
    assert few.moments == few.shown == [0.0, 0.12, 0.27] and few.last_duration == plan.last_duration
    assert previewed(plan, 2).last_duration == pytest.approx(0.3 - 0.16)
    assert previewed(plan, 7) == plan


@pytest.mark.parametrize(
    ("args", "status", "expected"),
    [
        (("--blend", "replace"), 2, "--paste-back"),
        (("--preview", "--fps", "5"), 1, "--preview"),
        (("--preview", "--factor", "2"), 1, "--preview"),
        (("--preview", "--codec", "png"), 1, "--preview"),
        (("--preview", "--crf", "0"), 1, "--preview"),
        (("--paste-back", "--compare"), 1, "--paste-back"),
        (("--paste-back", "--sweep", "-1:1:3"), 1, "--paste-back"),
        (("--paste-back", "--motion-seed", "1"), 1, "--paste-back"),
        (("--paste-back", "--blend", "poisson", "--extend", "1"), 1, "--paste-back"),
    ],
)
def test_what_does_not_go_together_is_one_line(vedit: Vedit, folder: Path, args: tuple[str, ...], status: int, expected: str) -> None:
    done = vedit("render", "clip.vedit", "-q", *args, cwd=folder)
    assert expected in one_line_error(done) and done.returncode == status


def test_upsampling_knows_before_it_projects(vedit: Vedit, folder: Path) -> None:
    done = vedit("upsample", "clip.mkv", "--factor", "2", "--blend", "poisson", cwd=folder)
    assert "--paste-back" in one_line_error(done) and done.returncode == 2


@pytest.mark.parametrize(("side", "lines"), [(60.0, 0), (90.0, 1)])
def test_a_soft_paste_back_is_one_warning(vedit: Vedit, tmp_path: Path, side: float, lines: int) -> None:
    workspace = rendered(tmp_path / "clip.vedit", 4)
    workspace.info["crops"] = [[[side, 0.0, -20.0], [0.0, side, -20.0]]] * 4
    workspace.save()
    assert Workspace.open(workspace.path).info["crops"][0][0][0] == side
    done = vedit("render", "--paste-back", "--blend", "replace", "-q", cwd=tmp_path)
    assert done.returncode == 0 and len(done.stderr.splitlines()) == lines
    assert all(line.startswith("vedit: warning: ") and "5.6 times" in line for line in done.stderr.splitlines())
