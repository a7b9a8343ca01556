"""One run in several processes, on one machine and on several: what they share, and what they are told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
import torch

from stylegan_v.files import appears
from stylegan_v.ranks import Ranks, TooFewCards, joined
from tests.tiny_game import write_clips
from tests.tiny_runs import figures, recipe
from vedit.cli import train_rank
from vedit.progress import finish
from vedit.training_game import train_game
from vedit.training_launch import COMPLAINT, TrainingStopped, launch

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("runs") / "clips")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def toml(values: dict[str, Any], table: str = "") -> str:
    """A recipe's plain form as a file: of strings, numbers, booleans and their lists, JSON's spelling is TOML's."""
    own = [f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, dict) and value is not None]
    inner = [toml(value, f"{table}.{key}".strip(".")) for key, value in values.items() if isinstance(value, dict)]
    return "\n".join([*([f"[{table}]"] if table else []), *own, *inner])


def test_a_file_of_another_machine_may_be_seen_later(tmp_path: Path) -> None:
    assert not appears(tmp_path / "state.pt", 0.1)
    Timer(0.3, (tmp_path / "state.pt").touch).start()
    assert appears(tmp_path / "state.pt", 30)


def test_more_processes_than_cards_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "3", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(TooFewCards, match="4 processes on a machine with 2 CUDA devices"), joined("cuda"):
        pass


@pytest.mark.parametrize(
    ("how", "message"),
    [("word", "the disk is full; make room"), ("signal", r"process 1 of 2 .*SIGKILL"), ("signal in touch", r"process 1 of 2 .*SIGKILL")],
)
def test_what_goes_wrong_in_one_process_ends_all_with_one_line(
    how: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    begin = time.monotonic()
    with pytest.raises(TrainingStopped, match=message) as error:
        launch("tests.failing_rank", [how], 2)
    assert "\n" not in str(error.value) and time.monotonic() - begin < 200


@pytest.mark.parametrize("how", ["stay", "stay unaware"])
def test_processes_end_with_their_launcher_even_if_they_look_for_it_too_late(how: str, tmp_path: Path) -> None:
    program = f"from vedit.training_launch import launch; launch('tests.failing_rank', [{how!r}, {str(tmp_path)!r}], 2)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    launcher = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, start_new_session=True)
    try:
        end = time.monotonic() + 200
        while len(list(tmp_path.iterdir())) < 2:
            assert launcher.poll() is None and time.monotonic() < end
            time.sleep(0.1)
        launcher.kill()
        launcher.communicate(timeout=100)  # the end of a file that all of them hold
    finally:
        with suppress(ProcessLookupError):
            os.killpg(launcher.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("own", "told"), [({}, "3 passive"), ({"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "active"}, "2 active")]
)
def test_processes_share_the_cores_and_do_not_spin_unless_the_user_says_so(
    own: dict[str, str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(key, raising=False)
    for key, value in {**own, "PYTHONPATH": str(ROOT)}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    before = dict(os.environ)
    launch("tests.failing_rank", ["threads", str(tmp_path)], 2)
    assert [(tmp_path / rank).read_text() for rank in "01"] == [told] * 2 and dict(os.environ) == before


def test_two_processes_train_once_and_log_once(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = recipe(clips, watch={"log_every": 1, "tensorboard": False})
    task = {"recipe": plain.to_dict(), "out": str(tmp_path / "two"), "resume": False, "device": "cpu", "quiet": True}
    for key, value in {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}.items():
        monkeypatch.setenv(key, value)
    before = signal.getsignal(signal.SIGTERM)
    launch("vedit.cli.train_rank", [json.dumps(task)], 2)
    assert signal.getsignal(signal.SIGTERM) == before
    finish(train_game(plain, tmp_path / "one"))
    one, two = figures(tmp_path / "one"), figures(tmp_path / "two")
    assert [line["step"] for line in two] == list(range(1, 9))
    for a, b in zip(one[:5], two[:5], strict=True):
        assert b["generator"] == pytest.approx(a["generator"], abs=1e-3)
        assert b["discriminator"] == pytest.approx(a["discriminator"], abs=1e-3)


def machines(arguments: list[list[str]], caches: list[Path]) -> list[subprocess.CompletedProcess[str]]:
    """`vedit` with these arguments on as many machines as there are, one process each, which share files but no cache."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1]), "WORLD_SIZE": str(len(arguments))}
    common = {**os.environ, **group, "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "PYTHONPATH": str(ROOT)}
    common |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "PYTHONFAULTHANDLER": "1"}  # an abort tells where it happened
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "vedit", *given], env={**common, "RANK": str(rank), "XDG_CACHE_HOME": str(cache)}, stderr=subprocess.PIPE, text=True
        )
        for rank, (given, cache) in enumerate(zip(arguments, caches, strict=True))
    ]
    done = []
    try:
        for process in started:
            _, said = process.communicate(timeout=120)
            done.append(subprocess.CompletedProcess(process.args, process.returncode, stderr=said))
    finally:
        for process in started:
            process.kill()
    return done


def test_machines_with_caches_and_folders_of_their_own(clips: Path, tmp_path: Path) -> None:
    plain = recipe(clips, watch={"tensorboard": False}, game={**recipe(clips).to_dict()["game"], "kimg": 0.008})
    (tmp_path / "tiny.toml").write_text(toml(plain.to_dict()))
    caches = [tmp_path / "cache-0", tmp_path / "cache-1"]
    train = ["train", str(tmp_path / "tiny.toml"), "--device", "cpu", "--quiet", "--out"]
    own = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(caches[0])}
    alone = subprocess.run([sys.executable, "-m", "vedit", *train, str(tmp_path / "run"), "--dry-run"], env=own)
    assert alone.returncode == 0 and list(caches[0].rglob("checked/*")) and not caches[1].exists()
    done = machines([[*train, str(tmp_path / "run")]] * 2, caches)  # the first one's cache knows the clips
    assert [each.returncode for each in done] == [0, 0], done
    assert list(caches[1].rglob("checked/*"))
    done = machines([[*train, str(tmp_path / name), "--resume"] for name in ("run", "elsewhere")], caches)
    assert [each.returncode for each in done] == [1, 1]
    assert all("the run's folder has to be one that all machines share" in each.stderr and "bug" not in each.stderr for each in done)


def test_what_the_first_process_refuses_is_no_bug_for_the_others(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are the first one's affair: clips of twenty frames are too short for this one."""
    plain, why = recipe(clips, metrics={"names": ["fvd128"], "features": ["builtin"]}), "0 videos of 128 frames"
    (tmp_path / "tiny.toml").write_text(toml(plain.to_dict()))
    done = machines([["train", str(tmp_path / "tiny.toml"), "--device", "cpu", "--quiet", "--out", str(tmp_path / "run")]] * 2, [tmp_path] * 2)
    first, second = (each.stderr.splitlines() for each in done)
    assert [each.returncode for each in done] == [1, 1] and len(first) == len(second) == 1
    assert why in first[0]
    assert second[0].startswith("vedit: error: another process of this training ended, and its own output says why (") and "--resume" in second[0]
    task = {"recipe": plain.to_dict(), "out": str(tmp_path / "run"), "resume": False, "device": "cpu", "quiet": True}
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with pytest.raises(TrainingStopped, match=why):
        launch("vedit.cli.train_rank", [json.dumps(task)], 2)


def test_processes_of_a_machine_warn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    data = write_clips(tmp_path / "data", clips=3, classes=2)
    plain = recipe(data, game={**recipe(data).to_dict()["game"], "kimg": 0.004}).to_dict()
    task = {"recipe": plain, "out": str(tmp_path / "run"), "resume": True, "device": "cpu", "quiet": True}
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    launch("vedit.cli.train_rank", [json.dumps(task)], 2)
    said = capfd.readouterr().err
    for warning in ("labels of size 2 are not used", "holds no run to go on with"):
        assert said.count(warning) == 1


def test_a_process_leaves_its_line_before_the_others_notice_that_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[str] = []

    @contextmanager
    def group(device: str) -> Iterator[tuple[Ranks, str]]:
        try:
            yield Ranks(), device
        finally:
            left.extend(file.read_text() for file in tmp_path.iterdir())

    monkeypatch.setattr("stylegan_v.ranks.joined", group)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() sets it; this puts it back
    monkeypatch.setenv(COMPLAINT, str(tmp_path))
    task = {"recipe": recipe(tmp_path / "nothing").to_dict(), "out": "run", "resume": False, "device": "cpu", "quiet": True}
    assert train_rank.main(json.dumps(task)) == 1
    assert len(left) == len(list(tmp_path.iterdir())) == 1 and "found nothing at" in left[0]


def test_torchrun_starts_the_same_training(clips: Path, tmp_path: Path) -> None:
    """As over several machines: the command once a process, all of them in one group."""
    plain = recipe(clips, watch={"log_every": 1, "tensorboard": False})
    (tmp_path / "tiny.toml").write_text(toml(plain.to_dict()))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "vedit"]
    command = [*torchrun, "train", str(tmp_path / "tiny.toml"), "--out", str(tmp_path / "two"), "--device", "cpu", "--quiet"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "two" / "tiny.safetensors")]
    finish(train_game(plain, tmp_path / "one"))
    one, two = figures(tmp_path / "one"), figures(tmp_path / "two")
    assert [line["step"] for line in two] == list(range(1, 9))
    assert all(b["discriminator"] == pytest.approx(a["discriminator"], abs=1e-3) for a, b in zip(one[:5], two[:5], strict=True))
    again = [sys.executable, *command[command.index("-m", 2) :], "--nproc", "2"]
    refused = subprocess.run(again, env={**env, "WORLD_SIZE": "2"}, capture_output=True, text=True, timeout=300)
    assert refused.returncode and "leave --nproc out" in refused.stderr
