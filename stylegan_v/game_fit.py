"""What a game asks of the clips and of the processes that share it."""

from __future__ import annotations

import math

from stylegan_v.archive import DataError
from stylegan_v.config import ConfigError
from stylegan_v.game_config import GameConfig
from stylegan_v.game_draws import Clips
from stylegan_v.ranks import Ranks


def shares(cfg: GameConfig, ranks: Ranks) -> tuple[int, int]:
    """Clips of each process and of each micro-batch, which is no larger than the share; raises ConfigError where the batch does not divide."""
    share, rest = divmod(cfg.batch, ranks.size)
    micro = min(cfg.micro_batch or share, max(1, share))
    if rest or share % micro or any(micro % group for group in cfg.groups):
        micros = f"micro-batches of {cfg.micro_batch} and " if share > cfg.micro_batch > 0 else ""
        wanted = f"equal shares that divide into {micros}groups of {max(cfg.groups)} (mbstd_group_size)"
        fits = 0 if rest else math.gcd(share, *(judge.mbstd_group_size for judge in (cfg.discriminator, cfg.image_discriminator) if judge is not None))
        remedy = "take another number of processes" + (f", or groups of {fits} (--set game.micro_batch={fits})" if fits > 1 else "")
        raise ConfigError(f"a batch of {cfg.batch} clips for {ranks.size} processes: wanted {wanted}; {remedy}")
    return share, micro


def check_clips(cfg: GameConfig, clips: Clips) -> None:
    """Raise DataError unless the clips have the networks' resolution and labels and, where they get codes of their own, are few enough."""
    wanted = cfg.generator.resolution
    if clips.resolution != wanted:
        raise DataError(f"the clips have {clips.resolution}x{clips.resolution} pixels, the generator {wanted}x{wanted}; prepare them at that size")
    if cfg.generator.c_dim and clips.c_dim != cfg.generator.c_dim:
        raise DataError(f"the clips have labels of size {clips.c_dim}, the networks c_dim {cfg.generator.c_dim}; set c_dim of both networks to {clips.c_dim}")
    if cfg.pairs is None:
        return
    found, most = len(clips.usable(cfg.num_frames, cfg.sampling.max_span)), cfg.pairs.most
    if found > most:
        remedy = "go without (--set game.pairs=none), or raise game.pairs.most"
        raise DataError(f"found {found} clips; codes of their own (game.pairs) are for up to {most}: {remedy}")


def unused_labels(cfg: GameConfig, c_dim: int) -> str:
    """What is said of clips with labels of size `c_dim` where the networks take none, "" where they do."""
    if not c_dim or cfg.generator.c_dim:
        return ""
    judges = [name for name in ("discriminator", "image_discriminator", "video_discriminator") if hasattr(getattr(cfg, name), "c_dim")]
    keys = " ".join(f"--set game.{name}.c_dim={c_dim}" for name in ("generator", *judges))
    return f"labels of size {c_dim} are not used, since the recipe's networks know no classes; {keys} makes them"
