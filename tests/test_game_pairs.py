"""Codes of the data's own clips: what they are learned from, that they bring the generator near, and that a run with them resumes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegan_v import ConfigError
from stylegan_v.archive import DataError
from stylegan_v.config import MotionConfig
from stylegan_v.data import ClipDataset
from stylegan_v.game import Game, to_floats
from stylegan_v.game_codes import components
from stylegan_v.game_config import GameConfig, PairsConfig, SamplingConfig
from stylegan_v.losses import paired_distance
from stylegan_v.training import shrunk
from tests.tiny_game import MOTION, open_clips, tiny_config, write_clips
from vedit.progress import finish
from vedit.training_game import GameRecipe, train_game
from vedit.training_plan import plan_game


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipDataset:
    return open_clips(tmp_path_factory.mktemp("pairs") / "clips", clips=4, classes=2)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def paired(**changes: object) -> PairsConfig:
    return PairsConfig.from_dict({"codes": 5, "kimg": 0.016, "weight": 2.0, **changes})


def state(game: Game) -> list[Tensor]:
    assert game.pairs is not None
    networks = (game.generator, game.ema, game.judges, game.pairs)
    return [tensor for network in networks for tensor in network.state_dict().values()]


def test_a_game_with_pairs_resumes_to_the_bit_before_the_game_and_in_it(clips: ClipDataset, tmp_path: Path) -> None:
    cfg = tiny_config(kimg=0.016, pairs=paired(), sampling=SamplingConfig(flip=True))
    unbroken = Game(cfg, clips)
    events = list(unbroken.run())
    assert ["discriminator" in event.figures for event in events] == [False] * 4 + [True] * 4
    assert all(event.figures["paired"] > 0 for event in events)
    for stop in (2, 6):
        first = Game(cfg, clips)
        list(first.run(stop))
        first.save(tmp_path / "state.pt")
        second = Game(cfg, clips, workers=2)
        second.load(tmp_path / "state.pt")
        rest = list(second.run())
        second.close()
        assert rest == events[stop:]
        assert all(torch.equal(a, b) for a, b in zip(state(second), state(unbroken), strict=True))


def test_the_distance_is_that_of_each_clips_own_codes_to_its_frames_as_shown(clips: ClipDataset) -> None:
    game = Game(tiny_config(pairs=paired(pyramid=0.5), sampling=SamplingConfig(flip=True)), clips)
    pairs, generator = game.pairs, game.generator
    assert pairs is not None and pairs.z.shape == (8, 16)
    frames, t, _ = game.real.batch(1)
    items = game.real.items(1)
    expected = torch.zeros(())
    for item, seen, times in zip(items.tolist(), frames, t, strict=True):
        clip = clips.frames(item % 4, times.long())
        assert torch.equal(seen, clip.flip(-1) if item >= 4 else clip)
        ws = generator.mapping(pairs.z[item : item + 1])
        motion_v = generator.motion(times.unsqueeze(0), pairs.motion_z[item : item + 1])
        for size, weight in ((16, 1.0), (8, 0.5)):
            image = generator.synthesis.pyramid(ws, motion_v)[1 if size == 8 else 2]
            one = paired_distance(image, shrunk(to_floats(seen.unsqueeze(0)), size), edges=1.0, motion=3.0)
            expected = expected + weight * one / len(items)
    cfg = paired(pyramid=0.5, moving=0.0)
    pairs.cfg = cfg
    torch.testing.assert_close(pairs.distance(generator, items, to_floats(frames), t, None), expected)


def test_pairs_bring_the_clips_near_and_keep_their_codes_at_random_ones_size(clips: ClipDataset) -> None:
    cfg = tiny_config(micro_batch=4, pairs=paired(kimg=0.6))
    game = Game(cfg, clips)
    losses = [event.figures["paired"] for event in game.run(150)]
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])
    assert game.pairs is not None
    for codes in game.pairs.parameters():
        torch.testing.assert_close(codes.square().flatten(1).mean(dim=1), torch.ones(4))
    assert not any(judge.grad is not None for judge in game.judges.parameters())
    z = torch.randn(512, 16, generator=torch.Generator().manual_seed(0))
    mean = game.generator.mapping.w(z).mean(dim=0)
    assert (game.generator.mapping.w_avg - mean).norm() < 0.7 * mean.norm()  # it follows, at 0.995 a step


def test_beside_the_game_the_distance_weighs_as_much_as_asked(clips: ClipDataset) -> None:
    found = []
    for weight in (1.0, 3.0, 5.0):
        game = Game(tiny_config(pairs=paired(kimg=0.0, weight=weight), r1_gamma=0.0), clips)
        next(game.run())
        assert game.pairs is not None and game.pairs.z.grad is not None
        found.append((game.pairs.z.grad, torch.cat([param.grad.flatten() for param in game.generator.parameters() if param.grad is not None])))
    (one, low), (three, middle), (_, high) = found
    torch.testing.assert_close(three, 3 * one, rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(high - middle, middle - low, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(low, (middle - low) / 2, atol=1e-4)  # the game's part


def test_conditional_generators_draw_each_clip_with_its_label(clips: ClipDataset) -> None:
    generator = tiny_config().generator.to_dict() | {"c_dim": 2}
    judge = tiny_config().discriminator
    assert judge is not None
    values = tiny_config(kimg=0.016, pairs=paired()).to_dict() | {"generator": generator, "discriminator": judge.to_dict() | {"c_dim": 2}}
    game = Game(GameConfig.from_dict(values), clips)
    assert len(list(game.run())) == 8


def test_settings_out_of_range_and_too_many_clips_are_refused(clips: ClipDataset) -> None:
    with pytest.raises(ConfigError, match=r"pairs.kimg is -1, wanted a number from 0"):
        tiny_config(pairs={"kimg": -1})
    with pytest.raises(ConfigError, match=r"pairs.weight is 0"):
        tiny_config(pairs={"weight": 0})
    with pytest.raises(DataError, match="holds 4 clips, .*up to 3: leave that table out, or raise game.pairs.most"):
        Game(tiny_config(pairs=paired(most=3)), clips)


def test_components_are_uncorrelated_told_alike_and_silent_where_nothing_moves() -> None:
    rng = torch.Generator().manual_seed(0)
    patterns, size = torch.randn(3, 3 * 32 * 32, generator=rng), torch.tensor([5.0, 1.0, 0.2])
    moves = torch.linalg.qr(torch.randn(40, 4, generator=rng)).Q
    moves = torch.linalg.qr(moves - moves.mean(dim=0)).Q[:, :3]
    frames = ((moves * size) @ patterns).view(40, 3, 32, 32) * 0.05
    found = components(frames)
    assert found.shape == (40, 12)
    assert (found.mean(dim=0).abs() < 1e-5).all()
    moments = found.T @ found / len(found)
    torch.testing.assert_close(moments[:2, :2], torch.eye(2), rtol=1e-4, atol=1e-4)  # the second is a fifth of the first
    still = components(0.3 + 1e-4 * torch.randn(40, 3, 32, 32, generator=rng))
    assert still.abs().max() < 0.3
    assert components(torch.zeros(2, 3, 16, 16)).eq(0).all()


def test_codes_learn_to_tell_what_moves_before_the_first_step(clips: ClipDataset) -> None:
    motion = dataclasses.replace(MOTION, num_freqs=16, v_dim=32, distance=4)
    cfg = tiny_config(pairs=paired(codes=300), sampling=SamplingConfig(flip=True))
    cfg = dataclasses.replace(cfg, generator=dataclasses.replace(cfg.generator, motion=motion))
    game = Game(cfg, clips)
    errors = [error for _, _, error in game.learn_codes()]
    assert sum(errors[-5:]) < 0.6 * sum(errors[:5])
    assert game.pairs is not None
    for mine, kept in zip(game.generator.parameters(), game.ema.parameters(), strict=True):
        assert torch.equal(mine, kept)
    torch.testing.assert_close(game.pairs.motion_z.square().flatten(1).mean(dim=1), torch.ones(8))
    assert list(game.learn_codes()) == []  # once is enough
    again = Game(cfg, clips)
    next(again.run())
    next(game.run())
    assert all(torch.equal(a, b) for a, b in zip(state(again), state(game), strict=True))


def test_a_resumed_game_does_not_begin_its_codes_anew(clips: ClipDataset, tmp_path: Path) -> None:
    game = Game(tiny_config(pairs=paired()), clips)
    next(game.run())
    game.save(tmp_path / "state.pt")
    other = Game(tiny_config(pairs=paired()), clips)
    other.load(tmp_path / "state.pt")
    assert list(other.learn_codes()) == []


def test_the_judges_have_their_head_start_after_the_pairs(clips: ClipDataset) -> None:
    game = Game(tiny_config(kimg=0.024, pairs=paired(kimg=0.008), head_start=0.008), clips)
    figures = [event.figures for event in game.run()]
    assert ["generator" in found for found in figures] == [False] * 4 + [True] * 4
    assert ["discriminator" in found for found in figures] == [False] * 2 + [True] * 6


def test_codes_of_an_lstm_are_learned_too(clips: ClipDataset) -> None:
    motion = MotionConfig(kind="lstm", z_dim=8, v_dim=8, distance=1, lr_multiplier=1, max_num_frames=64)
    generator = tiny_config().generator.to_dict() | {"motion": motion.to_dict()}
    values = tiny_config(pairs=paired()).to_dict() | {"generator": generator}
    game = Game(GameConfig.from_dict(values), clips)
    assert game.pairs is not None
    before = game.pairs.motion_z.clone()
    next(game.run())
    assert not torch.equal(game.pairs.motion_z, before)


def test_a_run_shows_every_clip_above_what_is_drawn_of_it(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "clips", clips=3)
    watch = {"log_every": 1, "sheet_every": 4, "clips": 2, "frames": 8, "tensorboard": False}
    recipe = GameRecipe(name="tiny", game=tiny_config(kimg=0.016, pairs=paired()), data={"path": str(data)}, watch=watch)  # type: ignore[arg-type]
    finish(train_game(recipe, tmp_path / "run"))
    from PIL import Image

    with Image.open(tmp_path / "run" / "pairs-0000008.png") as sheet:
        assert sheet.height == pytest.approx(4 * sheet.width / 8, rel=0.1)  # clips 0 and 2, two rows each
    assert (tmp_path / "run" / "pairs-0000004.png").exists()


def test_a_plan_tries_pairs_before_the_game_and_beside_it() -> None:
    seen: list[bool] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Game, "_move_pairs", lambda *given, move=Game._move_pairs: (seen.append(True), move(*given))[1])
        patched.setattr(Game, "_move_generator", lambda *given, move=Game._move_generator: (seen.append(False), move(*given))[1])
        found = finish(plan_game(GameRecipe(name="tiny", game=tiny_config(pairs=paired()))))
    assert seen.count(True) == 4 and seen.count(False) == 4 and found.steps == 12
