"""One process of `vedit train --nproc`: reads its task from its arguments; the first one shows progress, a failing one leaves its line."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stylegan_v.ranks import Ranks


def main(task: str) -> int:
    """Do this process's part of a training; returns the exit status."""
    from stylegan_v.ranks import joined
    from vedit.cli import _quieten_libraries
    from vedit.cli.console import Console
    from vedit.memory import keep_freed_memory
    from vedit.progress import finish
    from vedit.training_game import GameRecipe, train_game
    from vedit.training_launch import end_with_launcher

    _quieten_libraries()
    keep_freed_memory()
    end_with_launcher()
    values = json.loads(task)
    try:
        with _complaining(), joined(values["device"]) as (ranks, device), _complaining():
            warn_once_a_machine(ranks)
            recipe = GameRecipe.from_dict(values["recipe"])
            work = train_game(recipe, Path(values["out"]), resume=values["resume"], device=device, ranks=ranks)
            if ranks.first:
                Console(quiet=values["quiet"]).run(work)
            else:
                finish(work)
    except KeyboardInterrupt:
        return 130
    except _Complained as error:
        if os.environ.get("VEDIT_TRACEBACK", "") not in ("", "0"):
            raise error.__cause__ or error from None
        return 1
    return 0


def warn_once_a_machine(ranks: Ranks) -> None:
    """Leave warnings to the first process of each machine: the others have the same ones."""
    if ranks.local_rank:
        warnings.simplefilter("ignore")


class _Complained(Exception):
    """An error that was left for the launcher already."""


@contextmanager
def _complaining() -> Iterator[None]:
    """Leave an error's line at once: once the group is closed the others have errors of their own, and the first cause is what counts."""
    from stylegan_v.ranks import RankLost
    from vedit.training_launch import leave_complaint

    try:
        yield
    except _Complained:
        raise
    except Exception as error:
        leave_complaint(_told(error), echo=isinstance(error, RankLost))
        raise _Complained from error


def _told(error: Exception) -> str:
    """What a person is told of an error; not all were written for people."""
    from vedit.memory import OUT_OF_MEMORY, ran_out

    if ran_out(error):
        return OUT_OF_MEMORY
    ours = type(error).__module__.partition(".")[0] in ("vedit", "stylegan_v") or isinstance(error, OSError)
    return str(error) if ours else f"this is a bug in vedit: {type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
