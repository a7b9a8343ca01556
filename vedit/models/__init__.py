"""Models by name: what exists, where it lies, fetching what does not ship. Importing this imports no torch."""

from vedit.models.download import BadDownload, DownloadFailed
from vedit.models.generators import ConditionalGenerator, NoGenerator, find_generator, is_known, load_generator
from vedit.models.inspection import NotAModel, describe
from vedit.models.registry import BUILTIN_GENERATORS, GENERATOR_OF, MODELS, Model, ModelFile, UnknownModel, get
from vedit.models.store import (
    ASSETS,
    MissingModel,
    Verification,
    cache_dir,
    checked_dir,
    features_dir,
    find,
    frames_dir,
    local_generators,
    locate,
    offline,
    pull,
    search_path,
    verify,
)

__all__ = [
    "ASSETS",
    "BUILTIN_GENERATORS",
    "MODELS",
    "BadDownload",
    "ConditionalGenerator",
    "DownloadFailed",
    "GENERATOR_OF",
    "MissingModel",
    "Model",
    "ModelFile",
    "NoGenerator",
    "NotAModel",
    "UnknownModel",
    "Verification",
    "cache_dir",
    "checked_dir",
    "describe",
    "features_dir",
    "find",
    "find_generator",
    "frames_dir",
    "get",
    "is_known",
    "load_generator",
    "local_generators",
    "locate",
    "offline",
    "pull",
    "search_path",
    "verify",
]
