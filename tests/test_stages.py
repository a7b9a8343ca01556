"""Stages: finished ones are read, changed ones and those after them computed anew, damaged ones too."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.test_latents import latents
from tests.tiny_generator import tiny_generator
from tests.tiny_project import finished
from vedit.progress import Progress, Task, finish
from vedit.stages import Stages, Tensors, remove_unfinished
from vedit.wording import EditError
from vedit.workspace import Workspace, WorkspaceError, file_hash, stat_of


class Counter:
    """Counts how often each stage is computed."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def compute(self, name: str) -> Task[Tensors]:
        self.seen.append(name)
        yield Progress(name, 1, 1)
        return {"x": torch.tensor([float(len(self.seen))])}


def run(path: Path, counter: Counter, second: int = 0, source: str = "a") -> Tensors:
    stages = Stages(Workspace(path, {}), source)

    def both() -> Task[Tensors]:
        yield from stages.run("one", {}, counter.compute("one"))
        return (yield from stages.run("two", {"setting": second}, counter.compute("two")))

    return finish(both())


def test_a_second_run_reads_what_the_first_made(tmp_path: Path) -> None:
    counter = Counter()
    first = run(tmp_path, counter)
    assert torch.equal(run(tmp_path, counter)["x"], first["x"])
    assert counter.seen == ["one", "two"]


def test_a_changed_setting_invalidates_its_stage_and_the_later_ones_only(tmp_path: Path) -> None:
    counter = Counter()
    run(tmp_path, counter)
    run(tmp_path, counter, second=1)
    assert counter.seen == ["one", "two", "two"]
    run(tmp_path, counter, second=1, source="b")
    assert counter.seen == ["one", "two", "two", "one", "two"]


@pytest.mark.parametrize("file", ["key", "result.safetensors"])
def test_a_damaged_stage_is_computed_anew(tmp_path: Path, file: str) -> None:
    counter = Counter()
    run(tmp_path, counter)
    (tmp_path / "stages" / "two" / file).write_bytes(b"damaged")
    run(tmp_path, counter)
    assert counter.seen == ["one", "two", "two"]


def test_a_stage_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Task[Tensors]:
        yield Progress("one", 0, 1)
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        finish(Stages(Workspace(tmp_path / "p", {})).run("one", {}, failing()))
    assert not (tmp_path / "p").exists()


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    leftover = tmp_path / "stages" / "one" / ".result.safetensors.123.part"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    remove_unfinished(Workspace(tmp_path, {}))
    assert not leftover.exists()


def test_workspace_edits_are_ordered_renamed_and_removed(tmp_path: Path) -> None:
    workspace = finished(tmp_path / "a.vedit")
    for name in ("old", "beard", "red"):
        workspace.save_edit(name, {"name": name}, {"b4.conv1": torch.ones(3)})
    workspace.move_edit("red", 0)
    workspace.rename_edit("old", "older")
    workspace.remove_edit("beard")
    again = Workspace.open(tmp_path / "a.vedit")
    assert again.list_edits() == ["red", "older"]
    data, tensors = again.load_edit("older")
    assert data["name"] == "older" and torch.equal(tensors["b4.conv1"], torch.ones(3))
    assert sorted(path.name for path in (tmp_path / "a.vedit" / "edits").iterdir()) == ["older", "red"]


@pytest.mark.parametrize("same", [False, True])
def test_a_rename_may_change_the_case_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: bool) -> None:
    if same:  # as if this file system did not tell old from Old
        monkeypatch.setattr("vedit.workspace._one_folder", lambda folder, other: True)
    workspace = finished(tmp_path / "a.vedit")
    workspace.save_edit("old", {"name": "old"}, {"b4.conv1": torch.ones(3)})
    workspace.rename_edit("old", "Old")
    again = Workspace.open(workspace.path)
    assert again.list_edits() == ["Old"] and again.load_edit("Old")[0]["name"] == "Old"
    assert [folder.name for folder in (workspace.path / "edits").iterdir()] == ["Old"]
    assert json.loads((workspace.path / "edits" / "Old" / "edit.json").read_text())["name"] == "Old"


def test_no_two_edits_have_names_that_differ_in_case_alone(tmp_path: Path) -> None:
    workspace = finished(tmp_path / "a.vedit")
    for name in ("old", "beard"):
        workspace.save_edit(name, {"name": name}, {"b4.conv1": torch.ones(3)})
    with pytest.raises(WorkspaceError, match="'old' exists already"):
        workspace.save_edit("Old", {}, {"b4.conv1": torch.zeros(3)})
    for new in ("OLD", "beard"):
        with pytest.raises(WorkspaceError, match="exists already"):
            workspace.rename_edit("beard", new)
    again = Workspace.open(workspace.path)
    assert again.list_edits() == ["old", "beard"] and again.load_edit("old")[1]["b4.conv1"].all()


@pytest.mark.parametrize("broken", ["_write_edit", "save", "rmtree"])
def test_a_rename_that_is_killed_leaves_one_name_or_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    workspace = finished(tmp_path / "a.vedit")
    for name in ("old", "beard"):
        workspace.save_edit(name, {"name": name}, {"b4.conv1": torch.ones(3)})

    def killed(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if broken == "rmtree":
            patch.setattr(shutil, "rmtree", lambda folder, **options: killed() if folder.name == "old" else None)
        else:
            patch.setattr(Workspace, broken, killed)
        with pytest.raises(KeyboardInterrupt):
            workspace.rename_edit("old", "older")
    again = Workspace.open(workspace.path)
    first = "older" if broken == "rmtree" else "old"
    assert again.list_edits() == [first, "beard"]
    data, tensors = again.load_edit(first)
    assert data["name"] == first and torch.equal(tensors["b4.conv1"], torch.ones(3))
    if first == "old":  # what was begun is no hindrance
        again.rename_edit("old", "older")
        assert Workspace.open(workspace.path).list_edits() == ["older", "beard"]


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "x" * 65, "a\n", "dot.", "con", "Nul.txt"])
def test_an_edit_gets_no_name_that_leaves_its_folder_or_that_windows_keeps(tmp_path: Path, name: str) -> None:
    with pytest.raises(EditError):
        Workspace.create(tmp_path).save_edit(name, {}, {"x": torch.ones(1)})
    workspace = finished(tmp_path / "a.vedit")
    workspace.save_edit("old", {"name": "old"}, {"x": torch.ones(1)})
    with pytest.raises(EditError):
        workspace.rename_edit("old", name)
    assert Workspace.open(workspace.path).list_edits() == ["old"]
    workspace.info["edits"] = [name]
    workspace.save()
    with pytest.raises(WorkspaceError, match="damaged"):
        Workspace.open(workspace.path)


def test_the_newest_project_is_found(tmp_path: Path) -> None:
    import os

    for age, name in enumerate(("new", "old")):
        workspace = finished(tmp_path / f"{name}.vedit")
        os.utime(workspace.path / "project.json", (1000 - age, 1000 - age))
    assert Workspace.newest(tmp_path).path.name == "new.vedit"
    with pytest.raises(WorkspaceError, match="no project"):
        Workspace.newest(tmp_path / "new.vedit")


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 99}'])
def test_damaged_project_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "project.json").write_text(text)
    with pytest.raises(WorkspaceError):
        Workspace.open(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("times", [0.0, float("nan")]),
        ("times", [0.04, 0.0]),
        ("times", []),
        ("end", -1.0),
        ("crops", [[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]] * 2),
        ("crops", [[[64.0, 0.0, 0.0], [0.0, 64.0, 0.0]]]),
        ("generator", "portraits-2"),
        ("edits", ["../../x"]),
        ("settings", {}),
        ("source", 3),
    ],
)
def test_projects_that_make_no_sense_are_refused_in_one_line(tmp_path: Path, key: str, value: object) -> None:
    workspace = finished(tmp_path)
    workspace.info[key] = value
    workspace.save()
    with pytest.raises(WorkspaceError):
        Workspace.open(tmp_path)


def test_a_source_that_changed_is_noticed(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"one")
    workspace = finished(tmp_path / "a.vedit")
    workspace.info |= {"source": str(clip), "source_hash": file_hash(clip), "source_stat": stat_of(clip)}
    assert workspace.source() == clip
    clip.write_bytes(b"other")
    with pytest.raises(WorkspaceError, match="changed"):
        workspace.source()
    clip.write_bytes(b"one")  # another date, the same bytes
    assert workspace.source() == clip


def test_latents_of_another_project_are_noticed(tmp_path: Path) -> None:
    generator = tiny_generator()
    for name in "ab":
        finished(tmp_path / name).save_latents(latents(generator, span=10.0 + len(name) * ord(name)))
    (tmp_path / "a" / "latents.safetensors").replace(tmp_path / "b" / "latents.safetensors")
    with pytest.raises(WorkspaceError, match="does not belong"):
        Workspace.open(tmp_path / "b").latents()


def test_a_folder_hash_sees_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    before = file_hash(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert file_hash(tmp_path) != before
