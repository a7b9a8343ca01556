"""The command line: quick to answer, one line for a mistake, JSON for scripts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vedit.cli import COMMANDS, console
from vedit.cli.parse import BadArgument, parse_edit, parse_length, parse_seeds
from vedit.progress import Progress, Task

HEAVY = ("torch", "torchvision", "stylegan_v", "av", "open_clip", "cv2", "numpy", "scipy", "decord", "lpips")
GROUPS = ("edits", "models")


def vedit(*args: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from vedit.cli import main; main()", *args],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1]), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def one_line_error(done: subprocess.CompletedProcess[str]) -> str:
    """The single line of a failed command; fails the test for anything else."""
    lines = done.stderr.splitlines()
    assert done.returncode not in (0, None) and done.stdout == "", done
    assert len(lines) == 1 and lines[0].startswith("vedit: error: "), done.stderr
    return lines[0]


@pytest.mark.parametrize("command", ["", *COMMANDS, *GROUPS, "edits list", "models pull"])
def test_help_answers_without_importing_anything_heavy(command: str) -> None:
    script = (
        "import sys; from vedit.cli import main\n"
        "try: main()\n"
        "finally: print('LOADED', [name for name in sys.argv[-1].split(',') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command.split(), "--help", ",".join(HEAVY)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: vedit") and done.stdout.rstrip().endswith("LOADED []"), done.stdout


def test_help_teaches_by_example() -> None:
    for command in (*COMMANDS, *GROUPS):
        shown = vedit(command, "--help").stdout
        assert f"\n    vedit {command}" in shown, f"no example in `vedit {command} --help`"


def test_no_arguments_show_the_help() -> None:
    done = vedit()
    assert "vedit project clip.mp4" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "args, status, expected",
    [
        (["projekt"], 2, "Did you mean 'project'"),
        (["project"], 2, "SOURCE"),
        (["project", "clip.mp4", "--fidelity", "best"], 2, "balanced"),
        (["render", "--no-such-flag"], 2, "--no-such-flag"),
        (["render", "--fps", "25", "--factor", "2"], 2, "one of them"),
        (["render", "--fps", "fast"], 1, "30000/1001"),
        (["render", "--edit", "old=very"], 2, "NAME=STRENGTH"),
        (["render", "--sweep", "1"], 1, "-2:2:5"),
        (["upsample"], 2, "--factor"),
        (["edit", "--prompt", "x", "--strength", "5x"], 1, "5x"),
        (["generate", "--seeds", "9-3"], 2, "0-8"),
        (["models", "info", "portrait-1"], 1, "portraits-1"),
        (["models", "pull", "../../etc/passwd"], 1, "vedit models list"),
        (["models", "info", "/etc/passwd"], 1, "no safetensors file"),
    ],
)
def test_a_mistake_is_one_line_and_a_status(args: list[str], status: int, expected: str, tmp_path: Path) -> None:
    done = vedit(*args, cwd=tmp_path, VEDIT_OFFLINE="1")
    assert expected in one_line_error(done)
    assert done.returncode == status
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = vedit("models", "info", str(tmp_path / "no.safetensors"), cwd=tmp_path)
    assert "no.safetensors" in one_line_error(done)


def test_json_is_one_object_and_quiet_is_quiet(tmp_path: Path) -> None:
    done = vedit("models", "list", "--json", cwd=tmp_path, VEDIT_OFFLINE="1")
    names = [model["name"] for model in json.loads(done.stdout)["models"]]
    assert "portraits-1" in names and "vgg16" in names
    done = vedit("models", "verify", "--quiet", "--json", cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path), VEDIT_MODEL_PATH="")
    assert done.stderr == "" and json.loads(done.stdout)["ok"] is True


def test_ctrl_c_is_one_line_and_status_130(tmp_path: Path) -> None:
    script = (
        "import time, typer, vedit.cli as cli\n"
        "@cli.app.command('sleep')\n"
        "def sleep() -> None:\n"
        "    print('sleeping', flush=True); time.sleep(60)\n"
        "cli.main()"
    )
    process = subprocess.Popen([sys.executable, "-c", script, "sleep"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "sleeping\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.splitlines() == ["vedit: stopped: nothing half-written was left"]


def test_a_bug_is_one_line_too_and_can_be_traced() -> None:
    script = "import vedit.cli as cli\n@cli.app.command('crash')\ndef crash() -> None:\n    {}['key']\ncli.main()"
    done = subprocess.run([sys.executable, "-c", script, "crash"], capture_output=True, text=True)
    assert done.returncode == 1 and "this is a bug in vedit: KeyError" in one_line_error(done)
    traced = {**os.environ, "VEDIT_TRACEBACK": "1"}
    done = subprocess.run([sys.executable, "-c", script, "crash"], capture_output=True, text=True, env=traced)
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_our_warnings_are_one_line_and_other_libraries_are_silent() -> None:
    script = (
        "import warnings, vedit.cli as cli\n"
        "class Ours(UserWarning): __module__ = 'vedit.video.info'\n"
        "@cli.app.command('warn')\n"
        "def warn() -> None:\n"
        "    warnings.warn('short\\nby 3 frames', Ours); warnings.warn('internal', FutureWarning)\n"
        "cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", script, "warn"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "vedit: warning: short by 3 frames\n")


def task() -> Task[str]:
    for stage, count in (("read", 3), ("invert [1]", 5)):
        for done in range(1, count + 1):
            yield Progress(stage, done, count, note=f"step {done} [x]")
            time.sleep(0.001)
    yield Progress("write", 1)
    return "made"


def test_a_log_gets_tqdm_lines_one_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.Console().run(task()) == "made"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and "\r" not in "".join(lines)
    assert lines[0].startswith("read: 100%") and "3/3" in lines[0] and "5/5" in lines[1]


def test_a_terminal_gets_bars_and_text_is_no_markup(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_bars", console._RichBars)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert console.Console().run(task()) == "made"
    shown = capsys.readouterr().err
    assert "invert [1]" in shown and "5/5" in shown and "[x]" in shown


def test_quiet_draws_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.Console(quiet=True).run(task()) == "made"
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


@pytest.mark.parametrize("text", ["", "a", "1-", "-3", "3-1", "0-99999999999", "1,,2", "1.5"])
def test_bad_seeds_are_refused(text: str) -> None:
    with pytest.raises(BadArgument, match="seeds"):
        parse_seeds(text)


@pytest.mark.parametrize("text", ["=1", "old=", "old=nan", "old=1e999", "old=x"])
def test_bad_edits_are_refused(text: str) -> None:
    with pytest.raises(BadArgument, match="NAME=STRENGTH"):
        parse_edit(text)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_bad_lengths_are_refused(value: float) -> None:
    with pytest.raises(BadArgument, match="seconds"):
        parse_length("--start", value)
