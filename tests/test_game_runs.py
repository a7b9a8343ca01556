"""Runs of the game in their folder: what they write, and that they go on exactly after being killed."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import vedit.training_watch
from stylegan_v import Generator, load_generator, save_generator
from stylegan_v.alarms import Alarm
from stylegan_v.archive import DataError
from stylegan_v.data import ClipDataset
from stylegan_v.game import Game
from stylegan_v.guard import TrainingDiverged
from tests.tiny_game import MOTION, tiny_config, write_clips
from tests.tiny_runs import figures, lines, recipe
from vedit import video
from vedit.data.check import check
from vedit.errors import VeditError
from vedit.metrics import SourceError
from vedit.progress import finish
from vedit.training import RecipeError, overrule
from vedit.training_game import GameRecipe, fitting_clips, remarks, train_game
from vedit.training_metrics import MetricsWarning
from vedit.training_plan import plan_game
from vedit.training_watch import Keeper, TrainingWarning, real_figures

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("runs") / "clips")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def spoiled(clips: Path, folder: Path, name: str, content: bytes = b"not an image") -> Path:
    """A copy of the clips in which one file holds something else."""
    shutil.copytree(clips, folder)
    (folder / name).write_bytes(content)
    return folder


def test_a_frame_that_is_broken_is_found_before_the_first_step(clips: Path, tmp_path: Path) -> None:
    data = spoiled(clips, tmp_path / "data", "clip-3/000017.png")
    (data / "clip-4" / "000002.png").write_bytes((clips / "clip-4" / "000002.png").read_bytes()[:100])
    wanted = r"clip-3/000017\.png is no image.* \(and 1 more such frames\).*vedit data check"
    with pytest.raises(DataError, match=wanted):
        finish(train_game(recipe(data), tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    with pytest.raises(DataError, match=wanted):
        finish(plan_game(recipe(data)))
    assert not finish(check(data)).ok  # they agree


def test_a_data_set_is_read_through_once_as_long_as_it_stays_as_it_is(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    shutil.copytree(clips, data)
    seen = [step.stage for step in train_game(recipe(data), tmp_path / "one")]
    assert "read" in seen
    seen = [step.stage for step in train_game(recipe(data), tmp_path / "two")]
    assert "read" not in seen
    (data / "clip-0" / "000000.png").write_bytes((data / "clip-0" / "000001.png").read_bytes())
    seen = [step.stage for step in train_game(recipe(data), tmp_path / "three")]
    assert "read" in seen
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("no folder can be made here")
    finish(train_game(recipe(data), tmp_path / "four"))


def test_a_frame_that_breaks_while_in_use_keeps_the_run(clips: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(clips, data)
    unbroken = finish(train_game(recipe(data), tmp_path / "unbroken"))
    with pytest.raises(RecipeError, match="put the file back as it was, .* --resume"):
        for step in train_game(recipe(data, save_every=100), out):
            if step.stage == "train" and step.done == 3:
                for file in data.glob("clip-*/*.png"):
                    file.write_bytes(b"")
    shutil.rmtree(data)
    shutil.copytree(clips, data)
    path = finish(train_game(recipe(data, save_every=100), out, resume=True))
    pairs = zip(load_generator(path).parameters(), load_generator(unbroken).parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_best_is_kept_by_a_figure_with_whatever_features_it_has(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, "tiny", keep=0, best="fvd16")

    def best(step: int, figures: dict[str, float]) -> str:
        keeper.result.write_text(str(step))
        keeper.compare(step, figures)
        return (tmp_path / "tiny-best.safetensors").read_text()

    assert best(1, {"fid-squeeze": 1.0, "fvd16-squeeze": 9.0}) == "1"
    assert best(2, {"fid-squeeze": 0.5, "fvd16-squeeze": 10.0}) == "1"
    assert best(3, {"fvd16": 400.0}) == "3"  # other features from here on: not comparable with what was
    assert best(4, {"fvd16": 500.0}) == "3"
    assert json.loads((tmp_path / "best.json").read_text()) == {"figure": "fvd16", "value": 400.0, "step": 3}
    with pytest.warns(TrainingWarning, match="no figure 'fvd16'.*fvd128"):
        keeper.compare(5, {"fvd128-squeeze": 1.0})


@pytest.mark.filterwarnings("ignore::vedit.training_watch.TrainingWarning")
def test_a_run_keeps_a_generator_a_log_sheets_videos_and_the_best(clips: Path, tmp_path: Path) -> None:
    changes = {"watch": {"log_every": 2, "sheet_every": 4, "clips": 3, "frames": 8, "keep": 1}}
    metrics = {"names": ["fvd16"], "every": 3, "best": "fvd16"}
    values = iter((9.0, 5.0, 7.0))
    seen: list[Generator] = []

    def evaluate(generator: Generator) -> dict[str, float]:
        seen.append(generator)
        return {"fvd16": next(values)}

    out = tmp_path / "run"
    path = finish(train_game(recipe(clips, **changes, metrics=metrics), out, evaluate=evaluate))
    assert load_generator(path).metadata == {"recipe": "tiny", "data": "clips", "steps": "8"}
    assert [line["step"] for line in lines(out)] == [2, 3, 4, 6, 6, 8, 8]
    assert [line["fvd16"] for line in lines(out) if "fvd16" in line] == [9, 5, 7] and len(seen) == 3
    first = lines(out)[0]
    assert first["clips"] == 8 and first["frames_per_s"] == pytest.approx(3 * first["clips_per_s"], rel=1e-3)
    assert (
        first["skipped"] == 0 and first["memory_gib"] > 0 and {"generator", "discriminator", "r1", "p"} <= first.keys()
    )
    assert json.loads((out / "best.json").read_text()) == {"figure": "fvd16", "value": 5.0, "step": 6}
    assert load_generator(out / "tiny-best.safetensors").metadata["steps"] == "6"
    assert [file.name for file in (out / "snapshots").iterdir()] == ["tiny-0000008.safetensors"]
    assert sorted(file.name for file in out.glob("sheet-*.png")) == ["sheet-0000004.png", "sheet-0000008.png"]
    assert len(list(video.read(out / "samples-0000008.mp4"))) == 8
    assert not list(out.glob(".*.part"))
    pytest.importorskip("tensorboard", reason="curves need the extra `watch`")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(out / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("generator")] == [2, 4, 6, 8]
    assert board.Images("samples")[0].encoded_image_string[:4] == b"GIF8"


def test_without_tensorboard_a_run_says_so_in_one_line(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    short = {**recipe(clips).to_dict()["game"], "kimg": 0.004}
    with pytest.warns(TrainingWarning, match="tensorboard is not installed") as found:
        finish(train_game(recipe(clips, game=short, watch={}), tmp_path / "run"))
    assert sum("tensorboard" in str(warning.message) for warning in found) == 1
    assert not (tmp_path / "run" / "tensorboard").exists()
    assert [line["step"] for line in lines(tmp_path / "run") if "alarm" not in line] == [1]


def test_what_was_due_at_a_step_that_was_left_out_is_kept_at_the_next(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps 4 (a sheet and a state are due) and 8 (the last) are bad ones."""
    play, out = Game._play, tmp_path / "run"

    def sometimes(game: Game) -> tuple[bool, dict[str, float]]:
        good, figures = play(game)
        return (False, figures | {"generator": math.nan}) if game.step in (3, 7) else (good, figures)

    monkeypatch.setattr(Game, "_play", sometimes)
    steps = [step.done for step in train_game(recipe(clips), out) if step.stage == "train"]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8]
    assert sorted(file.name for file in out.glob("sheet-*.png")) == ["sheet-0000005.png", "sheet-0000008.png"]
    assert torch.load(out / "state.pt", weights_only=True)["step"] == 8 and load_generator(out / "tiny.safetensors").metadata["steps"] == "8"
    assert [line["generator"] for line in lines(out) if "alarm" not in line].count(None) == 2  # JSON has no NaN


def test_a_run_of_bad_steps_alone_is_no_success(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Game, "_play", lambda game: (False, {"generator": math.nan}))
    with pytest.raises(TrainingDiverged, match="8 steps were not finite"):
        finish(train_game(recipe(clips), tmp_path / "run"))
    assert not (tmp_path / "run" / "tiny.safetensors").exists()


def test_figures_that_cannot_be_taken_are_an_error_at_once_and_later_a_warning(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(VeditError, match="0 videos of 128 frames"):
        finish(train_game(recipe(clips, metrics={"names": ["fvd128"], "features": ["builtin"]}), tmp_path / "one"))
    with pytest.raises(VeditError, match="i3d"):
        finish(train_game(recipe(clips, metrics={"names": ["fvd16"], "features": ["i3d"]}), tmp_path / "two"))
    assert not (tmp_path / "one").exists() and not (tmp_path / "two").exists()

    def fail(generator: Generator) -> dict[str, float]:
        raise SourceError("frames are broken")

    metrics = {"names": ["fid"], "features": ["builtin"], "every": 4}
    with pytest.warns(TrainingWarning, match="step 4: no figures: frames are broken"):
        finish(train_game(recipe(clips, metrics=metrics), tmp_path / "three", evaluate=fail))


def test_notes_on_figures_are_told_once(clips: Path, tmp_path: Path) -> None:
    metrics = {"names": ["fid"], "features": ["builtin"], "every": 4, "clips": 16}
    with pytest.warns(MetricsWarning) as told:
        finish(train_game(recipe(clips, metrics=metrics), tmp_path / "run"))
    assert ["fid-builtin: 16 frames" in str(one.message) for one in told if one.category is MetricsWarning] == [True]


def test_a_long_video_alone_is_watched_by_its_stretches(tmp_path: Path) -> None:
    with ClipDataset.open(write_clips(tmp_path / "one", clips=1, frames=50)) as long, ClipDataset.open(write_clips(tmp_path / "short", 1, 5)) as short:
        found = real_figures(Game(tiny_config(), long), 4, 16)
        assert found is not None and (found.clips, found.frames) == (3, 16) and found.distance > 0
        assert real_figures(Game(tiny_config(), short), 4, 16) is None


def test_a_video_beside_the_clips_is_no_matter_and_labels_that_are_not_used_are_told(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", clips=3, classes=2)
    (data / "preview.mp4").write_bytes(b"")
    with pytest.warns(TrainingWarning, match=r"labels of size 2 are not used.*game\.generator\.c_dim=2"), fitting_clips(recipe(data)) as found:
        assert len(found) == 3


def test_the_remedy_for_labels_that_are_not_used_works_where_a_recipe_begins_with_a_generator(clips: Path, tmp_path: Path) -> None:
    first = finish(train_game(recipe(clips, game={**recipe(clips).to_dict()["game"], "kimg": 0.004}), tmp_path / "first"))
    data, state = write_clips(tmp_path / "data", clips=3, classes=2), str(first.with_name("state.pt"))
    short = {**recipe(data).to_dict()["game"], "kimg": 0.004}
    begun = recipe(data, game={**short, "freeze": 1}, begin_with=str(first), begin_discriminator=state).to_dict()
    with ClipDataset.open(data) as dataset:
        (said,) = remarks(GameRecipe.from_dict(begun), dataset)
    changes = re.findall(r"--set (\S+)", said.replace(":", " "))
    assert len(changes) == 5 and all(key in said for key in ("c_dim=2", "begin_with=", "begin_discriminator=", "game.freeze=0"))
    for change in changes[:2]:
        overrule(begun, change)
    with pytest.raises(RecipeError, match=r"another network than this recipe's \(c_dim 0, here 2\)"):
        finish(train_game(GameRecipe.from_dict(begun), tmp_path / "half"))
    for change in changes[2:]:
        overrule(begun, change)
    assert load_generator(finish(train_game(GameRecipe.from_dict(begun), tmp_path / "run"))).cfg.c_dim == 2


def test_memory_that_runs_out_is_told_with_a_remedy(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*given: object) -> None:
        torch.empty(1 << 60)

    metrics = {"names": ["fid"], "features": ["builtin"], "every": 4}
    with pytest.warns(TrainingWarning, match="step 4: no figures: .*memory"):  # they do not end a training
        finish(train_game(recipe(clips, metrics=metrics), tmp_path / "figures", evaluate=run_out))  # type: ignore[arg-type]
    monkeypatch.setattr(Game, "_move_judges", run_out)
    with pytest.raises(RecipeError, match="memory ran out with micro-batches of 2 clips; set a smaller game.micro_batch"):
        finish(train_game(recipe(clips), tmp_path / "run"))


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_state_that_memory_is_too_small_for_is_not_called_damaged(
    error: Exception, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*given: object, **more: object) -> None:
        raise error

    short = recipe(clips, game={**recipe(clips).to_dict()["game"], "kimg": 0.008})
    finish(train_game(short, tmp_path))
    monkeypatch.setattr(torch, "load", run_out)
    begun = recipe(clips, begin_with=str(tmp_path / "state.pt"))
    for attempt in (train_game(short, tmp_path, resume=True), train_game(begun, tmp_path / "begun")):
        with pytest.raises(type(error), match="memory"):
            finish(attempt)


def test_resume_without_a_run_says_so_and_begins(clips: Path, tmp_path: Path) -> None:
    with pytest.warns(TrainingWarning, match="holds no run to go on with"):
        assert finish(train_game(recipe(clips), tmp_path / "run", resume=True)).exists()


def test_alarms_are_logged_too(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alarm = Alarm("frozen motion", 0.1, 0.2, "more frames a clip")
    monkeypatch.setattr(vedit.training_watch, "find_alarms", lambda clips, real: [alarm])
    with pytest.warns(TrainingWarning, match="step 4: frozen motion: 0.1, bar 0.2; more frames"):
        finish(train_game(recipe(clips), tmp_path / "run"))
    logged = [line for line in lines(tmp_path / "run") if "alarm" in line]
    assert logged == [{"step": step, "alarm": "frozen motion", "figure": 0.1, "bar": 0.2, "hint": "more frames a clip"} for step in (4, 8)]


def test_a_run_that_is_killed_goes_on_and_equals_an_unbroken_one_to_the_bit(clips: Path, tmp_path: Path) -> None:
    plain = recipe(clips, game={**recipe(clips).to_dict()["game"], "kimg": 0.048})
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    program = (
        "import json, sys, torch; torch.set_num_threads(1); from pathlib import Path\n"
        "from vedit.progress import finish; from vedit.training_game import GameRecipe, train_game\n"
        "finish(train_game(GameRecipe.from_dict(json.loads(sys.argv[1])), Path(sys.argv[2])))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    child = subprocess.Popen([sys.executable, "-c", program, json.dumps(plain.to_dict()), str(killed)], env=environment)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        end = time.monotonic() + 400
        finish(train_game(plain, unbroken))
        while not (killed / "log.jsonl").exists() or len(lines(killed)) < 5:  # four steps, and a state that is behind
            assert child.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert len(lines(killed)) < 12, "it was not killed in time to show anything"
        with pytest.raises(RecipeError, match="--resume"):
            finish(train_game(plain, killed))
        finish(train_game(plain, killed, resume=True))
    a, b = (torch.load(out / "state.pt", weights_only=True) for out in (unbroken, killed))
    assert a["step"] == b["step"] == 12 and a["ada"] == b["ada"] and a["guard"] == b["guard"]
    for name in ("generator", "ema", "judges"):
        assert all(torch.equal(a[name][key], b[name][key]) for key in a[name])
    assert figures(killed) == figures(unbroken)


def test_a_run_of_other_settings_does_not_go_on(clips: Path, tmp_path: Path) -> None:
    short = {**recipe(clips).to_dict()["game"], "kimg": 0.008}
    finish(train_game(recipe(clips, game=short, watch={"tensorboard": False}), tmp_path))
    with pytest.raises(RecipeError, match="another lr"):
        finish(train_game(recipe(clips, game={**short, "lr": 0.1}), tmp_path, resume=True))
    (tmp_path / "state.pt").write_bytes(b"broken")
    with pytest.raises(RecipeError, match="cannot go on"):
        finish(train_game(recipe(clips, game=short), tmp_path, resume=True))


def test_a_run_can_begin_with_another_ones_networks(clips: Path, tmp_path: Path) -> None:
    short = {**recipe(clips).to_dict()["game"], "kimg": 0.004}
    quiet = {"watch": {"tensorboard": False}, "game": short}
    first = finish(train_game(recipe(clips, **quiet), tmp_path / "first"))
    still = {**quiet, "game": {**short, "lr": 1e-12}}
    for file in (str(first), str(tmp_path / "first" / "state.pt")):
        out = tmp_path / Path(file).suffix
        second = load_generator(finish(train_game(recipe(clips, **still, begin_with=file), out)))
        pairs = zip(second.parameters(), load_generator(first).parameters(), strict=True)
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)
    with pytest.raises(RecipeError, match="nobody-7.*portraits-2"):
        finish(train_game(recipe(clips, **still, begin_with="nobody-7"), tmp_path / "third"))
    with pytest.raises(RecipeError, match="holds no discriminator"):
        finish(train_game(recipe(clips, **still, begin_discriminator=str(first)), tmp_path / "third"))
    frozen = {**still, "game": {**short, "freeze": 1}}
    with pytest.raises(RecipeError, match="game.freeze=1 .*none to begin with; name one in begin_discriminator"):
        finish(train_game(recipe(clips, **frozen, begin_with=str(first)), tmp_path / "third"))
    assert not (tmp_path / "third").exists()
    state = str(tmp_path / "first" / "state.pt")
    finish(train_game(recipe(clips, **frozen, begin_with=str(first), begin_discriminator=state), tmp_path / "third"))


def test_a_run_warns_of_samples_that_stand_still(clips: Path, tmp_path: Path) -> None:
    short = {**recipe(clips).to_dict()["game"], "kimg": 0.004, "lr": 1e-12}
    quiet = {"log_every": 1, "sheet_every": 1, "clips": 4, "frames": 8, "tensorboard": False}
    path = finish(train_game(recipe(clips, game=short, watch={"tensorboard": False}), tmp_path / "first"))
    still = load_generator(path)
    with torch.no_grad():
        still.synthesis.b4.conv1.weight[:, -MOTION.out_dim :] = 0
    save_generator(still, tmp_path / "still.safetensors")
    with pytest.warns(TrainingWarning, match="step 1: frozen motion"):
        finish(
            train_game(
                recipe(clips, game=short, watch=quiet, begin_with=str(tmp_path / "still.safetensors")),
                tmp_path / "second",
            )
        )


@pytest.mark.parametrize(
    ("before", "late"),
    [({}, ["step 3", "step 4"]), ({"pairs": {"codes": 0, "kimg": 0.008}}, ["step 5", "step 6"])],  # the game's first clips, not the run's
)
def test_a_run_warns_of_judges_that_tell_nothing_apart(
    before: dict[str, Any], late: list[str], clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vedit.training_watch, "EARLY", 8)
    monkeypatch.setattr("stylegan_v.alarms.BLIND", 10.0)
    game = {**recipe(clips).to_dict()["game"], "kimg": 0.016, **before}  # four steps of the game
    watch = {"log_every": 1, "sheet_every": 1, "clips": 4, "frames": 8, "tensorboard": False}
    with pytest.warns(TrainingWarning) as told:
        finish(train_game(recipe(clips, game=game, watch=watch), tmp_path / "blind"))
    steps = [str(one.message).split(":")[0] for one in told if "blind judges" in str(one.message)]
    assert steps == late


def test_the_log_of_a_killed_run_is_cut_back_to_its_state(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"ste')
    vedit.training_watch._cut_log(log, 2)
    assert log.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_a_recipe_with_another_path_is_the_same_run(clips: Path) -> None:
    one = recipe(clips)
    assert dataclasses.replace(one, data=dataclasses.replace(one.data, path="x")).game == one.game
