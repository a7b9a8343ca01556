"""A tiny game for tests: clips of a world written as a folder of frames, and networks at 16², real code in milliseconds."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from stylegan_v.augment import AugmentConfig
from stylegan_v.config import DiscriminatorConfig, GeneratorConfig, MotionConfig
from stylegan_v.data import ClipDataset
from stylegan_v.game import Game, GameEvent
from stylegan_v.game_config import GameConfig
from stylegan_v.mocogan import ImageDiscriminatorConfig

MOTION = MotionConfig(
    z_dim=8,
    v_dim=8,
    distance=8,
    kernel_size=3,
    num_freqs=4,
    min_period=8,
    max_period=32,
    lr_multiplier=1,
    max_num_frames=64,
)


def write_clips(folder: Path, clips: int = 6, frames: int = 20, size: int = 16, classes: int = 0) -> Path:
    """Clips of the world `skies` as folders of PNGs, in the layout that training reads; with `classes`, labelled in turn."""
    from PIL import Image

    from vedit.pixels import to_pixels
    from vedit.worlds import world

    place = world("skies")
    rng = torch.Generator().manual_seed(0)
    t = torch.arange(frames).float().expand(clips, -1)
    drawn = place.draw_clips(place.random_attributes(clips, rng), place.random_motion(t, rng), size)
    for clip in range(clips):
        (folder / f"clip-{clip}").mkdir(parents=True)
        for frame, pixels in enumerate(to_pixels(drawn[clip]).numpy()):
            Image.fromarray(pixels).save(folder / f"clip-{clip}" / f"{frame:06d}.png")
    if classes:
        labels = [[f"clip-{clip}", clip % classes] for clip in range(clips)]
        (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


def open_clips(folder: Path, **options: Any) -> ClipDataset:
    """The data set of `write_clips`, written if it is not there."""
    return ClipDataset.open(folder if folder.exists() else write_clips(folder, **options))


def resumed(cfg: GameConfig, clips: ClipDataset, stop: int, state: Path) -> tuple[Game, list[GameEvent]]:
    """A game that another object went on with after `stop` steps, by way of a file at `state`, and its events from there to the end."""
    first = Game(cfg, clips)
    list(first.run(stop))
    first.save(state)
    second = Game(cfg, clips, workers=2)
    second.load(state)
    rest = list(second.run())
    second.close()
    return second, rest


def tiny_config(**changes: Any) -> GameConfig:
    """Networks at 16², four clips of three frames a step in micro-batches of two."""
    generator = GeneratorConfig(
        resolution=16, z_dim=16, w_dim=16, channel_base=128, channel_max=16, mapping_lr_multiplier=1, motion=MOTION
    )
    judge = DiscriminatorConfig(
        resolution=16, channel_base=128, channel_max=16, concat_res=8, max_num_frames=64, time_embed_dim=8
    )
    cfg = GameConfig(
        generator=generator,
        discriminator=judge,
        kimg=0.032,
        batch=4,
        micro_batch=2,
        r1_interval=2,
        seed=3,
        augment=AugmentConfig("bc"),
    )
    return dataclasses.replace(cfg, **changes)


def still_config(**changes: Any) -> GameConfig:
    """The same for an image generator with noise, and labels where `c_dim` is among the changes."""
    labels = {"c_dim": changes.pop("c_dim", 0)}
    cfg = tiny_config()
    generator = dataclasses.replace(cfg.generator, motion=None, use_noise=True, input_kind="bare", **labels)
    judge = ImageDiscriminatorConfig(resolution=16, channel_base=128, channel_max=16, mbstd_group_size=2, **labels)
    return dataclasses.replace(cfg, generator=generator, discriminator=None, image_discriminator=judge, **changes)
