"""The command line: quick to answer, one line for a mistake, JSON for scripts."""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import typer

from tests.commands import Ran, Vedit, one_line_error, python
from tests.tiny_project import finished
from vedit import __version__
from vedit.cli import COMMANDS, app, console
from vedit.cli.parse import BadArgument, parse_edit, parse_length, parse_seeds
from vedit.editing import Edit
from vedit.progress import Progress, Task

DEMO = Path(__file__).parents[1] / "examples" / "demo.mp4"
HEAVY = ("torch", "torchvision", "stylegan_v", "av", "open_clip", "cv2", "numpy", "scipy", "decord", "lpips")
GROUPS = ("data", "edits", "models", "metrics")


def test_help_of_every_command_imports_nothing_heavy() -> None:
    commands = ["", *every_command()]
    script = f"""
import sys
from vedit.cli import main
for command in {commands!r}:
    sys.argv = ["vedit", *command.split(), "--help"]
    try:
        main()
    except SystemExit as left:
        assert not left.code, command
print("LOADED", [name for name in {HEAVY!r} if name in sys.modules])
"""
    done = python(script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: vedit") == len(commands)
    assert done.stdout.rstrip().endswith("LOADED []"), done.stdout


def every_command() -> list[str]:
    """Commands, groups and the commands of groups, as they are typed."""
    groups = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return [*groups, *(f"{group} {name}" for group in groups for name in getattr(groups[group], "commands", ()))]


def test_there_are_commands_and_commands_of_groups() -> None:
    assert set(every_command()) > {*COMMANDS, *GROUPS, "edits mix", "models info", "data check", "metrics compare"}


@pytest.mark.parametrize("command", every_command())
def test_help_teaches_by_example(vedit: Vedit, command: str) -> None:
    assert f"\n    vedit {command}" in vedit(*command.split(), "--help").stdout


def test_no_arguments_show_the_help(vedit: Vedit) -> None:
    done = vedit()
    assert "vedit project clip.mp4" in done.stdout + done.stderr


def test_the_version_is_printed(vedit: Vedit) -> None:
    assert vedit("--version") == Ran(0, f"vedit {__version__}\n", "")


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
        (["models", "info", "portrait-2"], 1, "portraits-2"),
        (["models", "pull", "../../etc/passwd"], 1, "vedit models list"),
        (["models", "info", "/etc/passwd"], 1, "no safetensors file"),
    ],
)
def test_a_mistake_is_one_line_and_a_status(vedit: Vedit, args: list[str], status: int, expected: str, tmp_path: Path) -> None:
    done = vedit(*args, cwd=tmp_path, VEDIT_OFFLINE="1")
    assert expected in one_line_error(done)
    assert done.returncode == status
    assert list(tmp_path.iterdir()) == []


def test_every_word_that_a_text_image_model_knows_is_shown(vedit: Vedit, tmp_path: Path) -> None:
    known = json.loads(vedit("models", "info", "clip-1", "--json", cwd=tmp_path).stdout)["words"].split()
    shown = vedit("models", "info", "clip-1", cwd=tmp_path).stdout
    assert len(known) > 500 and shown.partition("words:")[2].split() == known
    assert max(len(line) for line in shown.partition("words:")[2].splitlines()) <= 80


def test_a_file_that_is_not_there_is_named(vedit: Vedit, tmp_path: Path) -> None:
    done = vedit("models", "info", str(tmp_path / "no.safetensors"), cwd=tmp_path)
    assert "no.safetensors" in one_line_error(done)


@pytest.mark.parametrize("command", ["generate -g", "metrics compare world:skies", "models info"])
def test_an_official_snapshot_is_to_be_imported_first(vedit: Vedit, tmp_path: Path, command: str) -> None:
    (tmp_path / "official.pkl").write_bytes(b"never read")
    done = vedit(*command.split(), "official.pkl", cwd=tmp_path)
    assert "`vedit models import official.pkl -o NAME.safetensors`" in one_line_error(done)


def test_json_is_one_object_and_quiet_is_quiet(vedit: Vedit, tmp_path: Path) -> None:
    done = vedit("models", "list", "--json", cwd=tmp_path, VEDIT_OFFLINE="1")
    names = [model["name"] for model in json.loads(done.stdout)["models"]]
    assert "portraits-2" in names and "vgg16" in names
    done = vedit("models", "verify", "--quiet", "--json", cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path), VEDIT_MODEL_PATH="")
    assert done.stderr == "" and json.loads(done.stdout)["ok"] is True


def test_ctrl_c_is_one_line_and_status_130(tmp_path: Path) -> None:
    script = (
        "import signal, time, typer, vedit.cli as cli\n"
        # a test run in a script's background inherits an ignored SIGINT
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
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
    done = python(script, "crash")
    assert done.returncode == 1 and "this is a bug in vedit: KeyError" in one_line_error(done)
    done = python(script, "crash", VEDIT_TRACEBACK="1")
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
    done = python(script, "warn")
    assert (done.returncode, done.stderr) == (0, "vedit: warning: short by 3 frames\n")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a project of two edits, `old` and `beard`."""
    workspace = finished(tmp_path / "head.vedit")
    workspace.info["scores"] = {"psnr": 31.234567}
    workspace.save()
    for name, strength in (("old", ((0.0, 0.0), (2.0, 1.0))), ("beard", ((0.0, 0.5),))):
        direction = {"b4.conv1": torch.zeros(3)}
        made = Edit(name, f"a person, {name}", "a person", strength, direction, generator="h")
        workspace.save_edit(name, *made.to_files())
    return tmp_path


def test_edits_are_listed_moved_renamed_and_removed(vedit: Vedit, project: Path) -> None:
    def names(*args: str) -> list[str]:
        done = vedit("edits", *args, "--json", cwd=project)
        assert done.returncode == 0, done.stderr
        return [edit["name"] for edit in json.loads(done.stdout)["edits"]]

    assert names("list") == ["old", "beard"]
    assert names("move", "beard", "1") == ["beard", "old"]
    assert names("rename", "head.vedit", "old", "older") == ["beard", "older"]
    assert names("rm", "beard") == ["older"]
    shown = vedit("edits", "list", cwd=project).stdout
    assert "older" in shown and "0s=0,2s=1" in shown and "a person, old" in shown


def test_info_shows_the_newest_project(vedit: Vedit, project: Path) -> None:
    shown = vedit("info", cwd=project).stdout
    assert shown.startswith("project head.vedit") and "psnr 31.23" in shown and "a person, beard" in shown


@pytest.mark.parametrize(
    "args, expected",
    [
        (["rm", "nope"], "old, beard"),
        (["move", "old", "3"], "1 (first) to 2"),
        (["move", "old", "first"], "1 (first) to 2"),
        (["rename", "old", "beard"], "exists already"),
        (["rename", "old", "../out"], "cannot name an edit"),
        (["rename", "head.vedit", "old", "con"], "Windows"),
        (["rename", "a", "b", "c", "d"], "OLD NEW"),
        (["list", "gone.vedit"], "gone.vedit"),
    ],
)
def test_a_wrong_change_of_edits_changes_nothing(vedit: Vedit, project: Path, args: list[str], expected: str) -> None:
    def everything() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(project.rglob("*")) if path.is_file()}

    before = everything()
    assert expected in one_line_error(vedit("edits", *args, cwd=project))
    assert everything() == before


@pytest.mark.parametrize(
    "args",
    [
        ["project", str(DEMO)],
        ["edit", "--prompt", "an old person"],
        ["edits", "mix", "--from", "head.vedit"],
        ["render"],
        ["upsample", "--factor", "2"],
        ["upsample", str(DEMO), "--factor", "2"],
        ["generate"],
        ["decompose"],
    ],
)
def test_a_command_computes_on_the_device_that_is_asked_for(vedit: Vedit, project: Path, args: list[str]) -> None:
    absent = "mps" if torch.cuda.is_available() else "cuda"  # no machine has both
    assert f"this machine has no {absent}" in one_line_error(vedit(*args, "--device", absent, cwd=project))


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


def test_what_an_earlier_run_did_does_not_count_for_the_rate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def resumed() -> Task[None]:
        for done in range(9001, 9004):
            yield Progress("train", done, 10000)

    clock = itertools.count(100.0, 5.0)  # five seconds a step, and a line a step
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with console._PlainBars() as lines:
        for progress in resumed():
            lines.show(progress)
    rates = [float(found) for found in re.findall(r"([0-9.]+)s/it", capsys.readouterr().err)]
    assert rates and all(rate > 2 for rate in rates)
    bars = console._RichBars()
    for progress in resumed():
        bars.show(progress)
    (task,) = bars._bars.tasks
    assert task.completed == 9003 and not any(sample.completed > 100 for sample in task._progress)


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


@pytest.mark.parametrize("text", ["", "a", "1-", "-3", "3-1", "0-99999999999", "1,,2", "1.5", "4294967296", "18446744073709551616"])
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
