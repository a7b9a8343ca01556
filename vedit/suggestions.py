"""Words to begin with: what the generator of a project can draw."""

from __future__ import annotations

from vedit.models import GENERATOR_OF
from vedit.workspace import Workspace

PROMPTS = {"portraits": ("an old person", "a person with a beard"), "skies": ("a very cloudy day", "night")}


def prompts(workspace: Workspace) -> tuple[str, str]:
    """Two prompts for a project: of its built-in generator's world, or for another generator of faces where a face was followed, else of skies."""
    name = workspace.info["generator"]["name"]
    world = next((world for world, generator in GENERATOR_OF.items() if generator == name), None)
    return PROMPTS[world or ("portraits" if workspace.info.get("follows_face") else "skies")]
