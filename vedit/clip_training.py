"""Training of the small built-in text–image model on (image, caption) pairs of the worlds, in open_clip's own format.

    python -m vedit.clip_training recipes/clip-1.toml --out DIRECTORY

The loss is CLIP's (Radford et al. 2021, symmetric cross-entropy over a batch). Its optimum is the pointwise mutual
information of image and caption, whatever captions the images share, so that a difference of two texts scores what they
differ in and nothing else. A linear head reads all attributes from the image vector beside it, for the sake of what is
few pixels wide and seldom named; it is left out of the exported model.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vedit.clip_examples import ExamplePool, captions
from vedit.compat import import_torchvision
from vedit.errors import VeditError
from vedit.guidance import CONFIG_FILE, VOCABULARY_FILE, WEIGHTS_FILE, words
from vedit.progress import Progress, Task
from vedit.views import vary
from vedit.worlds import world as find_world

STATE_FILE = "training_state.safetensors"


class ClipRecipeError(VeditError, ValueError):
    """A recipe with an unknown key or a bad value."""


class Probe(BaseModel):
    """A prompt pair whose score must follow known attribute columns: `columns` holds the direction in attribute space."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    world: str
    prompt: str
    neutral: str
    columns: dict[str, float]


class ClipRecipe(BaseModel):
    """All that a training needs. `batch`, `pool` and `fresh` count frames per world; `model` is open_clip's model_cfg.

    The first `attribute_steps` train the image tower on attributes alone, which costs less and says more a frame.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: int = 0
    steps: int = Field(gt=0)
    batch: int = Field(256, gt=1)
    pool: int = Field(32768, gt=1)
    fresh: int = Field(64, gt=0)
    learning_rate: float = Field(2e-3, gt=0)
    warmup: int = Field(100, ge=0)
    weight_decay: float = Field(0.02, ge=0)
    ema: float = Field(0.998, ge=0, lt=1)
    attribute_weight: float = Field(1.0, ge=0)
    attribute_steps: int = Field(0, ge=0)
    worlds: tuple[str, ...] = ("portraits", "skies")
    generators: dict[str, str] = {}
    generator_share: float = Field(0.4, ge=0, le=1)
    save_every: int = Field(200, gt=0)
    model: dict[str, Any]
    probes: tuple[Probe, ...] = ()

    @classmethod
    def read(cls, path: str | Path, **changes: Any) -> ClipRecipe:
        """Read a TOML recipe; `changes` replace its values. Raises ClipRecipeError naming file and keys."""
        try:
            return cls(**{**tomllib.loads(Path(path).read_text(encoding="utf-8")), **changes})
        except (ValidationError, tomllib.TOMLDecodeError) as error:
            raise ClipRecipeError(f"{path}: {'; '.join(str(error).splitlines())}") from error


class ClipTraining:
    """A training in progress: model, running average, optimiser and example pools; every step is a function of seed and step."""

    def __init__(self, recipe: ClipRecipe) -> None:
        import_torchvision()
        from open_clip.model import CustomTextCLIP
        from open_clip.tokenizer import SimpleTokenizer

        from stylegan_v import load_generator

        self.recipe, self.step = recipe, 0
        self.worlds = [find_world(name) for name in recipe.worlds]
        config = {key: value for key, value in recipe.model.items() if key != "custom_text"}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.model: Any = CustomTextCLIP(**config)
            self.head = nn.Linear(config["embed_dim"], sum(len(w.columns) for w in self.worlds))
        self.mask: Tensor = self.model.text.attn_mask
        self.model.visual.to(memory_format=torch.channels_last)
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.tokens = SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
        self.optimiser = _optimiser(self.model, self.head, recipe)
        self.seen_words: set[str] = set()
        self.seen_tokens = torch.zeros(config["text_cfg"]["vocab_size"], dtype=torch.bool)
        size = config["vision_cfg"]["image_size"]
        self.pools = [
            ExamplePool(
                w, size, recipe.pool, recipe.fresh, recipe.seed + 1 + i,
                load_generator(recipe.generators[w.name]) if w.name in recipe.generators else None, recipe.generator_share,
            )
            for i, w in enumerate(self.worlds)
        ]  # fmt: skip

    def run(self, out: Path | None = None) -> Task[dict[str, float]]:
        """Train to the recipe's last step, saving under `out`; returns the last losses."""
        yield Progress("pool", 0, None, "drawing examples")
        for pool in self.pools:
            pool.fill(self.step)
        losses: dict[str, float] = {}
        while self.step < self.recipe.steps:
            losses = self.train_step()
            note = " ".join(f"{key} {value:.3f}" for key, value in losses.items())
            yield Progress("train", self.step, self.recipe.steps, note)
            if out is not None and (self.step % self.recipe.save_every == 0 or self.step == self.recipe.steps):
                self.save(out)
        return losses

    def train_step(self) -> dict[str, float]:
        """One step of Adam on one batch of every world."""
        recipe = self.recipe
        rng = torch.Generator().manual_seed(recipe.seed * 7_368_787 + self.step)
        images, rows = self._batch(rng)
        factor = _schedule(self.step, recipe.warmup, recipe.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.learning_rate * factor
        self.model.train()
        with torch.autocast("cpu", torch.bfloat16):
            image_vectors = self.model.encode_image(images.contiguous(memory_format=torch.channels_last))
        image_vectors = F.normalize(image_vectors.float(), dim=-1)
        contrast = image_vectors.new_zeros(())
        if self.step >= recipe.attribute_steps:
            contrast = self._contrast(image_vectors, self._tokens(rows, rng))
        read = self.head(image_vectors * math.sqrt(image_vectors.shape[1]))
        targets, known = torch.block_diag(*rows), torch.block_diag(*[torch.ones_like(row) for row in rows])
        attribute = ((read - targets).square() * known).sum() / known.sum()
        self.optimiser.zero_grad()
        (contrast + recipe.attribute_weight * attribute).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=math.log(100))
        self.step += 1
        self._update_average()
        return {"contrast": contrast.item(), "attributes": attribute.item()}

    def _contrast(self, image_vectors: Tensor, tokens: Tensor) -> Tensor:
        """CLIP's loss of unit image vectors [B, E] and the tokens [B, S] of their captions."""
        # open_clip's mask has the full length; causal, it may be cut with the tokens
        self.model.text.attn_mask = self.mask[: tokens.shape[1], : tokens.shape[1]]
        text_vectors = F.normalize(self.model.encode_text(tokens), dim=-1)
        logits = self.model.logit_scale.exp() * image_vectors @ text_vectors.T
        labels = torch.arange(len(logits))
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2

    def _batch(self, rng: torch.Generator) -> tuple[Tensor, list[Tensor]]:
        """Varied images of every world in turn, [B, 3, S, S] in [-1, 1], and for each world the attributes of its images."""
        images, rows = [], []
        for pool in self.pools:
            pool.renew(self.step)
            frames, attributes = pool.sample(self.recipe.batch, rng)
            images.append(vary(frames, rng))
            rows.append(attributes)
        return torch.cat(images), rows

    def _tokens(self, rows: list[Tensor], rng: torch.Generator) -> Tensor:
        """Tokens [B, S] of a caption for every image, cut to the longest caption."""
        texts = [text for pool, row in zip(self.pools, rows, strict=True) for text in captions(pool.world, row, rng)]
        tokens: Tensor = self.tokens(texts)
        self.seen_tokens[tokens.unique()] = True
        self.seen_words.update(word for text in texts for word in words(text))
        return tokens[:, : int((tokens != 0).sum(1).max())]

    def _update_average(self) -> None:
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value.detach(), 1 - decay)
            else:
                self.average[name].copy_(value)

    def save(self, out: Path) -> None:
        """Write the state to go on from, and the model as open_clip reads it."""
        out.mkdir(parents=True, exist_ok=True)
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()} | {
            f"average.{k}": v for k, v in self.average.items()
        }
        tensors |= {f"head.{k}": v for k, v in self.head.state_dict().items()} | {"seen_tokens": self.seen_tokens}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{key}": value for key, value in state.items()}
        metadata = {
            "step": str(self.step),
            "recipe": self.recipe.model_dump_json(),
            "words": " ".join(sorted(self.seen_words)),
        }
        _save_safetensors(tensors, out / STATE_FILE, metadata)
        export(self.average, self.recipe.model, self.seen_words, self.seen_tokens, out)

    def resume(self, out: Path) -> None:
        """Go on where `save` left off. Raises ClipRecipeError if the recipe is another one."""
        with safe_open(out / STATE_FILE, "pt") as file:
            metadata = file.metadata()
            if metadata["recipe"] != self.recipe.model_dump_json():
                raise ClipRecipeError(
                    f"{out} holds a training by another recipe; finish it with that one or choose another --out"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}

        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

        self.step, self.seen_words = int(metadata["step"]), set(metadata["words"].split())
        self.model.load_state_dict(part("model."))
        self.head.load_state_dict(part("head."))
        self.average, self.seen_tokens = part("average."), tensors["seen_tokens"]
        saved = self.optimiser.state_dict()
        for name, value in part("optimiser.").items():
            index, key = name.split(".")
            saved["state"].setdefault(int(index), {})[key] = value
        self.optimiser.load_state_dict(saved)


def export(
    weights: dict[str, Tensor], model_cfg: dict[str, Any], seen_words: set[str], seen_tokens: Tensor, out: Path
) -> None:
    """Write a folder that open_clip loads as `local-dir:`: float16 weights, configuration, list of known words.

    Rows of tokens that no caption had are zero: an unknown word then says nothing, and the file compresses well.
    """
    out.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    tensors["text.token_embedding.weight"] = tensors["text.token_embedding.weight"] * seen_tokens[:, None]
    size = model_cfg["vision_cfg"]["image_size"]
    half = [0.5, 0.5, 0.5]
    preprocess = {
        "size": [size, size],
        "mode": "RGB",
        "mean": half,
        "std": half,
        "interpolation": "bilinear",
        "resize_mode": "squash",
    }
    config = json.dumps({"model_cfg": {**model_cfg, "custom_text": True}, "preprocess_cfg": preprocess}, indent=2)
    _write(out / CONFIG_FILE, (config + "\n").encode())
    _write(out / VOCABULARY_FILE, ("\n".join(sorted(seen_words)) + "\n").encode())
    _save_safetensors(tensors, out / WEIGHTS_FILE, {"format": "pt"})


def _optimiser(model: nn.Module, head: nn.Module, recipe: ClipRecipe) -> torch.optim.AdamW:
    """AdamW with decay on matrices and kernels only; the token table too stays free, or rare words would fade."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in [*model.named_parameters(), *head.named_parameters()]:
        (decayed if parameter.ndim >= 2 and "embedding" not in name else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))


def _schedule(step: int, warmup: int, steps: int) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine down to 1 %."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1))) / 2


def _save_safetensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    temporary = path.with_name(path.name + ".part")
    save_file({name: value.detach().contiguous() for name, value in tensors.items()}, temporary, metadata)
    os.replace(temporary, path)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def main(arguments: list[str] | None = None) -> None:
    """The command of the module's head."""
    parser = argparse.ArgumentParser(
        description="Train the small text–image model of a recipe; a killed run goes on where it was."
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    training = ClipTraining(ClipRecipe.read(options.recipe))
    if (options.out / STATE_FILE).is_file():
        training.resume(options.out)
    for progress in training.run(options.out):
        if progress.done % 20 == 0:
            sys.stderr.write(f"{progress.stage} {progress.done}/{progress.total} {progress.note}\n")


if __name__ == "__main__":
    main()
