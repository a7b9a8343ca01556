"""A photograph set in motion: it has a length, begins as itself, and moves, also in its own picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.commands import Ran, Vedit, one_line_error
from tests.tiny_project import rendered
from vedit import video
from vedit.photograph import set_in_motion
from vedit.rendering import scene
from vedit.workspace import Workspace

MOVED = ("render", "photo.vedit", "--codec", "ffv1", "-o", "out.mkv", "-q")


@pytest.fixture
def photo(tmp_path: Path) -> Workspace:
    return rendered(tmp_path / "photo.vedit", 1)


def frames(done: Ran, folder: Path) -> tuple[np.ndarray, list[float], float]:
    """The pictures of out.mkv, when they stand, and when the last one ends."""
    assert done.returncode == 0, done.stderr
    read = list(video.read(folder / "out.mkv"))
    return np.stack([frame.image for frame in read]), [frame.time for frame in read], read[-1].time + read[-1].duration


@pytest.mark.parametrize(
    ("args", "count", "rate"),
    [
        ((), 100, 25),
        (("--end", "1"), 25, 25),
        (("--extend", "0.4"), 10, 25),
        (("--fps", "10"), 40, 10),
        (("--start", "1", "--end", "1.2"), 5, 25),
        (("--end", "5", "--fps", "5"), 25, 5),
        (("--end", "1", "--factor", "2"), 50, 50),
        (("--end", "1", "--speed", "0.5"), 25, 12.5),
    ],
)
def test_a_seed_moves_it_for_four_seconds_or_as_long_as_is_asked(
    vedit: Vedit, photo: Workspace, tmp_path: Path, args: tuple[str, ...], count: int, rate: float
) -> None:
    pictures, times, end = frames(vedit(*MOVED, "--motion-seed", "3", *args, cwd=tmp_path), tmp_path)
    assert len(pictures) == count and times == pytest.approx([i / rate for i in range(count)], abs=1e-3)
    assert end == pytest.approx(count / rate, abs=2e-3)
    assert np.abs(np.diff(pictures.astype(float), axis=0)).mean(axis=(1, 2, 3)).min() > 0


def test_another_clip_gives_its_motion_and_its_times(vedit: Vedit, photo: Workspace, tmp_path: Path) -> None:
    other = rendered(tmp_path / "other.vedit", 6)
    other.info |= {"times": [0.2, 0.24, 0.32, 0.36, 0.5, 0.54], "end": 0.6, "held": [3]}
    other.save()
    pictures, times, end = frames(vedit(*MOVED, "--motion-from", "other.vedit", cwd=tmp_path), tmp_path)
    assert times == pytest.approx([0, 0.04, 0.12, 0.16, 0.3, 0.34], abs=1e-3) and end == pytest.approx(0.4, abs=2e-3)
    change = np.abs(np.diff(pictures.astype(float), axis=0)).mean(axis=(1, 2, 3))
    assert change[2] == 0 and (change[[0, 1, 3, 4]] > 0).all()  # where that one stands still


@pytest.mark.parametrize("how", [("--motion-seed", "3"), ("--motion-from", "other.vedit"), ("--extend", "1")])
def test_it_begins_as_itself(vedit: Vedit, photo: Workspace, tmp_path: Path, how: tuple[str, str]) -> None:
    rendered(tmp_path / "other.vedit", 5)
    alone = frames(vedit(*MOVED, cwd=tmp_path), tmp_path)[0]
    moving = frames(vedit(*MOVED, *how, cwd=tmp_path), tmp_path)[0]
    assert len(alone) == 1 < len(moving)
    assert np.abs(moving[0].astype(int) - alone[0]).max() <= 1 and (moving[-1] != alone[0]).mean() > 0.3


def test_what_its_fit_put_into_the_motion_codes_does_not_fade(photo: Workspace) -> None:
    """Under a motion that stands still the photograph does, however long."""
    own = scene(photo, [])
    assert own.latents.motion is not None and own.latents.content is not None
    motion = own.latents.motion_z
    assert motion is not None and own.latents.u is not None
    still = own.latents.u[:1].expand(60, -1)
    moved = set_in_motion(own, type(own.latents)(own.latents.ws, still, motion, 400.0), 400.0)
    with torch.no_grad():
        ws, codes = moved.latents.at(own.generator, torch.tensor([0.0, 100.0, 400.0], dtype=torch.float64))
        here, there = own.latents.at(own.generator, torch.zeros(1, dtype=torch.float64))
        rest = own.generator.motion(torch.tensor([[0.0, 100.0, 400.0]], dtype=torch.float64), None, u=still.unsqueeze(0))
    assert codes is not None and there is not None
    torch.testing.assert_close(ws[0], here[0, 0])
    torch.testing.assert_close(codes - rest, (there - rest[:, :1]).expand_as(codes), atol=1e-5, rtol=0)


@pytest.mark.parametrize("blend", ["difference", "replace", "poisson"])
def test_it_moves_in_its_own_picture(vedit: Vedit, photo: Workspace, tmp_path: Path, blend: str) -> None:
    args = (*MOVED, "--motion-seed", "3", "--end", "0.4", "--paste-back", "--blend", blend)
    pictures = frames(vedit(*args, cwd=tmp_path), tmp_path)[0]
    source = next(iter(video.read(tmp_path / "photo.png"))).image
    assert len(pictures) == 10 and (pictures[:, :4] == source[:4]).all() and (pictures[:, -4:] == source[-4:]).all()
    assert (pictures[-1] != pictures[0]).any()
    assert (pictures[0] == source).all() == (blend == "difference")


def test_in_its_own_picture_it_is_compared_with_itself_whatever_the_other_clips_clock(vedit: Vedit, photo: Workspace, tmp_path: Path) -> None:
    rendered(tmp_path / "other.vedit", 5)
    photo.info |= {"times": [0.1], "end": 0.1}  # that clip's third moment
    photo.save()
    pictures = frames(vedit(*MOVED, "--motion-from", "other.vedit", "--paste-back", cwd=tmp_path), tmp_path)[0]
    assert len(pictures) == 5 and (pictures[0] == next(iter(video.read(tmp_path / "photo.png"))).image).all()


@pytest.mark.parametrize("args", [("--factor", "2"), ("--fps", "30")])
def test_a_rate_needs_a_length(vedit: Vedit, photo: Workspace, tmp_path: Path, args: tuple[str, ...]) -> None:
    assert "--motion-seed" in one_line_error(vedit("render", "photo.vedit", *args, "-q", cwd=tmp_path))


def test_a_length_without_end_is_refused(vedit: Vedit, photo: Workspace, tmp_path: Path) -> None:
    assert "86400" in one_line_error(vedit("render", "photo.vedit", "--motion-seed", "1", "--end", "1e9", "-q", cwd=tmp_path))
