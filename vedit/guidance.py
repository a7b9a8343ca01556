"""Text–image models (CLIP) through open_clip: images and sentences become unit vectors whose angle says how well they fit.

A model is named like this:

    builtin                      the small model that ships with vedit; it knows the words of vedit's worlds
    local-dir:/path/to/folder    open_clip's own folder format: open_clip_config.json and weights
    hf-hub:organisation/model    the same, fetched
    ViT-B-32                     one of open_clip's names, with its best-known weights
    ViT-B-32:laion2b_s34b_b79k   … with the weights of that tag, or from that file
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vedit.compat import import_torchvision
from vedit.errors import VeditError
from vedit.models import store

BUILTIN = store.ASSETS / "clip-1"
CONFIG_FILE, WEIGHTS_FILE, VOCABULARY_FILE = "open_clip_config.json", "open_clip_model.safetensors", "vocabulary.txt"

STOP_WORDS = frozenset(
    "a an the of with and or in on at is are was be being has have having to from for by as it its this that these those "
    "who whose which there their his her him he she they them very some any more most much many i you we us me my your our one do did "
    "does will would could should can may might must about if then than also just so too but what how when why s t d ll re ve m".split()
)
"""Words that say nothing of what a picture shows, and the ends of "sun's" and "he'd": nobody need be told that they were never seen."""


class GuidanceError(VeditError, ValueError):
    """A text–image model that does not exist, does not load, or would be random."""


class Guidance:
    """A text–image model, frozen, in float32.

    name: as it was asked for.  size: (height, width) of the images its image tower sees.
    vocabulary: the words it was trained on, or None where nobody knows (the models of the web).
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        tokenizer: Callable[[list[str]], Tensor],
        config: dict[str, Any],
        vocabulary: frozenset[str] | None = None,
    ) -> None:
        self.name, self.config, self.vocabulary = name, config, vocabulary
        self.model = model.eval().requires_grad_(False)
        self._tokenizer = tokenizer
        visual = cast(Any, model.visual)
        size = visual.image_size
        self.size: tuple[int, int] = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        self.device = next(model.parameters()).device
        self._mean = torch.tensor(visual.image_mean, device=self.device).view(3, 1, 1)
        self._std = torch.tensor(visual.image_std, device=self.device).view(3, 1, 1)

    def encode_images(self, frames: Tensor) -> Tensor:
        """Unit vectors [N, E] of frames [N, 3, H, W] in [-1, 1], of any size; differentiable with respect to the frames."""
        images = (frames.to(self.device, torch.float32) + 1) / 2
        if tuple(images.shape[-2:]) != self.size:
            images = F.interpolate(images, size=self.size, mode="bilinear", antialias=True, align_corners=False)
        return F.normalize(cast(Any, self.model).encode_image((images - self._mean) / self._std), dim=-1)

    @torch.no_grad()
    def encode_texts(self, texts: list[str]) -> Tensor:
        """Unit vectors [N, E] of N sentences; what a sentence has beyond the model's context length is cut off."""
        return F.normalize(cast(Any, self.model).encode_text(self._tokenizer(texts).to(self.device)), dim=-1)

    def unknown_words(self, text: str) -> list[str]:
        """The words of a text that the model has never seen, in order, each once; empty where its vocabulary is not known."""
        if self.vocabulary is None:
            return []
        known = self.vocabulary | STOP_WORDS
        # "blond-haired" is known where it was seen, and where both of its parts were
        return [w for w in dict.fromkeys(words(text)) if w not in known and not known.issuperset(re.split("['’-]", w))]

    @cached_property
    def hash(self) -> str:
        """sha256 over the configuration and all weights: what cached statistics belong to."""
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True, default=str).encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def words(text: str) -> list[str]:
    """The words of a text in lower case.

    >>> words("A man's T-shirt, PURPLE!")
    ['a', "man's", 't-shirt', 'purple']
    """
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.lower())


def load(name: str = "builtin", device: str | torch.device = "cpu") -> Guidance:
    """Load a text–image model by name (see the module's head).

    Raises GuidanceError where the name is unknown, weights are missing or cannot be fetched, or do not fit the
    architecture; a model is never left with random weights.
    """
    model_name, pretrained = _resolve(name)
    import_torchvision()
    import open_clip  # 2 s: here, so that `vedit --help` need not wait

    offline = not model_name.startswith("local-dir:") and _offline()
    if ":" not in model_name:
        pretrained = pretrained or _default_tag(open_clip, model_name)
    try:
        with _hub_offline() if offline else nullcontext():
            model = open_clip.create_model(
                model_name,
                pretrained=pretrained or None,
                device=device,
                require_pretrained=True,
                weights_only=True,
                pretrained_text=False,
            )
            tokenizer = open_clip.get_tokenizer(model_name)
            config = open_clip.get_model_config(model_name)
    except (
        Exception
    ) as error:  # open_clip, the hub, json, torch and safetensors each raise their own; the message is what helps
        raise GuidanceError(_why(name, error, offline)) from error
    return Guidance(name, model, tokenizer, config or {}, _vocabulary(model_name))


def _resolve(name: str) -> tuple[str, str]:
    """open_clip's model name and `pretrained` ("" where the name says it all) of one of our names."""
    if name == "builtin":
        name = f"local-dir:{BUILTIN}"
    elif Path(name).is_dir():
        name = f"local-dir:{name}"
    if name.startswith("local-dir:"):
        folder = Path(name.removeprefix("local-dir:")).expanduser()
        if not (folder / CONFIG_FILE).is_file():
            raise GuidanceError(
                f"{folder} holds no text–image model; wanted a folder with {CONFIG_FILE} and {WEIGHTS_FILE}"
            )
        return f"local-dir:{folder}", ""
    if name.startswith("hf-hub:"):
        return name, ""
    model_name, _, pretrained = name.partition(":")
    return model_name, pretrained


def _default_tag(open_clip: Any, model_name: str) -> str:
    """The weights a bare open_clip name stands for: OpenAI's where there are such, else the last (best) listed."""
    if model_name not in open_clip.list_models():
        raise GuidanceError(
            f'no text–image model is called "{model_name}"; use builtin, local-dir:FOLDER or one of open_clip\'s names, such as ViT-B-32'
        )
    tags = open_clip.list_pretrained_tags_by_model(model_name)
    if not tags:
        raise GuidanceError(
            f"{model_name} has no published weights and would be random; name a file: {model_name}:/path/weights.safetensors"
        )
    return "openai" if "openai" in tags else str(tags[-1])


def _why(name: str, error: Exception, offline: bool) -> str:
    """One line for what open_clip raised while loading `name`."""
    reason = " ".join(str(error).split())
    perhaps = " (offline?)" if offline else ""
    return f"the text–image model {name} could not be loaded{perhaps}: {reason[:300]}; --clip builtin needs no download"


def _vocabulary(model_name: str) -> frozenset[str] | None:
    """The list of words that lies beside a model of ours."""
    path = Path(model_name.removeprefix("local-dir:")) / VOCABULARY_FILE
    if not model_name.startswith("local-dir:") or not path.is_file():
        return None
    return frozenset(path.read_text(encoding="utf-8").split())


def _offline() -> bool:
    """Whether fetching is pointless: asked for by VEDIT_OFFLINE or HF_HUB_OFFLINE, or the hub's name does not resolve and no proxy would do it."""
    if store.offline() or os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return True
    if any(os.environ.get(key) for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_ENDPOINT")):
        return False
    try:
        socket.getaddrinfo("huggingface.co", 443)
    except OSError:
        return True
    return False


@contextmanager
def _hub_offline() -> Iterator[None]:
    """Within, huggingface_hub fails at once instead of retrying for 24 s a file; it goes by this constant, read from the environment once."""
    import huggingface_hub.constants as hub

    before, hub.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = before
