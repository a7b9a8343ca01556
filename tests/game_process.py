"""One process of a tiny game, started by a test: plays five steps and writes losses and first gradients to the path that it is given.

Gradients are those of the first step of both sides, and R1's by themselves: its step comes last and leaves its own in place of the game's;
and those of a first step of pairs, before the game and beside it.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from stylegan_v.game import Game
from stylegan_v.game_config import PairsConfig
from stylegan_v.ranks import joined
from tests.tiny_game import open_clips, tiny_config

SIDES = ("generator", "discriminator")


def play(clips: Path, out: Path) -> None:
    """Five steps with augmentation, R1 in every second one, as one process of the environment's group."""
    with joined() as (ranks, _), open_clips(clips) as dataset:
        cfg = tiny_config(ada={"p": 0.4})
        plain = Game(dataclasses.replace(cfg, r1_gamma=0.0), dataset, ranks=ranks)
        next(plain.run(1))
        alone = Game(dataclasses.replace(cfg, pairs=PairsConfig(codes=2, kimg=0.004)), dataset, ranks=ranks)
        beside = Game(dataclasses.replace(cfg, pairs=PairsConfig(codes=0, kimg=0.0), r1_gamma=0.0), dataset, ranks=ranks)
        assert alone.pairs is not None and beside.pairs is not None
        with torch.no_grad():
            alone.pairs.motion_z.add_(ranks.rank)  # the first one's are what counts
        next(alone.run(1))
        next(beside.run(1))
        game = Game(cfg, dataset, ranks=ranks)
        events = game.run(5)
        first = next(events)
        networks = {
            "generator": plain.generator,
            "judges": plain.judges,
            "r1": game.judges,
            "alone_generator": alone.generator,
            "alone_codes": alone.pairs,
            "beside_generator": beside.generator,
            "beside_codes": beside.pairs,
        }
        found = {
            f"{side}.{name}": param.grad.clone()
            for side, network in networks.items()
            for name, param in network.named_parameters()
            if param.grad is not None
        }
        losses = [[event.figures[side] for side in SIDES] for event in (first, *events)]
        found["losses"] = torch.tensor(losses)
        found["w_avg"] = game.generator.mapping.w_avg
        found["p"] = torch.tensor(game.ada.p)
        game.save(out.with_suffix(".pt"))
        found["noticed"] = torch.tensor(apart_is_noticed(beside, out.with_suffix(".apart.pt")))
        if ranks.first:
            save_file(found, out)


def apart_is_noticed(game: Game, path: Path) -> bool:
    """Whether a state is refused whose processes hold different codes of the clips."""
    assert game.pairs is not None
    with torch.no_grad():
        game.pairs.z.add_(game.ranks.rank)
    try:
        game.save(path)
    except RuntimeError:
        return True
    return False


if __name__ == "__main__":
    torch.set_num_threads(1)
    play(Path(sys.argv[1]), Path(sys.argv[2]))
