"""Codes of the data's own clips: what they are learned from, that they bring the generator near, and that a run with them resumes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegan_v import ConfigError
from stylegan_v.archive import DataError
from stylegan_v.config import MotionConfig
from stylegan_v.data import ClipDataset
from stylegan_v.game import Game
from stylegan_v.game_codes import components, spread
from stylegan_v.game_config import GameConfig, PairsConfig, SamplingConfig
from stylegan_v.game_draws import to_floats
from stylegan_v.losses import paired_distance, shrunk
from tests.tiny_game import MOTION, open_clips, resumed, tiny_config, write_clips
from vedit import training_plan
from vedit.progress import finish
from vedit.training_game import GameRecipe, read_recipe, train_game
from vedit.training_plan import plan_game


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipDataset:
    return open_clips(tmp_path_factory.mktemp("pairs") / "clips", clips=4, classes=2)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def paired(**changes: object) -> PairsConfig:
    return PairsConfig.from_dict({"codes": 5, "kimg": 0.016, "weight": 2.0, **changes})


def frames_of(clips: ClipDataset, clip: int) -> tuple[Tensor, Tensor, None]:
    t = torch.tensor([2, 6, 10])
    return to_floats(clips.frames(clip, t)).unsqueeze(0), t.float().unsqueeze(0), None


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
        second, rest = resumed(cfg, clips, stop, tmp_path / "state.pt")
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


def test_a_step_draws_each_clip_with_its_own_codes_and_label(clips: ClipDataset) -> None:
    generator = tiny_config().generator.to_dict() | {"c_dim": 2}
    judge = tiny_config().discriminator
    assert judge is not None
    values = tiny_config(pairs=paired(codes=0), sampling=SamplingConfig(flip=True)).to_dict()
    cfg = GameConfig.from_dict(values | {"generator": generator, "discriminator": judge.to_dict() | {"c_dim": 2}})
    assert (cfg.batch, cfg.micro_batch) == (4, 2)
    game = Game(cfg, clips)
    pairs, networks = game.pairs, game.generator
    assert pairs is not None
    expected = torch.zeros(())
    for item, times in zip(game.real.items(0).tolist(), game.real.batch(0)[1], strict=True):
        clip = clips.frames(item % 4, times.long())
        real = to_floats(clip.flip(-1) if item >= 4 else clip).unsqueeze(0)
        label = clips.label(item % 4).unsqueeze(0)
        ws, motion_v = networks.mapping(pairs.z[item : item + 1], label), networks.motion(times.unsqueeze(0), pairs.motion_z[item : item + 1], label)
        images = networks.synthesis.pyramid(ws, motion_v)
        expected = expected + paired_distance(images[-1], real, edges=1.0, motion=3.0) / 4
        expected = expected + 0.25 * paired_distance(images[1], shrunk(real, 8), edges=1.0, motion=3.0) / 4
    pairs.cfg = paired(codes=0, moving=0.0)
    assert next(game.run()).figures["paired"] == pytest.approx(float(expected.detach()), rel=1e-4)


def test_rates_of_pairs_rise_and_fall_and_stay_low_beside_the_game(clips: ClipDataset) -> None:
    cfg = tiny_config(pairs=paired(codes=0, kimg=1.6, lr=0.02, codes_lr=0.03, motion_lr=0.005), kimg=0.008, lr=0.001)
    game = Game(cfg, clips)
    seen = []
    for _ in game.run():
        seen.append([(group["lr"], group["betas"]) for group in game.optimizer.param_groups])
    first, peak, middle, last, after = seen[0], seen[100], seen[200], seen[399], seen[400]
    assert [rate for rate, _ in first] == pytest.approx([0.02 / 100, 0.03 / 100, 0.005 / 100])
    assert peak[0][0] == pytest.approx(0.02 * (0.1 + 0.9 * 0.8536), rel=1e-3)  # a quarter of the way
    assert [rate for rate, _ in middle] == pytest.approx([0.55 * 0.02, 0.55 * 0.03, 0.55 * 0.005])
    assert [rate for rate, _ in last] == pytest.approx([0.002, 0.003, 0.0005], rel=1e-3)
    assert [rate for rate, _ in after] == pytest.approx([0.001, 0.003, 0.0005])
    assert {betas for _, betas in last} == {(0.9, 0.99)} and {betas for _, betas in after} == {(0.0, 0.99)}


def test_codes_of_a_short_clip_stay_as_large_as_those_of_a_long_one(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", clips=2, frames=12)
    write_clips(tmp_path / "long", clips=1, frames=300)
    (tmp_path / "long" / "clip-0").rename(tmp_path / "clips" / "clip-2")
    write_clips(tmp_path / "tiny", clips=1, frames=2)  # too short for three frames a clip
    (tmp_path / "tiny" / "clip-0").rename(tmp_path / "clips" / "clip-1a")
    with ClipDataset.open(tmp_path / "clips") as dataset:
        game = Game(tiny_config(pairs=paired(codes=200)), dataset)
        told = list(game.learn_codes())
        assert game.pairs is not None and len(game.pairs.z) == 3
        assert [(moment.done, moment.total) for moment in told if moment.stage == "look"] == [(0, 3), (1, 3), (2, 3)]
        torch.testing.assert_close(game.pairs.motion_z.square().mean(dim=2), torch.ones(game.pairs.motion_z.shape[:2]))
        assert len(list(game.run(6))) == 6


def test_more_of_a_long_clip_is_looked_at() -> None:
    assert MOTION.distance == 8
    assert [len(spread(length, tiny_config())) for length in (5, 256, 300, 400)] == [5, 256, 300, 400]
    generator = dataclasses.replace(tiny_config().generator, motion=dataclasses.replace(MOTION, distance=32))
    every = spread(4000, tiny_config(generator=generator))
    assert len(every) == 2000 and every[0] == 0 and every[-1] == 3999


def test_pairs_bring_the_clips_near_and_keep_their_codes_at_random_ones_size(clips: ClipDataset) -> None:
    cfg = tiny_config(micro_batch=4, pairs=paired(kimg=0.6))
    game = Game(cfg, clips)
    losses = [event.figures["paired"] for event in game.run(150)]
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])
    assert game.pairs is not None
    for codes in game.pairs.parameters():
        torch.testing.assert_close(codes.square().mean(dim=-1), torch.ones(codes.shape[:-1]))
    own = [game.pairs.distance(game.generator, torch.tensor([clip]), *frames_of(clips, clip)).item() for clip in range(4)]
    others = [game.pairs.distance(game.generator, torch.tensor([(clip + 1) % 4]), *frames_of(clips, clip)).item() for clip in range(4)]
    assert all(mine < theirs for mine, theirs in zip(own, others, strict=True))
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


def test_settings_out_of_range_and_too_many_clips_are_refused(clips: ClipDataset) -> None:
    with pytest.raises(ConfigError, match=r"pairs.kimg is -1, wanted a number from 0"):
        tiny_config(pairs={"kimg": -1})
    with pytest.raises(ConfigError, match=r"pairs.weight is 0"):
        tiny_config(pairs={"weight": 0})
    with pytest.raises(DataError, match=r"found 4 clips; .*up to 3: go without \(--set game.pairs=none\), or raise game.pairs.most"):
        Game(tiny_config(pairs=paired(most=3)), clips)
    mocogan = read_recipe(Path(__file__).parents[1] / "recipes" / "ablation-mocogan-32.toml")
    assert isinstance(mocogan, GameRecipe)
    with pytest.raises(ConfigError, match="pairs is a table, wanted none with MoCoGAN's pair"):
        dataclasses.replace(mocogan.game, pairs=paired())


def test_components_are_uncorrelated_told_alike_and_silent_where_nothing_moves() -> None:
    rng = torch.Generator().manual_seed(0)
    patterns, size = torch.randn(3, 768, generator=rng), torch.tensor([5.0, 1.0, 0.2])
    moves = torch.linalg.qr(torch.randn(40, 4, generator=rng)).Q
    moves = torch.linalg.qr(moves - moves.mean(dim=0)).Q[:, :3]
    found = components((moves * size) @ patterns * 0.1)
    assert found.shape == (40, 12)
    assert (found.mean(dim=0).abs() < 1e-5).all()
    moments = found.T @ found / len(found)
    torch.testing.assert_close(moments[:3, :3], torch.eye(3), rtol=1e-3, atol=1e-3)  # the third is a twenty-fifth of the first
    assert moments[3:].abs().max() < 1e-3
    still = components(0.3 + 1e-4 * torch.randn(40, 768, generator=rng))
    assert still.abs().max() < 0.3
    assert components(torch.zeros(2, 768)).eq(0).all()


def test_codes_learn_to_tell_what_moves_before_the_first_step(clips: ClipDataset) -> None:
    motion = dataclasses.replace(MOTION, num_freqs=16, v_dim=32, distance=4)
    cfg = tiny_config(pairs=paired(codes=300), sampling=SamplingConfig(flip=True))
    cfg = dataclasses.replace(cfg, generator=dataclasses.replace(cfg.generator, motion=motion))
    game = Game(cfg, clips)
    errors = [told.error for told in game.learn_codes() if told.stage == "codes"]
    assert sum(errors[-5:]) < 0.6 * sum(errors[:5])
    assert game.pairs is not None
    for mine, kept in zip(game.generator.parameters(), game.ema.parameters(), strict=True):
        assert torch.equal(mine, kept)
    assert list(game.learn_codes()) == []  # once is enough
    again = Game(cfg, clips)
    next(again.run())
    next(game.run())
    assert all(torch.equal(a, b) for a, b in zip(state(again), state(game), strict=True))


def test_codes_of_a_clip_are_learned_under_its_own_label(clips: ClipDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = tiny_config().generator.to_dict() | {"c_dim": 2}
    judge = tiny_config().discriminator
    assert judge is not None
    values = tiny_config(pairs=paired(), sampling=SamplingConfig(flip=True)).to_dict()
    game = Game(GameConfig.from_dict(values | {"generator": generator, "discriminator": judge.to_dict() | {"c_dim": 2}}), clips)
    pairs, trajectory, seen = game.pairs, game.generator.trajectory, []
    assert pairs is not None

    def look(motion_z: Tensor, labels: Tensor) -> Tensor:
        for codes, label in zip(motion_z, labels, strict=True):
            (item,) = (item for item, own in enumerate(pairs.motion_z) if torch.equal(own, codes))
            assert torch.equal(label, clips.label(item % 4))
            seen.append(item)
        return trajectory(motion_z, labels)

    monkeypatch.setattr(game.generator, "trajectory", look)
    list(game.learn_codes())
    assert sorted(seen) == sorted([*range(8)] * 5)  # every clip and its mirror, in each of five steps


def test_a_resumed_game_does_not_begin_its_codes_anew(clips: ClipDataset, tmp_path: Path) -> None:
    for steps in (0, 1):  # a frame that breaks in the first step leaves a state as well
        game = Game(tiny_config(pairs=paired()), clips)
        list(game.learn_codes())
        list(game.run(steps))
        game.save(tmp_path / "state.pt")
        other = Game(tiny_config(pairs=paired()), clips)
        other.load(tmp_path / "state.pt")
        assert list(other.learn_codes()) == []


def test_without_steps_for_the_codes_the_average_stays_as_it_is(clips: ClipDataset) -> None:
    game = Game(tiny_config(pairs=paired(codes=0)), clips)
    for weight in game.ema.parameters():
        weight.mul_(0.5)
    before = [weight.clone() for weight in game.ema.parameters()]
    assert list(game.learn_codes()) == []
    assert all(torch.equal(a, b) for a, b in zip(game.ema.parameters(), before, strict=True))


def test_codes_that_are_not_finite_make_a_state_unusable(clips: ClipDataset) -> None:
    game = Game(tiny_config(pairs=paired(codes=0)), clips)
    next(game.run())
    assert game.usable and game.pairs is not None
    with torch.no_grad():
        game.pairs.z[0, 0] = torch.nan
    assert not game.usable


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

    with Image.open(tmp_path / "run" / "pairs-0000008.png") as picture:
        sheet = torch.from_numpy(np.array(picture.convert("RGB"))).float()
    assert (tmp_path / "run" / "pairs-0000004.png").exists()
    assert sheet.shape[:2] == (4 * 66 - 2, 8 * 66 - 2)  # clips 0 and 2, two rows each, eight moments
    with ClipDataset.open(data, resolution=16) as dataset:
        game = Game(recipe.game, dataset)
        game.load(tmp_path / "run" / "state.pt")
        assert game.pairs is not None
        for row, clip in enumerate((0, 2)):
            for column, frame in ((0, 0), (7, 19)):
                (drawn,) = game.pairs.draw(game.ema, torch.tensor([clip]), torch.tensor([[float(frame)]]), None)
                wanted = dataset.frames(clip, [frame]).float(), (drawn[0].clamp(-1, 1) + 1) * 127.5
                for below, image in enumerate(wanted):
                    top, left = (2 * row + below) * 66 + 16, column * 66 + 16
                    found = sheet[top : top + 32, left : left + 32].mean(dim=(0, 1))
                    torch.testing.assert_close(found, image[0, :, 4:12, 4:12].mean(dim=(1, 2)).detach(), rtol=0, atol=1.0)


def test_a_plan_tries_pairs_before_the_game_and_beside_it() -> None:
    seen: list[bool] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Game, "_move_pairs", lambda *given, move=Game._move_pairs: (seen.append(True), move(*given))[1])
        patched.setattr(Game, "_move_generator", lambda *given, move=Game._move_generator: (seen.append(False), move(*given))[1])
        found = finish(plan_game(GameRecipe(name="tiny", game=tiny_config(pairs=paired()))))
    assert seen.count(True) == 4 and seen.count(False) == 4 and found.steps == 12
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training_plan, "_seconds_alone", lambda *given: 1000.0)
        found = finish(plan_game(GameRecipe(name="tiny", game=tiny_config(pairs=paired(), batch=4, micro_batch=2))))
    assert 4 * 2 * 1000 < found.seconds < 4 * 2 * 1000 + 100  # four steps of two micro-batches
