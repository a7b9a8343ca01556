"""The game for single frames: an image generator against a judge of images, with noise that any run draws again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from stylegan_v import load_generator
from stylegan_v.config import ConfigError
from stylegan_v.data import ClipDataset
from stylegan_v.game import FOR_NOISE, Game
from stylegan_v.game_config import PairsConfig
from stylegan_v.ranks import Ranks
from tests.tiny_game import MOTION, open_clips, resumed, still_config, tiny_config, write_clips
from tests.tiny_runs import lines, recipe
from vedit.progress import finish
from vedit.training_game import train_game


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipDataset:
    return open_clips(tmp_path_factory.mktemp("stills") / "clips", classes=3)


@pytest.mark.parametrize("c_dim", [0, 3])
def test_every_weight_of_an_image_generator_is_trained(clips: ClipDataset, c_dim: int) -> None:
    game = Game(still_config(c_dim=c_dim), clips)
    before = {name: param.clone() for name, param in game.generator.named_parameters()}
    list(game.run(2))  # the noise has no strength, and so its layers' bias no partner, before the first step
    still = [name for name, param in game.generator.named_parameters() if torch.equal(before[name], param)]
    assert not still, f"not trained: {still}"
    frames, t, labels = game.real.batch(0)
    assert frames.shape == (4, 1, 3, 16, 16) and t.shape == (4, 1) and labels.shape == (4, 3)


def test_its_noise_is_new_every_step_and_the_same_in_every_run(clips: ClipDataset, tmp_path: Path) -> None:
    cfg = still_config()
    game = Game(cfg, clips)
    for param in game.generator.parameters():
        if param.ndim == 0:  # noise_strength
            param.data.fill_(1.0)
    first, again, second = (game.inputs.batch(step, 0, 2) for step in (0, 0, 1))
    assert first.seeds[0, FOR_NOISE] == again.seeds[0, FOR_NOISE] != second.seeds[0, FOR_NOISE]
    w = game._contents(first)
    drawn = [game._frames(w, part) for part in (first, again, second)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    unbroken = Game(cfg, clips)
    events = list(unbroken.run())
    second_run, rest = resumed(cfg, clips, 3, tmp_path / "state.pt")
    assert rest == events[3:]
    assert all(torch.equal(a, b) for a, b in zip(second_run.ema.parameters(), unbroken.ema.parameters(), strict=True))


def test_two_processes_draw_what_one_draws(clips: ClipDataset) -> None:
    cfg = still_config()
    alone = Game(cfg, clips)
    parts = list(alone.inputs.batch(0, 0, 4).parts(alone.micro, alone.device))
    for rank in (0, 1):
        half = Game(cfg, clips, ranks=dataclasses.replace(Ranks(), rank=rank, size=2))
        (part,) = half.inputs.batch(0, 2 * rank, 2).parts(half.micro, half.device)
        assert torch.equal(half._frames(half._contents(part), part), alone._frames(alone._contents(parts[rank]), parts[rank]))


@pytest.mark.filterwarnings("ignore::vedit.training_watch.TrainingWarning", "ignore::vedit.training_metrics.MetricsWarning")
def test_a_run_leaves_sheets_figures_and_a_generator_that_draws_images(tmp_path: Path) -> None:
    plain = recipe(write_clips(tmp_path / "clips"), metrics={"names": ["fid"], "every": 4, "clips": 8, "features": ["builtin"]})
    plain = dataclasses.replace(plain, game=still_config())
    result = finish(train_game(plain, tmp_path / "run"))
    generator = load_generator(result)
    assert generator.cfg.motion is None and generator.cfg.use_noise
    assert generator.synthesis(generator.mapping(torch.randn(2, 16))).shape == (2, 1, 3, 16, 16)
    assert (tmp_path / "run" / "sheet-0000008.png").is_file() and not list((tmp_path / "run").glob("samples-*.mp4"))
    assert any("fid-builtin" in line for line in lines(tmp_path / "run"))


def test_a_single_frame_of_each_clip_will_do(tmp_path: Path) -> None:
    with open_clips(tmp_path / "clips", frames=1) as pictures:
        (event,) = Game(still_config(), pictures).run(1)
    assert not event.skipped


def test_what_does_not_go_with_single_frames_is_refused_by_key(tmp_path: Path) -> None:
    cfg = still_config()
    for changes, key in (
        ({"pairs": PairsConfig()}, "pairs"),
        ({"freeze": 1}, "freeze"),
        ({"max_t": 16}, "max_t"),
        ({"precision": "fp16"}, "precision"),
        ({"discriminator": tiny_config().discriminator, "image_discriminator": None}, "generator"),
        ({"generator": dataclasses.replace(cfg.generator, motion=MOTION)}, "discriminator"),
    ):
        with pytest.raises(ConfigError) as refused:
            dataclasses.replace(cfg, **changes)  # type: ignore[arg-type]
        assert refused.value.key.startswith(key)
    with pytest.raises(ConfigError, match="draws no clips"):
        dataclasses.replace(recipe(tmp_path), game=cfg, metrics={"names": ["fid", "fvd16"]})  # type: ignore[arg-type]
