"""What the README tells people to type is understood, and what it names exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from vedit.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.startswith("vedit ")]


def test_the_readme_has_commands() -> None:
    assert len(COMMANDS) > 10


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_is_understood(line: str) -> None:
    args = shlex.split(line)[1:]
    command = typer.main.get_command(app)
    context = command.make_context("vedit", args, resilient_parsing=False)
    while hasattr(command, "commands"):  # down to the subcommand, parsing but running nothing
        name, command, args = command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, args, parent=context)


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"`?make (\w+)", README))
    assert targets >= {"demo", "test", "accept"}
    for target in targets:
        assert f"\n{target}:" in makefile, f"the README names make {target}"


def test_links_to_files_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing, missing


def test_recipes_and_examples_named_in_the_readme_exist() -> None:
    named = re.findall(r"\b(?:recipes|examples)/[\w.-]+\.(?:toml|mp4|py)", README)
    assert named
    for name in named:
        assert (ROOT / name).is_file(), name
