"""What the game on a person's own clips is played with: networks, batch, rates, regularisation, precision (section 4 of the paper's set-up)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from stylegan_v.augment import AugmentConfig
from stylegan_v.config import Config, DiscriminatorConfig, GeneratorConfig
from stylegan_v.data import shortest
from stylegan_v.mocogan import ImageDiscriminatorConfig, VideoDiscriminatorConfig


@dataclass(frozen=True)
class AdaConfig(Config):
    """How strong augmentation is: `target` is the mean sign of real clips' logits to hold (0: p stays at `p`).

    p moves every `interval` steps, by what takes it from 0 to 1 within `kimg` thousand clips.
    """

    target: float = 0.6
    interval: int = 4
    kimg: float = 500.0
    p: float = 0.0

    def __post_init__(self) -> None:
        self._require(0 <= self.target < 1, "target", "a number from 0 (p stays as it is) to below 1")
        self._require_counts("interval")
        self._require_positive("kimg")
        self._require(0 <= self.p <= 1, "p", "a probability from 0 to 1")


@dataclass(frozen=True)
class GuardConfig(Config):
    """What happens on losses or gradients that are not finite: that step is left out; after `patience` of them in a row the run goes back.

    It goes back to its last saved state, all learning rates multiplied by `rate_factor` from then on, at most `retreats` times; then it ends.
    """

    patience: int = 10
    rate_factor: float = 0.5
    retreats: int = 3

    def __post_init__(self) -> None:
        self._require_counts("patience")
        self._require_counts("retreats", least=0)
        self._require(0 < self.rate_factor <= 1, "rate_factor", "a factor above 0, at most 1")


@dataclass(frozen=True)
class SamplingConfig(Config):
    """How clips are drawn: mirrored ones too with `flip`; the first and last of a clip's frames are at most `max_span` apart."""

    flip: bool = False
    max_span: int = 32

    def __post_init__(self) -> None:
        self._require(isinstance(self.flip, bool), "flip", "true or false")
        self._require_counts("max_span", most=2048)


@dataclass(frozen=True)
class PairsConfig(Config):
    """Codes of the data's own clips (see `stylegan_v.game_pairs`), for data sets of a few: more than `most` clips are refused.

    Motion codes first learn what moves, in `codes` steps of seconds that draw no frame and do not count as steps of the game
    (see `stylegan_v.game_codes`; the motion encoder learns too, and wants an lr_multiplier near 1 for it). Then `kimg` thousand clips, on top
    of the game's, are drawn again from their codes alone: `lr` is the generator's rate then, `codes_lr` that of z, `motion_lr` that of the
    motion codes; all fall to `lr_end` times themselves. Afterwards `weight` is that of the distance beside the game's loss. `edges`, `motion`
    and `moving` weigh it within (see `paired_distance`), `pyramid` that of the lower resolutions from 8x8 on.
    """

    codes: int = 1500
    kimg: float = 20.0
    weight: float = 1.0
    lr: float = 0.008
    lr_end: float = 0.1
    codes_lr: float = 0.03
    motion_lr: float = 0.005
    edges: float = 1.0
    motion: float = 3.0
    moving: float = 1.0
    pyramid: float = 0.25
    most: int = 256

    def __post_init__(self) -> None:
        self._require_positive("weight", "lr", "lr_end", "codes_lr", "motion_lr")
        for key in ("kimg", "edges", "motion", "moving", "pyramid"):
            self._require(0 <= getattr(self, key) < 1e9, key, "a number from 0")
        self._require(self.lr_end <= 1, "lr_end", "a factor above 0, at most 1")
        self._require_counts("most")
        self._require_counts("codes", least=0)


@dataclass(frozen=True)
class GameConfig(Config):
    """A run of the adversarial game. A clip counts as one image: `kimg` thousand of them in `batch`es.

    Judges are either `discriminator`, on its number of frames a clip (2, 3 or more), or MoCoGAN's pair on 16 consecutive frames:
    `image_discriminator`, which is shown one of them at random, and `video_discriminator`, whose rate is multiplied by `video_lr_factor`.
    An image generator (one without a table motion) has `image_discriminator` alone, and a clip is one frame.
    A batch is worked off in micro-batches of `micro_batch` clips (0: each process's share at once, which is also the most), which are also
    what the minibatch standard deviation sees: with the same ones, any number of processes takes the same steps.

    Both sides have the rate `lr` and Adam's betas (0, 0.99); the discriminator's are raised to the power c = interval / (interval + 1), and
    its rate is multiplied by c, because of the steps that R1 takes in between. `r1_gamma` none is 0.0002 · resolution² / batch, `ema_kimg`
    none 10 · batch / 32. `max_t` (frames; none: the motion codes' max_num_frames) is the span of times that generated clips are drawn from.

    `precision` bf16 and fp16 reach the `num_fp16_res` highest resolutions of each network (bf16 with 0: all). fp16 needs `conv_clamp` (256) and
    is StyleGAN2's way: no loss scaling, elements of a gradient that are not finite become 0 or ±1e5; such steps are counted.
    The generator's rate in the game is multiplied by `generator_lr_factor`, and for the first `head_start` thousand clips the judges move alone: a generator
    that is good already loses what it knows to judges that know nothing, since Adam takes full steps along gradients that are noise.
    `freeze` leaves the first blocks of the discriminator, from full resolution on, as they are (Mo et al. 2020, FreezeD).
    `pairs` holds the generator to the real clips themselves, where there are few.
    """

    generator: GeneratorConfig
    discriminator: DiscriminatorConfig | None = None
    image_discriminator: ImageDiscriminatorConfig | None = None
    video_discriminator: VideoDiscriminatorConfig | None = None
    seed: int = 0
    kimg: float = 25_000.0
    batch: int = 64
    micro_batch: int = 0
    lr: float = 0.0025
    generator_lr_factor: float = 1.0
    video_lr_factor: float = 0.1
    r1_gamma: float | None = None
    r1_interval: int = 16
    ema_kimg: float | None = None
    ema_ramp: float = 0.05
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    ada: AdaConfig = field(default_factory=AdaConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)
    pairs: PairsConfig | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    max_t: int | None = None
    head_start: float = 0.0
    freeze: int = 0

    def __post_init__(self) -> None:
        tables: dict[str, type[Config]] = {
            "generator": GeneratorConfig,
            "discriminator": DiscriminatorConfig,
            "image_discriminator": ImageDiscriminatorConfig,
            "video_discriminator": VideoDiscriminatorConfig,
            "augment": AugmentConfig,
            "ada": AdaConfig,
            "sampling": SamplingConfig,
            "guard": GuardConfig,
            "pairs": PairsConfig,
        }
        for key, kind in tables.items():
            self._table(key, kind)
            optional = key == "pairs" or key.endswith("discriminator")
            self._require(isinstance(getattr(self, key), kind) or (getattr(self, key) is None and optional), key, "a table")
        self._require_counts("seed", least=0, most=1 << 62)
        self._require_counts("batch", "r1_interval")
        self._require_counts("micro_batch", "freeze", least=0)
        self._require_positive("kimg", "lr", "generator_lr_factor", "video_lr_factor", "ema_ramp")
        self._require(self.r1_gamma is None or 0 <= self.r1_gamma < 1e9, "r1_gamma", "a number from 0 or none")
        self._require(0 <= self.head_start < self.kimg, "head_start", f"a number from 0 to below kimg, {self.kimg:g}")
        self._require(self.ema_kimg is None or 0 < self.ema_kimg < 1e9, "ema_kimg", "a positive number or none")
        self._check_judges()
        self._check_batch()
        self._check_precision()

    def _check_judges(self) -> None:
        pair = self.image_discriminator, self.video_discriminator
        one = self.discriminator is not None and pair == (None, None)
        both = self.discriminator is None and (None not in pair or (self.still and self.video_discriminator is None))
        wanted = "this table alone, or image_discriminator and video_discriminator without it"
        self._require(one or both, "discriminator", f"{wanted}, or for an image generator image_discriminator alone")
        for key, judge in self._judges().items():
            for what in ("resolution", "c_dim") if hasattr(judge, "c_dim") else ("resolution",):
                wanted = getattr(self.generator, what)
                self._require(getattr(judge, what) == wanted, f"{key}.{what}", f"{wanted} as the generator has")
        motion: Any = self.generator.motion
        if self.still:
            self._check_still()
            return
        if self.discriminator is not None:
            blocks = self.discriminator.resolution.bit_length() - 3
            self._require(self.freeze <= blocks, "freeze", f"at most the discriminator's {blocks} blocks")
            most_apart = self.discriminator.max_num_frames
            self._require(self.sampling.max_span < most_apart, "sampling.max_span", f"less than the discriminator's max_num_frames, {most_apart}")
            room = self.sampling.max_span + 1
            self._require(self.num_frames <= room, "discriminator.num_frames", f"at most {room}, which a max_span of {room - 1} frames holds")
        else:
            self._require(self.freeze == 0, "freeze", "0 with MoCoGAN's pair")
            self._require(self.pairs is None, "pairs", "none with MoCoGAN's pair")
        self._require(self.consecutive or shortest(self.num_frames, self.sampling.max_span) > 1, "sampling.max_span", "a larger one")
        reach = self.num_frames if self.consecutive else self.sampling.max_span + 1
        most = motion.max_num_frames
        self._require(self.max_t is None or reach <= self.max_t <= 1 << 20, "max_t", f"a whole number of frames from {reach}, or none")
        self._require(self.max_t is not None or reach <= most, "max_t", f"at least {reach}, since the motion codes have max_num_frames {most}")

    def _check_still(self) -> None:
        """What a game for single frames goes without."""
        self._require(self.discriminator is None and self.video_discriminator is None, "generator", "a table motion, or image_discriminator as the only judge")
        self._require(self.freeze == 0, "freeze", "0 with image_discriminator")
        self._require(self.pairs is None, "pairs", "none without a table motion in the generator")
        self._require(self.max_t is None, "max_t", "none without a table motion in the generator")

    def _check_batch(self) -> None:
        self._require(self.micro_batch == 0 or self.batch % self.micro_batch == 0, "micro_batch", f"a divisor of the batch, {self.batch}, or 0")
        micro = self.micro_batch or self.batch
        wanted = f"so many that {micro} clips at a time divide into groups of {max(self.groups)} (mbstd_group_size)"
        self._require(not any(micro % group for group in self.groups), "micro_batch", wanted)

    @property
    def groups(self) -> list[int]:
        """How many clips each judge's minibatch standard deviation is of; they do not shrink where a process has fewer, for one clip has none."""
        judges = [judge for judge in (self.discriminator, self.image_discriminator) if judge is not None]
        return [min(judge.mbstd_group_size, self.micro_batch or self.batch) for judge in judges]

    def _check_precision(self) -> None:
        self._require(self.precision in ("fp32", "bf16", "fp16"), "precision", "'fp32', 'bf16' or 'fp16'")
        if self.precision != "fp16":
            return
        self._require(self.discriminator is not None, "precision", "'bf16' or 'fp32' with image_discriminator")
        for network in (self.generator, self.discriminator):
            good = network is not None and network.num_fp16_res > 0 and network.conv_clamp is not None
            self._require(good, "precision", "'bf16' or 'fp32', or else num_fp16_res (4) and conv_clamp (256) in generator and discriminator")

    def _judges(self) -> dict[str, Config]:
        named = {key: getattr(self, key) for key in ("discriminator", "image_discriminator", "video_discriminator")}
        return {key: judge for key, judge in named.items() if judge is not None}

    @property
    def still(self) -> bool:
        """Whether single frames are what is played for: an image generator's."""
        return self.generator.motion is None

    @property
    def num_frames(self) -> int:
        """T, the frames of a clip that are seen at a time."""
        judge = self.discriminator or self.video_discriminator or self.image_discriminator
        assert judge is not None
        return judge.num_frames

    @property
    def consecutive(self) -> bool:
        """Whether a clip's frames follow each other, as MoCoGAN's discriminator wants them."""
        return self.video_discriminator is not None

    @property
    def total_steps(self) -> int:
        """Steps of the whole run, those of pairs before the game among them."""
        return math.ceil((self.pairs_kimg + self.kimg) * 1000 / self.batch)

    @property
    def pairs_kimg(self) -> float:
        """Thousand clips that pairs are drawn before the game begins."""
        return 0.0 if self.pairs is None else self.pairs.kimg

    @property
    def gamma(self) -> float:
        """The weight of R1."""
        return 0.0002 * self.generator.resolution**2 / self.batch if self.r1_gamma is None else self.r1_gamma

    @property
    def ema_half_life(self) -> float:
        """In clips."""
        return 1000 * (10 * self.batch / 32 if self.ema_kimg is None else self.ema_kimg)

    @property
    def span_of_times(self) -> int:
        """Generated clips lie within 0 ≤ t < this, in frames."""
        longest = 1 if self.generator.motion is None else self.generator.motion.max_num_frames
        return longest if self.max_t is None else self.max_t
