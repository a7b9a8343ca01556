"""Training of the small built-in text–image model on (attributes, caption, image) of the worlds, in open_clip's own format.

    python -m vedit.clip_training recipes/clip-1.toml --out DIRECTORY

Two stages, since a world knows the attributes of its images. First the text tower and a small network that sees the
*attributes* in place of an image learn from each other with CLIP's loss (Radford et al. 2021, symmetric cross-entropy over a
batch). Its optimum is the pointwise mutual information, whatever captions the images of a batch share, so that a difference
of two texts scores what they differ in and nothing else. Then the image tower learns to give, from pixels, the vector that
the attributes gave. That is a dense and clean target: a hundred thousand frames do where contrast alone would want millions.
A linear head reads all attributes from the image vector beside it, for the sake of what is few pixels wide and seldom named;
head and attribute network are left out of the exported model.
"""

from __future__ import annotations

import argparse
import json
import math
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

from stylegan_v.files import replacing
from vedit.clip_examples import CaptionedRows, ExamplePool
from vedit.clip_scores import Probe
from vedit.compat import import_torchvision
from vedit.errors import VeditError
from vedit.guidance import CONFIG_FILE, VOCABULARY_FILE, WEIGHTS_FILE, words
from vedit.progress import Progress, Task
from vedit.views import vary
from vedit.worlds import world as find_world
from vedit.worlds.base import World

STATE_FILE = "training_state.safetensors"
BLANK = 49_405
"""A token that stands for words never seen: its vector is held at zero, as theirs are when the model is exported."""


class ClipRecipeError(VeditError, ValueError):
    """A recipe with an unknown key or a bad value."""


class ClipRecipe(BaseModel):
    """All that a training needs. Batches, `pool` and `fresh` count frames per world; `model` is open_clip's model_cfg.

    `text_steps` of the first stage are followed by `image_steps` of the second, which from its step `generator_from` on
    also sees frames of the worlds' `generators` (checkpoint files, needed only then). `start` names the folder of a finished
    training to begin from; with `hold_attributes` its text stage leaves the vectors that stand for attributes where they are, so
    that the image tower that was trained towards them needs no more steps. Into `blanks` of the captions a few words are put
    that say nothing, as words never seen do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: int = 0
    text_steps: int = Field(gt=0)
    text_batch: int = Field(512, gt=1)
    text_learning_rate: float = Field(2e-3, gt=0)
    caption_drafts: int = Field(1, ge=1)
    text_attribute_weight: float = Field(10.0, ge=0)
    hold_attributes: bool = False
    blanks: float = Field(0.0, ge=0, le=1)
    image_steps: int = Field(ge=0)
    image_batch: int = Field(128, gt=1)
    image_learning_rate: float = Field(3e-3, gt=0)
    attribute_weight: float = Field(0.3, ge=0)
    pool: int = Field(16384, gt=1)
    fresh: int = Field(64, gt=0)
    warmup: int = Field(50, ge=0)
    weight_decay: float = Field(0.02, ge=0)
    worlds: tuple[str, ...] = ("portraits", "skies")
    generators: dict[str, str] = {}
    generator_share: float = Field(0.4, ge=0, le=1)
    generator_from: int = Field(0, ge=0)
    save_every: int = Field(100, gt=0)
    start: str | None = None
    model: dict[str, Any]
    probes: tuple[Probe, ...] = ()

    @property
    def steps(self) -> int:
        """Steps of both stages."""
        return self.text_steps + self.image_steps

    @classmethod
    def read(cls, path: str | Path, **changes: Any) -> ClipRecipe:
        """Read a TOML recipe; `changes` replace its values. Raises ClipRecipeError naming file and keys."""
        try:
            return cls(**{**tomllib.loads(Path(path).read_text(encoding="utf-8")), **changes})
        except (ValidationError, tomllib.TOMLDecodeError) as error:
            raise ClipRecipeError(f"{path}: {'; '.join(str(error).splitlines())}") from error
        except OSError as error:
            raise ClipRecipeError(f"{path} cannot be read: {error.strerror}") from error


class AttributeTower(nn.Module):
    """What stands for the image tower in the first stage: unit vectors [B, E] of attributes over all worlds [B, A] and world [B, W]."""

    def __init__(self, columns: int, worlds: int, embed_dim: int, width: int = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(columns + worlds, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, embed_dim),
        )

    def forward(self, attributes: Tensor, worlds: Tensor) -> Tensor:
        """Unit vectors [B, E]."""
        return F.normalize(self.layers(torch.cat([attributes, worlds], dim=1)), dim=1)


class ClipTraining:
    """A training in progress: towers, optimisers and example pools; every step is a function of seed and step."""

    def __init__(self, recipe: ClipRecipe) -> None:
        import_torchvision()
        from open_clip.model import CustomTextCLIP
        from open_clip.tokenizer import SimpleTokenizer

        self.recipe, self.step = recipe, 0
        self.worlds = [find_world(name) for name in recipe.worlds]
        config = {key: value for key, value in recipe.model.items() if key != "custom_text"}
        columns = sum(len(each.columns) for each in self.worlds)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.model: Any = CustomTextCLIP(**config)
            self.head = nn.Linear(config["embed_dim"], columns)
            self.text_head = nn.Linear(config["embed_dim"], columns)
            self.tower_head = nn.Linear(config["embed_dim"], columns)
            self.tower = AttributeTower(columns, len(self.worlds), config["embed_dim"])
        self.mask: Tensor = self.model.text.attn_mask
        self.model.visual.to(memory_format=torch.channels_last)
        self.tokens = SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
        learning = [self.model.text, self.text_head]
        self.text_optimiser = _optimiser(
            learning if recipe.hold_attributes else [*learning, self.tower, self.tower_head],
            [self.model.logit_scale],
            recipe.weight_decay,
        )
        self.image_optimiser = _optimiser([self.model.visual, self.head], [], recipe.weight_decay)
        self.seen_words: set[str] = set()
        self.seen_tokens = torch.zeros(config["text_cfg"]["vocab_size"], dtype=torch.bool)
        size = config["vision_cfg"]["image_size"]
        self.captioned = [CaptionedRows(each, recipe.seed, recipe.caption_drafts) for each in self.worlds]
        self.pools = [self._pool(i, each, size) for i, each in enumerate(self.worlds)]

        if recipe.start is not None:
            self._load(Path(recipe.start), modules_only=True)

    def _pool(self, index: int, place: World, size: int) -> ExamplePool:
        recipe = self.recipe
        return ExamplePool(
            place,
            size,
            recipe.pool,
            recipe.fresh,
            recipe.seed + 1 + index,
            generator=recipe.generators.get(place.name),
            share=recipe.generator_share,
            generator_from=recipe.text_steps + recipe.generator_from,
        )

    def run(self, out: Path | None = None) -> Task[dict[str, float]]:
        """Train to the recipe's last step, saving under `out`; returns the last losses."""
        losses: dict[str, float] = {}
        filled = False
        while self.step < self.recipe.steps:
            if self.step < self.recipe.text_steps:
                stage, losses = "text", self.text_step()
            else:
                if not filled:
                    yield Progress("pool", 0, None, "drawing examples")
                    for pool in self.pools:
                        pool.fill(self.step)
                    filled = True
                stage, losses = "images", self.image_step()
            yield Progress(stage, self.step, self.recipe.steps, " ".join(f"{k} {v:.3f}" for k, v in losses.items()))
            if out is not None and (self.step % self.recipe.save_every == 0 or self.step == self.recipe.steps):
                self.save(out)
        return losses

    def text_step(self) -> dict[str, float]:
        """One step of CLIP's loss between captions and attributes drawn at random; no image is drawn."""
        recipe = self.recipe
        rng = torch.Generator().manual_seed(recipe.seed * 7_368_787 + self.step)
        pairs = [captioned.draw(recipe.text_batch, rng) for captioned in self.captioned]
        rows = [row for row, _ in pairs]
        texts = [text for _, some in pairs for text in some]
        tokens: Tensor = self.tokens(texts)
        self.seen_tokens[tokens.unique()] = True
        self.seen_words.update(word for text in texts for word in words(text))
        tokens = with_blanks(tokens, recipe.blanks, rng)
        vectors = self._encode_texts(tokens)
        with torch.set_grad_enabled(not recipe.hold_attributes):
            seen = self.tower(*_side_by_side(rows))
        logits = self.model.logit_scale.exp() * seen @ vectors.T
        labels = torch.arange(len(logits))
        contrast = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
        attribute = _attribute_loss(self.text_head, vectors, rows)
        loss = contrast + recipe.text_attribute_weight * (attribute + _attribute_loss(self.tower_head, seen, rows))
        factor = _schedule(self.step, recipe.warmup, recipe.text_steps)
        self._advance(self.text_optimiser, loss, recipe.text_learning_rate * factor)
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=math.log(100))
            self.model.text.token_embedding.weight[BLANK] = 0
        return {"contrast": contrast.item(), "attributes": attribute.item()}

    def _encode_texts(self, tokens: Tensor) -> Tensor:
        """Unit vectors [B, E] of tokens [B, S], captions of like length together, so that little padding is computed."""
        lengths = (tokens != 0).sum(dim=1)
        order = lengths.argsort()
        vectors = []
        for part in order.chunk(4):
            longest = int(lengths[part].max())
            # open_clip's mask has the full length; causal, it may be cut with the tokens
            self.model.text.attn_mask = self.mask[:longest, :longest]
            vectors.append(self.model.encode_text(tokens[part, :longest]))
        return F.normalize(torch.cat(vectors)[order.argsort()], dim=-1)

    def image_step(self) -> dict[str, float]:
        """One step towards the vectors that the attributes of the images have, on a batch of every world."""
        recipe = self.recipe
        rng = torch.Generator().manual_seed(recipe.seed * 7_368_787 + self.step)
        images, rows = [], []
        for pool in self.pools:
            pool.renew(self.step)
            frames, row = pool.sample(recipe.image_batch, rng)
            images.append(vary(frames, rng))
            rows.append(row)
        self.model.train()
        with torch.autocast("cpu", torch.bfloat16):
            seen = self.model.encode_image(torch.cat(images).contiguous(memory_format=torch.channels_last))
        vectors = F.normalize(seen.float(), dim=-1)
        with torch.no_grad():
            targets = self.tower(*_side_by_side(rows))
        off = (vectors - targets).square().sum(dim=1).mean()
        attribute = _attribute_loss(self.head, vectors, rows)
        factor = _schedule(self.step - recipe.text_steps, recipe.warmup, recipe.image_steps)
        self._advance(
            self.image_optimiser, off + recipe.attribute_weight * attribute, recipe.image_learning_rate * factor
        )
        return {"off": off.item(), "attributes": attribute.item()}

    def _advance(self, optimiser: torch.optim.Optimizer, loss: Tensor, learning_rate: float) -> None:
        """Step the optimiser and the counter."""
        for group in optimiser.param_groups:
            group["lr"] = learning_rate
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], 1.0)
        optimiser.step()
        self.step += 1

    def save(self, out: Path) -> None:
        """Write the state to go on from, and the model as open_clip reads it."""
        out.mkdir(parents=True, exist_ok=True)
        tensors = {"seen_tokens": self.seen_tokens}
        for part, module in self._modules().items():
            tensors |= {f"{part}.{name}": value for name, value in module.state_dict().items()}
        for part, optimiser in self._optimisers().items():
            for index, state in optimiser.state_dict()["state"].items():
                tensors |= {f"{part}.{index}.{key}": value for key, value in state.items()}
        recipe, seen = self.recipe.model_dump_json(), " ".join(sorted(self.seen_words))
        _save_safetensors(tensors, out / STATE_FILE, {"step": str(self.step), "recipe": recipe, "words": seen})
        export(self.model.state_dict(), self.recipe.model, self.seen_words, self.seen_tokens, out)

    def resume(self, out: Path) -> None:
        """Go on where `save` left off. Raises ClipRecipeError if the recipe is another one."""
        metadata = self._load(out)
        if metadata["recipe"] != self.recipe.model_dump_json():
            raise ClipRecipeError(f"{out} holds a training by another recipe; finish it or choose another --out")
        self.step = int(metadata["step"])

    def _load(self, folder: Path, modules_only: bool = False) -> dict[str, str]:
        """Take the networks, the words seen and (unless `modules_only`) the optimisers' state of a training; returns its metadata."""
        if not (folder / STATE_FILE).is_file():
            raise ClipRecipeError(f"{folder} holds no training; run the recipe that makes it first")
        with safe_open(folder / STATE_FILE, "pt") as file:
            metadata = dict(file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}

        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

        self.seen_words, self.seen_tokens = set(metadata["words"].split()), tensors["seen_tokens"]
        for name, module in self._modules().items():
            module.load_state_dict(part(f"{name}."))
        for name, optimiser in self._optimisers().items() if not modules_only else ():
            saved = optimiser.state_dict()
            for key, value in part(f"{name}.").items():
                index, _, what = key.partition(".")
                saved["state"].setdefault(int(index), {})[what] = value
            optimiser.load_state_dict(saved)
        return metadata

    def _modules(self) -> dict[str, nn.Module]:
        heads = {"head": self.head, "text_head": self.text_head, "tower_head": self.tower_head}
        return {"model": self.model, "tower": self.tower, **heads}

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"text_optimiser": self.text_optimiser, "image_optimiser": self.image_optimiser}


def with_blanks(tokens: Tensor, share: float, rng: torch.Generator, most: int = 3) -> Tensor:
    """Tokens [B, S] with one to `most` BLANK ones put into `share` of the rows, anywhere between their ends, where there is room."""
    if not share:
        return tokens
    mixed = tokens.clone()
    chosen, counts = torch.rand(len(tokens), generator=rng) < share, torch.randint(1, most + 1, (len(tokens),), generator=rng)
    for i in chosen.nonzero()[:, 0].tolist():
        row = tokens[i][tokens[i] != 0].tolist()
        for _ in range(min(int(counts[i]), tokens.shape[1] - len(row))):
            row.insert(int(torch.randint(1, len(row), (1,), generator=rng)), BLANK)
        mixed[i, : len(row)] = torch.tensor(row)
    return mixed


def _side_by_side(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Attributes over all worlds' columns [B, A], zero in the other worlds', and which world it is [B, W]."""
    return torch.block_diag(*rows), torch.block_diag(*[torch.ones(len(row), 1) for row in rows])


def _attribute_loss(head: nn.Linear, vectors: Tensor, rows: list[Tensor]) -> Tensor:
    """Mean squared error of what a linear head reads from unit vectors [B, E], over the columns of each one's own world."""
    read = head(vectors * math.sqrt(vectors.shape[1]))
    known = torch.block_diag(*[torch.ones_like(row) for row in rows])
    return ((read - torch.block_diag(*rows)).square() * known).sum() / known.sum()


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


def _optimiser(modules: list[nn.Module], more: list[nn.Parameter], weight_decay: float) -> torch.optim.AdamW:
    """AdamW with decay on matrices and kernels only; the token table stays free, or rare words would fade."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = list(more)
    for module in modules:
        for name, parameter in module.named_parameters():
            (decayed if parameter.ndim >= 2 and "embedding" not in name else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98))


def _schedule(step: int, warmup: int, steps: int) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine down to 1 %."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1))) / 2


def _save_safetensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    with replacing(path) as beside:
        save_file({name: value.detach().contiguous() for name, value in tensors.items()}, beside, metadata)


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as beside:
        beside.write_bytes(content)


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
