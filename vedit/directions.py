"""From words to a change of styles: statistics of (generator, text–image model), and the direction of a prompt.

A few thousand random frames are rendered and seen by the image tower; what is kept are the means and covariances of w and
of the image vectors, and between them. With them a prompt pair gives a direction at once: the change of w that moves the
image vector along the difference of the two texts, as little as possible otherwise, and no further than the generator's own
w vary (a ridge in whitened coordinates). Style affines are linear, so Δw gives every layer its Δs. Staying on the span of
real w is what keeps the change natural: the plain gradient of the score in style space is adversarial.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from stylegan_v import Generator, model_hash
from stylegan_v.files import replacing
from stylegan_v.synthesis import ModulatedLayer
from vedit.errors import VeditError
from vedit.guidance import Guidance
from vedit.models.store import ASSETS, cache_dir
from vedit.progress import Progress, Task
from vedit.reach import Reach
from vedit.views import vary

SCHEMA = 1
SAMPLES = 12_000
BATCH = 50
RIDGE = 0.1
"""Noise floor of the ridge, as a part of the squared canonical correlation: directions of the image vector that w explains
less well than this are not followed."""
LENGTH = 1.8
"""Standard deviations of w along the direction that strength 1 moves a content of the middle (`Reach`). The score of the prompt then moves by
1.2 of its own deviations, 0.8 to 1.6 over 36 prompts: measured, a strength means the same for every prompt."""

TEMPLATES = ("{}", "a photo of {}", "a picture of {}", "{} in a video")
NEUTRALS = ("a person", "a sky", "a landscape", "an animal", "a photo")


class StatisticsError(VeditError, ValueError):
    """A file of statistics that is damaged or belongs to another generator or text–image model."""


@dataclass(frozen=True)
class Statistics:
    """First and second moments of w [D] and image vectors e [E] over random samples of one generator.

    w_mean [D], w_cov [D, D], e_mean [E], e_cov [E, E], cross [D, E] = cov(w, e).
    """

    generator: str
    guidance: str
    samples: int
    w_mean: Tensor
    w_cov: Tensor
    e_mean: Tensor
    e_cov: Tensor
    cross: Tensor

    def save(self, path: Path) -> None:
        """Write one safetensors file, replacing in one step."""
        tensors = {f.name: getattr(self, f.name).contiguous() for f in fields(self) if f.type == "Tensor"}
        metadata = {
            "kind": "directions",
            "schema": str(SCHEMA),
            "generator": self.generator,
            "guidance": self.guidance,
            "samples": str(self.samples),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            beside.write_bytes(save(tensors, metadata))

    @classmethod
    def load(cls, path: Path) -> Statistics:
        """Read what `save` wrote. Raises StatisticsError."""
        try:
            with safe_open(path, "pt") as file:
                meta = file.metadata() or {}
                tensors = {f.name: file.get_tensor(f.name).float() for f in fields(cls) if f.type == "Tensor"}
        except (SafetensorError, OSError) as error:
            raise StatisticsError(
                f"{path} holds no channel statistics ({error}); delete it, it is made anew"
            ) from error
        if meta.get("kind") != "directions" or meta.get("schema") != str(SCHEMA):
            found = f"{meta.get('kind')} of schema {meta.get('schema')}"
            raise StatisticsError(
                f"{path} holds {found}, wanted directions of schema {SCHEMA}; delete it, it is made anew"
            )
        if tensors["cross"].ndim != 2 or not meta.keys() >= {"generator", "guidance", "samples"}:
            raise StatisticsError(f"{path} lacks what channel statistics have; delete it, it is made anew")
        d, e = tensors["cross"].shape
        shapes = {"w_mean": (d,), "w_cov": (d, d), "e_mean": (e,), "e_cov": (e, e), "cross": (d, e)}
        if any(tuple(tensors[name].shape) != shape for name, shape in shapes.items()):
            raise StatisticsError(
                f"{path}: the shapes of its tensors do not fit each other; delete it, it is made anew"
            )
        return cls(meta["generator"], meta["guidance"], int(meta["samples"]), **tensors)

    def _of(self, generator: str, guidance: str) -> Statistics:
        """These, which must belong to models of these hashes: files are named by the beginnings alone."""
        if (self.generator, self.guidance) != (generator, guidance):
            raise StatisticsError("channel statistics of another generator or text–image model; delete them, they are made anew")
        return self


def statistics(generator: Generator, guidance: Guidance, *, samples: int = SAMPLES, seed: int = 0) -> Task[Statistics]:
    """Statistics of a generator and a text–image model: shipped ones, cached ones, or made now and cached.

    Making them renders and looks at `samples` frames. Interrupted, it goes on where it was. The cache is keyed by the hashes of
    both models, the number of samples and the seed, so that another model never gets these.
    """
    key = (generator.hash or model_hash(generator), guidance.hash)
    shipped = shipped_path(generator, guidance)
    if shipped.is_file() and (samples, seed) == (SAMPLES, 0):
        return Statistics.load(shipped)._of(*key)
    kept = cache_dir().parent / "directions" / _file_name(*key, f"-{samples}-{seed}")
    if kept.is_file():
        try:
            return Statistics.load(kept)._of(*key)
        except StatisticsError:
            kept.unlink()  # damaged: nothing but time is lost
    result = yield from measure(generator, guidance, samples=samples, seed=seed, partial=kept.with_suffix(".part"))
    result.save(kept)
    kept.with_suffix(".part").unlink(missing_ok=True)
    return result


def shipped_path(generator: Generator, guidance: Guidance) -> Path:
    """Where the statistics of a built-in generator with the built-in text–image model are kept in the package."""
    return ASSETS / "directions" / _file_name(generator.hash or model_hash(generator), guidance.hash)


def measure(
    generator: Generator, guidance: Guidance, *, samples: int = SAMPLES, seed: int = 0, partial: Path | None = None
) -> Task[Statistics]:
    """Render random frames and gather the moments; with `partial`, a file to go on from."""
    sums = _Sums.resumed(partial)
    while sums.count < samples:
        n = min(BATCH, samples - sums.count)
        rng = torch.Generator().manual_seed(seed * 1_000_003 + sums.count)
        with torch.no_grad():
            w, frames = random_frames(generator, n, rng)
            sums.add(w.cpu(), guidance.encode_images(vary(frames.cpu(), rng, strength=0.5)).cpu())
        yield Progress("directions", sums.count, samples)
        if partial is not None and sums.count % (40 * BATCH) == 0:
            sums.save(partial)
    return sums.statistics(generator.hash or model_hash(generator), guidance.hash)


def random_frames(generator: Generator, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """n random w [n, D] and a frame of each [n, 3, H, W], at random labels, motions and times within two code spacings."""
    cfg, device = generator.cfg, generator.device
    z = torch.randn(n, cfg.z_dim, generator=rng).to(device)
    c = None
    if cfg.c_dim:
        c = F.one_hot(torch.randint(cfg.c_dim, (n,), generator=rng), cfg.c_dim).float().to(device)
    ws = generator.mapping(z, c)
    t = motion_z = None
    if cfg.motion is not None:
        span = 2.0 * cfg.motion.distance
        t = (torch.rand(n, 1, generator=rng) * span).to(device)
        motion_z = torch.randn(n, generator.num_motion_codes(span), cfg.motion.z_dim, generator=rng).to(device)
    return ws[:, 0], generator.synthesis(ws, t, motion_z, c)[:, 0].float()


@dataclass
class _Sums:
    """Running sums, in float64, of what the statistics are made of."""

    count: int = 0
    first: Tensor | None = None  # [D + E] sum of (w, e)
    second: Tensor | None = None  # [D + E, D + E] sum of their products
    width: int = 0  # D

    def add(self, w: Tensor, e: Tensor) -> None:
        both = torch.cat([w, e], dim=1).double()
        self.width = w.shape[1]
        self.first = both.sum(0) if self.first is None else self.first + both.sum(0)
        self.second = both.T @ both if self.second is None else self.second + both.T @ both
        self.count += len(w)

    def statistics(self, generator: str, guidance: str) -> Statistics:
        assert self.first is not None and self.second is not None
        mean = self.first / self.count
        cov = (self.second / self.count - torch.outer(mean, mean)).float()
        d = self.width
        mean = mean.float()
        return Statistics(generator, guidance, self.count, mean[:d], cov[:d, :d], mean[d:], cov[d:, d:], cov[:d, d:])

    def save(self, path: Path) -> None:
        assert self.first is not None and self.second is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        sums = {"first": self.first, "second": self.second}
        with replacing(path) as beside:
            beside.write_bytes(save(sums, {"count": str(self.count), "width": str(self.width)}))

    @classmethod
    def resumed(cls, path: Path | None) -> _Sums:
        if path is None or not path.is_file():
            return cls()
        try:
            with safe_open(path, "pt") as file:
                meta = file.metadata()
                return cls(int(meta["count"]), file.get_tensor("first"), file.get_tensor("second"), int(meta["width"]))
        except (SafetensorError, OSError, TypeError, KeyError, ValueError):
            return cls()  # a torn file costs the time it stood for


def _file_name(generator: str, guidance: str, suffix: str = "") -> str:
    return f"{generator[:16]}-{guidance[:16]}{suffix}.safetensors"


@dataclass(frozen=True)
class Direction:
    """A prompt's change of styles: `delta` maps layer names to Δs [I] for LENGTH, `neutral` is the text it was measured against, `reach` how
    much of it a strength takes for the content that it was made for."""

    delta: dict[str, Tensor]
    delta_w: Tensor
    neutral: str
    reach: Reach | None = None


def direction(
    stats: Statistics,
    generator: Generator,
    guidance: Guidance,
    prompt: str,
    neutral: str | None = None,
    disentangle: float | None = None,
    content: Tensor | None = None,
) -> Direction:
    """The change of styles that a prompt asks for, against `neutral` (default: chosen from NEUTRALS by what the generator shows).

    `disentangle` in [0, 1] leaves out channels that change less, in their own standard deviations, than this part of the largest. None is 0:
    judged, edits through all channels move what is wanted farther and other things no more (recipes/clip-1.md).
    `content` is the w [D] to be edited, where it is known: one that shows much of the prompt already is moved less far (see `Reach`).
    """
    neutral = neutral or default_neutral(stats, guidance)
    unit = w_direction(stats, text_difference(guidance, prompt, neutral), RIDGE)
    delta_w = unit * LENGTH
    reach = None if content is None else Reach(place_along(stats, unit, content), LENGTH)
    return Direction(style_changes(stats, generator, delta_w, disentangle or 0.0), delta_w, neutral, reach)


def w_direction(stats: Statistics, text: Tensor, ridge: float) -> Tensor:
    """Δw [D] of one standard deviation of w that moves the image vector along the difference of texts [E].

    Whitened, the image vector follows w with canonical correlations c; each is followed by c / (c² + ridge): for a small ridge
    the image vector moves along the texts and nowhere else, for a large one along the mean of the samples that fit them.
    """
    w_values, w_basis = _spectrum(stats.w_cov)
    e_values, e_basis = _spectrum(stats.e_cov)
    correlation = (w_basis / w_values.sqrt()).T @ stats.cross.double() @ (e_basis / e_values.sqrt())
    left, c, right = torch.linalg.svd(correlation, full_matrices=False)
    wanted = (e_basis * e_values.sqrt()).T @ text.double()
    change = left @ ((c / (c.square() + ridge)) * (right @ wanted))
    return ((w_basis * w_values.sqrt()) @ F.normalize(change, dim=0)).float()


def place_along(stats: Statistics, unit: Tensor, content: Tensor) -> float:
    """Where a content w [D] stands along a direction Δw [D] of one standard deviation, in standard deviations of w from the mean."""
    values, basis = _spectrum(stats.w_cov)
    whitened = basis.T @ torch.stack([unit, content.cpu() - stats.w_mean], dim=1).double() / values.sqrt()[:, None]
    return float(whitened[:, 0] @ whitened[:, 1])


def style_changes(
    stats: Statistics, generator: Generator, delta_w: Tensor, disentangle: float = 0.0
) -> dict[str, Tensor]:
    """Δs [I] of every layer for Δw [D], without channels below `disentangle` of the largest change in standard deviations."""
    delta, deviations = {}, {}
    for name, _, layer in generator.synthesis.layers():
        affine = _affine(layer, len(delta_w))
        delta[name] = affine @ delta_w
        deviations[name] = ((affine @ stats.w_cov) * affine).sum(1).clamp_min(1e-12).sqrt()
    if disentangle > 0:
        changes = {name: (value / deviations[name]).abs() for name, value in delta.items()}
        least = disentangle * max(float(change.max()) for change in changes.values())
        delta = {name: value * (changes[name] >= least) for name, value in delta.items()}
    return delta


def style_ways(stats: Statistics, generator: Generator) -> dict[str, Tensor]:
    """For each layer but ToRGB, a matrix [I, K] mapping K independent unit-variance values to style changes with the generator's own covariance.

    ToRGB is left out: its channels paint colours over what is there, and what a text–image model likes of that is adversarial.
    """
    values, basis = _spectrum(stats.w_cov)
    root = (basis * values.sqrt()).float()
    return {name: _affine(layer, len(root)) @ root for name, _, layer in generator.synthesis.layers() if not layer.rgb}


def _affine(layer: ModulatedLayer, width: int) -> Tensor:
    """The matrix [I, D] from w to a layer's styles; motion may enter them too, after w, and is left out."""
    return (layer.affine.weight.detach()[:, :width] * layer.affine.weight_gain).float().cpu()


def default_neutral(stats: Statistics, guidance: Guidance) -> str:
    """The text of NEUTRALS that the mean image vector fits best."""
    fits = guidance.encode_texts(list(NEUTRALS)).cpu() @ stats.e_mean
    return NEUTRALS[int(fits.argmax())]


def text_difference(guidance: Guidance, prompt: str, neutral: str) -> Tensor:
    """The difference [E] of the unit vectors of two texts: where an image vector shall go."""
    return _text_vector(guidance, prompt) - _text_vector(guidance, neutral)


def _text_vector(guidance: Guidance, text: str) -> Tensor:
    """The unit vector [E] of a text, averaged over templates."""
    return F.normalize(guidance.encode_texts([template.format(text) for template in TEMPLATES]).mean(0), dim=0).cpu()


def _spectrum(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a covariance, in float64, without the directions in which nothing varies."""
    values, vectors = torch.linalg.eigh(covariance.double())
    kept = values > 1e-5 * values[-1]
    return values[kept], vectors[:, kept]
