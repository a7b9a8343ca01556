"""The game on clips: resumable to the bit, the same in one process and in two, guarded, and for every kind of network."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from stylegan_v import ConfigError
from stylegan_v.archive import DataError
from stylegan_v.augment import AugmentConfig
from stylegan_v.config import MotionConfig
from stylegan_v.data import ClipDataset
from stylegan_v.game import Game
from stylegan_v.game_config import AdaConfig, GameConfig, GuardConfig, SamplingConfig
from stylegan_v.game_draws import Ahead, ConsecutiveSampler, InputSampler, to_floats, usable_clips
from stylegan_v.game_fit import shares, unused_labels
from stylegan_v.game_state import GameWarning
from stylegan_v.guard import TrainingDiverged
from stylegan_v.mocogan import ImageDiscriminatorConfig, VideoDiscriminatorConfig
from stylegan_v.ranks import Ranks
from tests.clip_files import write
from tests.game_process import play
from tests.tiny_game import MOTION, open_clips, resumed, tiny_config

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipDataset:
    return open_clips(tmp_path_factory.mktemp("game") / "clips", classes=3)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def weights(game: Game) -> list[Tensor]:
    networks = (game.generator, game.ema, game.judges)
    return [tensor for network in networks for tensor in network.state_dict().values()]


def same(a: Game, b: Game) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def test_a_resumed_game_equals_an_unbroken_one_to_the_bit(clips: ClipDataset, tmp_path: Path) -> None:
    cfg = tiny_config(ada=AdaConfig(p=0.3, interval=2, kimg=0.02), sampling=SamplingConfig(flip=True))
    unbroken = Game(cfg, clips)
    events = list(unbroken.run())
    assert len(events) == cfg.total_steps == 8 and unbroken.ada.p != 0.3
    for stop in (1, 4):
        second, rest = resumed(cfg, clips, stop, tmp_path / "state.pt")
        assert rest == events[stop:]
        assert same(second, unbroken) and second.ada.state_dict() == unbroken.ada.state_dict()


def test_two_processes_take_the_steps_of_one(clips: ClipDataset, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.game_process", str(clips.path)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    common = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "PYTHONPATH": str(ROOT)}
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    pair = [subprocess.Popen([*command, str(tmp_path / "two")], env={**common, **group, "RANK": rank}) for rank in "01"]
    play(Path(clips.path), tmp_path / "one")
    assert [process.wait(400) for process in pair] == [0, 0]
    one, two = load_file(tmp_path / "one"), load_file(tmp_path / "two")
    assert one.keys() == two.keys() and len(one) > 30
    gradients = one.keys() - {"losses", "w_avg", "p", "noticed"}
    assert two["noticed"] and not one["noticed"]
    sides = {"generator", "judges", "r1", "alone_generator", "alone_codes", "beside_generator", "beside_codes"}
    assert {name.split(".")[0] for name in gradients} == sides
    largest = {side: max(float(one[name].norm()) for name in gradients if name.startswith(f"{side}.")) for side in sides}
    for name in gradients:
        apart = float((two[name] - one[name]).norm())
        # of its own size, or of the largest of its network's where it is a sum that cancels
        assert apart <= 1e-5 * max(float(one[name].norm()), 1e-3 * largest[name.split(".")[0]]), name
    torch.testing.assert_close(two["losses"], one["losses"], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(two["w_avg"], one["w_avg"], rtol=1e-4, atol=1e-6)
    assert one["losses"].shape == (5, 2) and torch.equal(one["p"], two["p"])


def test_gradients_do_not_depend_on_how_a_batch_is_cut_where_groups_are_the_same(clips: ClipDataset) -> None:
    cfg = tiny_config(r1_interval=1)
    assert cfg.discriminator is not None
    cfg = dataclasses.replace(cfg, discriminator=dataclasses.replace(cfg.discriminator, mbstd_group_size=1))
    found = []
    for micro in (0, 1, 2):
        game = Game(dataclasses.replace(cfg, micro_batch=micro), clips)
        next(game.run())
        gradients = [param.grad for network in (game.generator, game.judges) for param in network.parameters()]
        found.append([gradient for gradient in gradients if gradient is not None])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_game_brings_generated_clips_near_the_real_ones(clips: ClipDataset) -> None:
    cfg = tiny_config(batch=8, micro_batch=8, kimg=1.0, r1_interval=16, r1_gamma=0.5, augment=AugmentConfig("none"))
    game = Game(cfg, clips)
    real = to_floats(game.real.batch(0)[0]).mean(dim=(0, 1, 4))  # [3, H]: skies are brighter in some rows
    inputs = game.inputs.batch(0, 0, 8)

    def away() -> float:
        with torch.no_grad():
            fake = game.ema(inputs.z, inputs.t, inputs.motion_z).mean(dim=(0, 1, 4))
        return float((fake - real).square().mean())

    before = away()
    list(game.run())
    assert away() < 0.5 * before


def test_r1_takes_a_step_of_its_own_and_both_sides_rates_are_those_of_lazy_regularisation(clips: ClipDataset) -> None:
    game = Game(tiny_config(r1_interval=4), clips)
    events = list(game.run())
    assert ["r1" in event.figures for event in events] == [step % 4 == 0 for step in range(8)]
    steps = next(iter(game.judge_optimizer.state.values()))["step"]
    assert int(steps) == 8 + 2
    (group,) = game.judge_optimizer.param_groups
    assert group["lr"] == pytest.approx(0.0025 * 4 / 5) and group["betas"] == (0.0, 0.99 ** (4 / 5))
    assert game.optimizer.param_groups[0]["lr"] == 0.0025 and game.optimizer.param_groups[0]["betas"] == (0.0, 0.99)
    assert game.cfg.gamma == pytest.approx(0.0002 * 16**2 / 4)


def test_the_average_follows_with_its_half_life(clips: ClipDataset) -> None:
    game = Game(tiny_config(ema_kimg=0.008), clips)  # eight clips
    before = game.ema.synthesis.b4.conv1.weight.clone()
    list(game.run(1))
    # the ramp: 5 % of the four clips seen so far is a half-life of 0.2 clips, so that nearly nothing is kept
    kept = 0.5 ** (4 / 0.2)
    now = game.generator.synthesis.b4.conv1.weight
    torch.testing.assert_close(game.ema.synthesis.b4.conv1.weight, before * kept + now * (1 - kept))
    assert tiny_config(batch=64, micro_batch=0).ema_half_life == 20_000


def test_a_step_with_numbers_that_are_not_finite_is_left_out(clips: ClipDataset) -> None:
    game = Game(tiny_config(), clips)
    list(game.run(1))
    before = [tensor.clone() for tensor in weights(game)]
    game.guard.cfg = GuardConfig(patience=3)
    bias = game.judges["clip"].b4.out.bias
    with torch.no_grad():
        kept = bias.clone()
        bias.fill_(math.inf)
    (event,) = game.run(2)
    assert event.skipped and not game.healthy and game.guard.skipped == 1
    with torch.no_grad():
        bias.copy_(kept)
    pairs = zip(before, weights(game), strict=True)
    moved = [not torch.equal(a, b) for a, b in pairs]
    assert sum(moved) <= len(list(game.ema.parameters()))  # the average alone moves on, towards what is there
    (event,) = game.run(3)
    assert not event.skipped and game.healthy


def test_after_too_many_bad_steps_the_run_goes_back_with_a_lower_rate_and_then_ends(
    clips: ClipDataset, tmp_path: Path
) -> None:
    game = Game(tiny_config(guard=GuardConfig(patience=2, retreats=1)), clips)
    list(game.run(2))
    game.save(tmp_path / "state.pt")
    good = [tensor.clone() for tensor in weights(game)]

    def poison() -> None:
        with torch.no_grad():
            game.generator.synthesis.b4.conv1.weight.fill_(math.nan)

    poison()
    events = []
    for event in game.run(5):
        events.append(event)
        if len(events) == 2:
            assert game.step == 2 and game.guard.rate == 0.5
            assert all(torch.equal(a, b) for a, b in zip(good, weights(game), strict=True))
    assert [(event.step, event.skipped) for event in events] == [
        (3, True),
        (4, True),
        (3, False),
        (4, False),
        (5, False),
    ]
    assert game.optimizer.param_groups[0]["lr"] == 0.0025 / 2
    other = Game(game.cfg, clips)
    other.load(tmp_path / "state.pt")  # as after a kill right then: the rate and the count of retreats have been kept
    assert (other.step, other.guard.rate, other.guard.retreats) == (2, 0.5, 1)
    poison()
    with pytest.raises(TrainingDiverged, match="lower lr"):
        list(game.run())
    fresh = Game(tiny_config(guard=GuardConfig(patience=1)), clips)
    fresh.generator.synthesis.b4.conv1.weight.data.fill_(math.nan)
    with pytest.raises(TrainingDiverged, match="no state has been saved"):
        list(fresh.run())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precisions_take_about_the_same_first_step(clips: ClipDataset, precision: str) -> None:
    plain = tiny_config(r1_interval=1)
    assert plain.discriminator is not None
    half = {"num_fp16_res": 2, "conv_clamp": 256.0}
    lower = dataclasses.replace(
        plain,
        precision=precision,  # type: ignore[arg-type]
        generator=dataclasses.replace(plain.generator, **half),
        discriminator=dataclasses.replace(plain.discriminator, **half),
    )
    (a,), (b,) = Game(plain, clips).run(1), Game(lower, clips).run(1)
    assert not b.skipped
    for key in ("generator", "discriminator", "generator_gradient", "discriminator_gradient", "r1"):
        assert b.figures[key] == pytest.approx(a.figures[key], rel=0.05, abs=1e-3), key


def test_infinite_elements_of_a_half_precision_gradient_are_mended_and_counted(clips: ClipDataset) -> None:
    plain = tiny_config()
    assert plain.discriminator is not None
    half = {"num_fp16_res": 2, "conv_clamp": 256.0}
    game = Game(
        dataclasses.replace(
            plain,
            precision="fp16",
            generator=dataclasses.replace(plain.generator, **half),
            discriminator=dataclasses.replace(plain.discriminator, **half),
        ),
        clips,
    )
    weight = game.generator.synthesis.b4.conv1.weight
    weight.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor([0]), math.inf))
    (event,) = game.run(1)
    assert not event.skipped and game.guard.repaired == 1 and weight.isfinite().all()


@pytest.mark.parametrize(
    "changes",
    [
        {"num_frames": 2},
        {"num_frames": 5},
        {"c_dim": 3},
        {"motion": dataclasses.replace(MOTION, kind="lstm", distance=1)},
        {"motion": dataclasses.replace(MOTION, kind="lstm", distance=16), "c_dim": 3},
    ],
)
def test_every_kind_of_network_is_trained(clips: ClipDataset, changes: dict[str, int | MotionConfig]) -> None:
    cfg = tiny_config()
    generator = {key: value for key, value in changes.items() if key != "num_frames"}
    judge = {key: value for key, value in changes.items() if key != "motion"}
    assert cfg.discriminator is not None
    game = Game(
        dataclasses.replace(
            cfg,
            generator=dataclasses.replace(cfg.generator, **generator),  # type: ignore[arg-type]
            discriminator=dataclasses.replace(cfg.discriminator, **judge),  # type: ignore[arg-type]
        ),
        clips,
    )
    before = {name: param.clone() for name, param in game.generator.named_parameters()}
    (event,) = game.run(1)
    assert not event.skipped and math.isfinite(event.figures["generator_gradient"])
    still = [name for name, param in game.generator.named_parameters() if torch.equal(before[name], param)]
    assert not still, f"not trained: {still}"


def mocogan() -> GameConfig:
    motion = dataclasses.replace(MOTION, kind="lstm", distance=1, integer_t=True, max_num_frames=32)
    cfg = tiny_config()
    generator = dataclasses.replace(cfg.generator, resolution=32, motion=motion, motion_in="styles", input_kind="const")
    image = ImageDiscriminatorConfig(resolution=32, channel_base=128, channel_max=16)
    video = VideoDiscriminatorConfig(resolution=32, channels=4, channel_max=8)
    return dataclasses.replace(
        cfg, generator=generator, discriminator=None, image_discriminator=image, video_discriminator=video
    )


def test_mocogan_is_trained_by_its_pair_on_consecutive_frames(tmp_path: Path) -> None:
    cfg, clips = mocogan(), open_clips(tmp_path / "clips", size=32)
    game = Game(cfg, clips)
    frames, t, _ = game.real.batch(0)
    assert frames.shape == (4, 16, 3, 32, 32) and (t.diff(dim=1) == 1).all()
    inputs = game.inputs.batch(0, 0, 4)
    assert (inputs.t == inputs.t.round()).all() and (inputs.t.diff(dim=1) == 1).all() and inputs.t.max() <= 31
    (event,) = game.run(1)
    assert not event.skipped
    assert [group["lr"] for group in game.judge_optimizer.param_groups] == pytest.approx(
        [0.0025 * 2 / 3, 0.00025 * 2 / 3]
    )
    halves = [ConsecutiveSampler(cfg, clips, usable_clips(cfg, clips), Ranks(rank, 2)).batch(3)[0] for rank in range(2)]
    assert torch.equal(torch.cat(halves), game.real.batch(3)[0])


def test_a_clips_inputs_depend_on_seed_step_and_place_alone(clips: ClipDataset) -> None:
    cfg = tiny_config(batch=64, micro_batch=0)
    sampler = InputSampler.of(cfg, clips, Game(cfg, clips).generator)
    whole, part = sampler.batch(5, 0, 64), sampler.batch(5, 7, 3)
    assert torch.equal(whole.z[7:10], part.z) and torch.equal(whole.t[7:10], part.t)
    assert not torch.equal(sampler.batch(6, 7, 3).z, part.z)
    spans = whole.t[:, -1] - whole.t[:, 0]
    assert {2, 4, 8, 16} == {round(float(span)) for span in spans}  # clips have 20 frames, so 32 does not occur
    torch.testing.assert_close(whole.t.diff(dim=1), whole.t.diff(dim=1).round(), atol=1e-4, rtol=0)
    assert (whole.t - whole.t.round()).abs().max() > 0.2 and whole.t.min() >= 0 and whole.t.max() <= 63


def test_clips_that_are_read_ahead_are_the_same(clips: ClipDataset) -> None:
    sampler = Game(tiny_config(), clips).real
    ahead = Ahead(sampler, 2)
    for step in (0, 1, 2, 9, 3):  # with jumps, as after going back
        assert all(torch.equal(a, b) for a, b in zip(ahead.batch(step), sampler.batch(step), strict=True))
    ahead.close()


def test_a_state_of_other_settings_or_clips_is_refused(clips: ClipDataset, tmp_path: Path) -> None:
    Game(tiny_config(), clips).save(tmp_path / "state.pt")
    with pytest.raises(ValueError, match="another lr"):
        Game(tiny_config(lr=0.001), clips).load(tmp_path / "state.pt")
    with pytest.raises(ValueError, match="other clips"), open_clips(tmp_path / "fewer", clips=4) as fewer:
        Game(tiny_config(), fewer).load(tmp_path / "state.pt")
    Game(tiny_config(kimg=1.0), clips).load(tmp_path / "state.pt")  # to go on for longer is no other run


def rewritten(files: Path, to: Path, change: bytes = b"") -> ClipDataset:
    """The same files elsewhere, images with something at their end that no reader looks at."""
    to.parent.mkdir(exist_ok=True)
    found = {str(file.relative_to(files)): file.read_bytes() for file in sorted(files.rglob("*.*"))}
    return ClipDataset.open(write(to, {name: data + change if name.endswith(".png") else data for name, data in found.items()}))


def test_a_state_does_not_go_on_with_other_frames_of_the_same_names(clips: ClipDataset, tmp_path: Path) -> None:
    state, files = tmp_path / "state.pt", Path(clips.path)
    for kind in ("zip", "folder"):
        name = "set.zip" if kind == "zip" else "set"
        Game(tiny_config(), rewritten(files, tmp_path / kind / name, b"a")).save(state)
        copied = rewritten(files, tmp_path / f"{kind}-same" / name, b"a")
        if kind == "zip":
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                Game(tiny_config(), copied).load(state)
            with pytest.raises(ValueError, match=f"other frames .*--set begin_with={state}"):
                Game(tiny_config(), rewritten(files, tmp_path / f"{kind}-other" / name, b"b")).load(state)
        else:  # a copy has times of its own
            with pytest.warns(GameWarning, match="by names and sizes"):
                Game(tiny_config(), copied).load(state)
            with pytest.warns(GameWarning, match="by names and sizes"):
                Game(tiny_config(), rewritten(files, tmp_path / "packed.zip", b"a")).load(state)
        with pytest.raises(ValueError, match="other frames"):
            Game(tiny_config(), rewritten(files, tmp_path / f"{kind}-larger" / name, b"aa")).load(state)


def test_labels_are_part_of_a_state_where_networks_know_them(tmp_path: Path) -> None:
    clips = open_clips(tmp_path / "clips", classes=2)
    plain, cfg = tiny_config(), tiny_config().to_dict()
    cfg = GameConfig.from_dict({**cfg, **{key: {**cfg[key], "c_dim": 2} for key in ("generator", "discriminator")}})
    for name, config in (("plain", plain), ("labelled", cfg)):
        Game(config, clips).save(tmp_path / name)
    table = json.loads((tmp_path / "clips" / "dataset.json").read_text())
    (tmp_path / "clips" / "dataset.json").write_text(json.dumps({"labels": [[name, 1 - label] for name, label in table["labels"]]}))
    swapped = ClipDataset.open(tmp_path / "clips")
    Game(plain, swapped).load(tmp_path / "plain")
    with pytest.raises(ValueError, match="other labels"):
        Game(cfg, swapped).load(tmp_path / "labelled")


def test_a_state_of_an_earlier_version_goes_on(clips: ClipDataset, tmp_path: Path) -> None:
    Game(tiny_config(), clips).save(tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    del state["fingerprint"]
    torch.save(state, tmp_path / "state.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Game(tiny_config(), rewritten(Path(clips.path), tmp_path / "set")).load(tmp_path / "state.pt")


def test_clips_that_do_not_fit_the_networks_are_refused(clips: ClipDataset, tmp_path: Path) -> None:
    cfg = tiny_config()
    with ClipDataset.open(clips.path, resolution=8) as small, pytest.raises(DataError, match="16x16"):
        Game(cfg, small)
    generator = dataclasses.replace(cfg.generator, c_dim=5)
    assert cfg.discriminator is not None
    with pytest.raises(DataError, match="c_dim of both networks to 3"):
        Game(
            dataclasses.replace(
                cfg, generator=generator, discriminator=dataclasses.replace(cfg.discriminator, c_dim=5)
            ),
            clips,
        )
    with open_clips(tmp_path / "short", frames=2) as short, pytest.raises(DataError, match="2 frames"):
        Game(cfg, short)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"micro_batch": 3}, "micro_batch"),
        ({"batch": 6, "micro_batch": 6}, "groups of 4"),
        ({"precision": "fp16"}, "conv_clamp"),
        ({"discriminator": None}, "image_discriminator"),
        ({"freeze": 9}, "freeze"),
        ({"max_t": 8}, "max_t"),
        ({"sampling": SamplingConfig(max_span=128)}, "max_span"),
        ({"augment": "strong"}, "augment"),
        ({"lr": 0.0}, "lr"),
        ({"generator_lr_factor": 0.0}, "generator_lr_factor"),
        ({"head_start": 0.032}, "head_start"),
    ],
)
def test_impossible_games_are_refused_by_key(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny_config(**changes)


def test_a_batch_has_to_divide_among_processes() -> None:
    assert shares(tiny_config(), Ranks(1, 2)) == (2, 2)
    assert shares(tiny_config(batch=16, micro_batch=8), Ranks(0, 4)) == (4, 4)  # no more than the share
    for size, changes in ((3, {}), (4, {}), (8, {}), (2, {"batch": 12, "micro_batch": 0}), (8, {"batch": 16, "micro_batch": 8})):
        with pytest.raises(ConfigError, match=rf"for {size} processes: wanted equal shares .*groups of (2|4)"):
            shares(tiny_config(**changes), Ranks(0, size))
    cfg = tiny_config(batch=8, micro_batch=0)
    with pytest.raises(ConfigError, match=r"or groups of 2 \(--set game.micro_batch=2\)"):
        shares(cfg, Ranks(0, 4))
    assert shares(dataclasses.replace(cfg, micro_batch=2), Ranks(0, 4)) == (2, 2)


def test_a_game_goes_on_in_other_micro_batches_and_says_so(clips: ClipDataset, tmp_path: Path) -> None:
    game = Game(tiny_config(micro_batch=4), clips)
    list(game.run(1))
    game.save(tmp_path / "state.pt")
    other = Game(tiny_config(micro_batch=2), clips)
    with pytest.warns(GameWarning, match="micro-batches of 4 clips and goes on in those of 2"):
        other.load(tmp_path / "state.pt")
    assert next(other.run()).step == 2
    whole = Game(tiny_config(micro_batch=0), clips)
    whole.save(tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    torch.save(state | {"processes": 2}, tmp_path / "state.pt")  # of shares of two
    with pytest.warns(GameWarning, match="micro-batches of 2 clips and goes on in those of 4"):
        whole.load(tmp_path / "state.pt")


def test_labels_that_are_not_used_are_told_with_keys_that_exist() -> None:
    for cfg in (tiny_config(), mocogan()):
        said = unused_labels(cfg, 3)
        keys = [part.split("=")[0] for part in said.split() if part.startswith("game.")]
        values = cfg.to_dict()
        for key in keys:
            _, network, name = key.split(".")
            values[network] = values[network] | {name: 3}
        assert len(keys) == 2 and unused_labels(GameConfig.from_dict(values), 3) == ""
    assert unused_labels(tiny_config(), 0) == ""


def test_a_config_survives_its_plain_form() -> None:
    for cfg in (tiny_config(augment=AugmentConfig("b")), mocogan()):
        assert GameConfig.from_dict(cfg.to_dict()) == cfg
