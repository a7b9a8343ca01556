"""How a game goes on from networks that exist: which weights it takes, and who moves how fast from there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stylegan_v import Generator, load_generator, save_generator
from stylegan_v.checkpoint import CheckpointError, save_discriminator
from stylegan_v.config import GeneratorConfig
from stylegan_v.data import ClipDataset
from stylegan_v.game import Game
from stylegan_v.game_state import GameWarning, begin_with
from tests.tiny_game import open_clips, tiny_config


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipDataset:
    return open_clips(tmp_path_factory.mktemp("game") / "clips", classes=3)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def same(a: Game, b: Game) -> bool:
    pairs = zip((a.generator, a.ema, a.judges), (b.generator, b.ema, b.judges), strict=True)
    return all(all(torch.equal(x, y) for x, y in zip(copy_of(one), copy_of(other), strict=True)) for one, other in pairs)


def copy_of(network: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in network.state_dict().values()]


def test_frozen_blocks_stay_and_the_others_move(clips: ClipDataset) -> None:
    game = Game(tiny_config(freeze=1), clips)
    judge = game.judges["clip"]
    before = {name: param.clone() for name, param in judge.named_parameters()}
    list(game.run(2))
    moved = {name for name, param in judge.named_parameters() if not torch.equal(param, before[name])}
    frozen = {name for name in before if name.startswith("b16.")}
    assert len(frozen) == 7 and not frozen & moved and {name for name in before if name.startswith("b8.")} <= moved


def test_a_game_begins_with_the_weights_of_generators_discriminators_and_other_games(
    clips: ClipDataset, tmp_path: Path
) -> None:
    first = Game(tiny_config(seed=9), clips)
    list(first.run(2))
    judge = first.judges["clip"]
    save_generator(first.ema, tmp_path / "g.safetensors")
    save_discriminator(judge, tmp_path / "d.safetensors")  # type: ignore[arg-type]
    first.save(tmp_path / "state.pt")
    second = Game(tiny_config(), clips)
    assert begin_with(second, tmp_path / "g.safetensors") == ["generator", "ema"]
    assert begin_with(second, tmp_path / "d.safetensors") == ["discriminator"]
    assert torch.equal(second.generator.mapping.fc0.weight, first.ema.mapping.fc0.weight)
    third = Game(tiny_config(), clips)
    assert begin_with(third, tmp_path / "state.pt") == ["generator", "ema", "discriminator"]
    assert same(first, third)
    (event,) = third.run(1)
    assert not event.skipped
    assert load_generator(tmp_path / "g.safetensors").cfg == second.cfg.generator


def test_weights_keep_their_meaning_where_layers_learn_at_other_rates(clips: ClipDataset, tmp_path: Path) -> None:
    game = Game(tiny_config(), clips)
    values = game.cfg.generator.to_dict()
    fast = GeneratorConfig.from_dict({**values, "mapping_lr_multiplier": 0.1, "motion": {**values["motion"], "lr_multiplier": 0.5}})
    source = Generator(fast)
    save_generator(source, tmp_path / "g.safetensors")
    begin_with(game, tmp_path / "g.safetensors")
    z, t = torch.randn(2, fast.z_dim), torch.tensor([[0.0, 2.5], [1.0, 4.0]])
    motion_z = torch.randn(2, source.num_motion_codes(4), values["motion"]["z_dim"])
    with torch.no_grad():
        assert torch.allclose(game.ema(z, t, motion_z), source(z, t, motion_z), atol=1e-5)
    assert not torch.equal(game.ema.mapping.fc0.weight, source.mapping.fc0.weight)


def test_weights_of_another_size_are_refused(clips: ClipDataset, tmp_path: Path) -> None:
    game = Game(tiny_config(), clips)
    cfg = game.cfg.generator
    large = GeneratorConfig.from_dict({**cfg.to_dict(), "resolution": 32})
    wide = GeneratorConfig.from_dict({**cfg.to_dict(), "w_dim": 8})
    calm = GeneratorConfig.from_dict({**wide.to_dict(), "mapping_lr_multiplier": 0.1, "fps": 30.0})  # which is no hindrance
    still = GeneratorConfig.from_dict({**cfg.to_dict(), "mapping_lr_multiplier": 0.1, "motion": None})
    for other, message in (
        (large, "makes 32x32"),
        (wide, r"another network than this recipe's \(w_dim 8, here 16\)"),
        (calm, r"another network than this recipe's \(w_dim 8, here 16\)"),
        (still, r"another network than this recipe's \(motion"),
    ):
        save_generator(Generator(other), tmp_path / "g.safetensors")
        with pytest.raises(CheckpointError, match=message):
            begin_with(game, tmp_path / "g.safetensors")
    game.save(tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    torch.save(state | {"ema": {}}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="Missing key"):
        begin_with(game, tmp_path / "state.pt")
    (tmp_path / "state.pt").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="not the state of a training"):
        begin_with(game, tmp_path / "state.pt")


def test_periods_and_distances_are_the_recipes_and_others_are_told(clips: ClipDataset, tmp_path: Path) -> None:
    game = Game(tiny_config(), clips)
    values = game.cfg.generator.to_dict()
    slow = GeneratorConfig.from_dict({**values, "fps": 10.0, "motion": {**values["motion"], "distance": 4, "max_period": 64.0}})
    save_generator(Generator(slow), tmp_path / "g.safetensors")
    before = copy_of(game.ema.synthesis.motion_encoder.time_encoder)
    with pytest.warns(GameWarning) as told:
        begin_with(game, tmp_path / "g.safetensors")
    (said,) = told
    for text in ("motion.distance 4, here 8", "motion.max_period 64.0, here 32", "fps 10.0, here 25.0"):
        assert text in str(said.message)
    encoder = game.ema.synthesis.motion_encoder.time_encoder
    assert torch.equal(encoder.freqs, Game(tiny_config(), clips).ema.synthesis.motion_encoder.time_encoder.freqs)
    assert not all(torch.equal(a, b) for a, b in zip(copy_of(encoder), before, strict=True))


def test_of_a_file_only_what_is_asked_for_is_taken(clips: ClipDataset, tmp_path: Path) -> None:
    first, second = Game(tiny_config(seed=9), clips), Game(tiny_config(), clips)
    first.save(tmp_path / "state.pt")
    before = copy_of(second.ema)
    assert begin_with(second, tmp_path / "state.pt", ("discriminator",)) == ["discriminator"]
    assert all(torch.equal(a, b) for a, b in zip(copy_of(second.ema), before, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(copy_of(second.judges), copy_of(first.judges), strict=True))


def test_judges_with_a_head_start_move_alone(clips: ClipDataset, tmp_path: Path) -> None:
    game = Game(tiny_config(head_start=0.012), clips)  # three of the eight steps
    first, judge = copy_of(game.generator), copy_of(game.judges)
    events = list(game.run(3))
    assert all(torch.equal(a, b) for network in (game.generator, game.ema) for a, b in zip(copy_of(network), first, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(copy_of(game.judges), judge, strict=True))
    assert not any("generator" in event.figures for event in events) and all("discriminator" in event.figures for event in events)
    game.save(tmp_path / "state.pt")
    resumed = Game(game.cfg, clips)
    resumed.load(tmp_path / "state.pt")
    assert "generator" in next(game.run()).figures
    list(game.run()), list(resumed.run())
    assert same(game, resumed)
    assert not all(torch.equal(a, b) for a, b in zip(copy_of(game.generator), first, strict=True))


def test_the_generator_may_move_slower_than_its_judges(clips: ClipDataset) -> None:
    """Adam's first step is as long as the rate, whatever the gradient."""
    steps = {}
    for factor in (1.0, 0.1):
        game = Game(tiny_config(generator_lr_factor=factor, r1_gamma=0.0), clips)
        first, judge = game.generator.synthesis.b8.conv1.weight.detach().clone(), copy_of(game.judges)
        list(game.run(1))
        steps[factor] = float((game.generator.synthesis.b8.conv1.weight.detach() - first).abs().median())
        moved = [float((a - b).abs().max()) for a, b in zip(copy_of(game.judges), judge, strict=True) if a.ndim == 4]
        assert max(moved) == pytest.approx(game.cfg.lr, rel=0.05)
    assert steps[1.0] == pytest.approx(0.0025, rel=0.05)
    assert steps[0.1] == pytest.approx(0.00025, rel=0.05)
