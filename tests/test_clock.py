"""The clip's clock: even without repeats, still at repeats, going on behind the end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.tiny_project import finished
from vedit.clock import Clock, repeats
from vedit.workspace import Workspace, WorkspaceError

TIMES = [0.5 + i / 30 for i in range(11)]


def test_without_repeats_t_is_seconds_times_rate() -> None:
    clock = Clock.of(TIMES, 25.0)
    asked = [0.4, 0.5, 0.51, 0.7, TIMES[-1], TIMES[-1] + 2]
    wanted = (torch.tensor(asked, dtype=torch.float64) - 0.5).clamp(min=0) * 25
    torch.testing.assert_close(clock(asked), wanted, atol=1e-9, rtol=0)


def test_repeats_stand_still_and_the_clip_takes_as_long_as_before() -> None:
    t = Clock.of(TIMES, 25.0, [5, 10])(TIMES)
    steps = t.diff()
    assert steps[4] == 0 and steps[9] == 0
    torch.testing.assert_close(steps[steps > 0], torch.full((8,), 10 / 30 * 25 / 8, dtype=torch.float64))


def test_a_clip_that_is_one_frame_throughout_keeps_its_time() -> None:
    still = torch.full((9, 4, 4, 3), 7, dtype=torch.uint8)
    assert repeats(still) == []
    assert Clock.of(TIMES, 25.0, range(1, 11))(TIMES)[-1] > 0


def noisy(seed: int, frames: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    drift = torch.arange(frames)[:, None, None, None] * 2
    return (drift + torch.randint(0, 100, (1, 16, 16, 3), generator=rng) + torch.randint(0, 3, (frames, 16, 16, 3), generator=rng)).byte()


def test_film_stored_at_thirty_frames_repeats_every_fifth_and_a_pause_is_no_repeat() -> None:
    film = noisy(0, 24)
    stored = [i * 4 // 5 for i in range(30)]
    assert repeats(film[stored]) == [i for i in range(1, 30) if stored[i] == stored[i - 1]]
    assert repeats(film) == []
    film[12] = film[11].clone()
    film[12] += 1  # slower than usual, but not the same picture
    assert repeats(film) == []


@pytest.mark.parametrize(("times", "frames"), [(2, 48), (2, 12), (3, 45)])
def test_drawings_on_twos_and_threes_repeat_throughout(times: int, frames: int) -> None:
    stored = [i // times for i in range(frames)]
    assert repeats(noisy(1, frames)[stored]) == [i for i in range(1, frames) if stored[i] == stored[i - 1]]


def test_somebody_who_slows_down_repeats_nothing() -> None:
    picture = torch.randint(0, 60, (1, 16, 16, 3), generator=torch.Generator().manual_seed(2))
    # two levels a frame from 12 to 24, sixty before and after
    shift = torch.arange(40) * 2 + torch.where((torch.arange(40) < 12) | (torch.arange(40) > 24), torch.arange(40) % 2 * 60, 0)
    assert repeats((picture + shift[:, None, None, None]).byte()) == []


@pytest.mark.parametrize("held", [[0], [2], [-1], ["1"], [0.5], 3])
def test_a_project_with_impossible_repeats_is_refused(held: object, tmp_path: Path) -> None:
    workspace = finished(tmp_path / "a.vedit")
    workspace.info["held"] = held
    workspace.save()
    with pytest.raises(WorkspaceError, match="damaged"):
        Workspace.open(workspace.path)
