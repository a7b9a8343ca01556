"""Words to begin with: of the generator's world, and such as the built-in model knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from vedit import guidance
from vedit.suggestions import PROMPTS, prompts
from vedit.workspace import Workspace


@pytest.mark.parametrize(
    ("name", "follows_face", "world"),
    [
        ("portraits-2", True, "portraits"),
        ("portraits-2", False, "portraits"),  # -g portraits-2 --crop center
        ("skies-2", False, "skies"),
        ("skies-2", True, "skies"),
        ("/models/heads-64.safetensors", True, "portraits"),
        ("/models/jellyfish-64.safetensors", False, "skies"),
    ],
)
def test_prompts_suit_the_generator(tmp_path: Path, name: str, follows_face: bool, world: str) -> None:
    workspace = Workspace.create(tmp_path / "clip.vedit")
    workspace.info |= {"generator": {"name": name, "hash": ""}, "follows_face": follows_face}
    assert prompts(workspace) == PROMPTS[world]


def test_the_built_in_model_knows_their_words() -> None:
    model = guidance.load()
    for some in PROMPTS.values():
        assert [model.unknown_words(prompt) for prompt in some] == [[], []]
