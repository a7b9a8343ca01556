"""What one sees of a game with pairs: the data's own clips above what the generator draws from their codes."""

from __future__ import annotations

from pathlib import Path

import torch

from stylegan_v.game import Game
from stylegan_v.game_draws import to_floats, usable_clips
from vedit.pixels import enlarge, save_sheet, to_pixels


@torch.no_grad()
def show_pairs(game: Game, path: Path, clips: int, moments: int) -> None:
    """Write a sheet of at most so many clips, spread over the data: a row of `moments` over all of a clip, and below it the drawn ones."""
    assert game.pairs is not None
    usable, rows = usable_clips(game.cfg, game.clips), []
    for item in range(0, len(usable), -(-len(usable) // clips)):
        clip = usable[item]
        frames = torch.linspace(0, game.clips.lengths[clip] - 1, moments).round().long()
        label = game.clips.label(clip).unsqueeze(0).to(game.device) if game.cfg.generator.c_dim else None
        items = torch.tensor([item], device=game.device)
        (drawn,) = game.pairs.draw(game.ema, items, frames.float().unsqueeze(0).to(game.device), label)
        rows += [to_floats(game.clips.frames(clip, frames)), drawn[0].clamp(-1, 1).cpu()]
    save_sheet(path, to_pixels(enlarge(torch.cat(rows), 64)), columns=moments)
