"""A process of a group that does as its first argument says.

Number 1 fails with a word or by a signal, while the others would wait for long, or for it; or all stay until their launcher is gone, looking
for it before or after that, and tell in the folder of the second argument that they are there; or all leave there what their threads are told.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from stylegan_v.ranks import RankLost, joined
from vedit.training_launch import LAUNCHER, end_with_launcher, leave_complaint


def main() -> None:
    """Fail as the first argument says, or wait."""
    how = sys.argv[1]
    if how in ("stay", "stay unaware"):
        if how == "stay":
            end_with_launcher()
        (Path(sys.argv[2]) / os.environ["RANK"]).touch()
        while os.getppid() == int(os.environ[LAUNCHER]):
            time.sleep(0.1)
        end_with_launcher()
    elif how == "threads":
        (Path(sys.argv[2]) / os.environ["RANK"]).write_text(f"{os.environ['OMP_NUM_THREADS']} {os.environ['OMP_WAIT_POLICY']}")
        return
    elif how == "signal in touch":
        lose_touch()
    elif os.environ["RANK"] == "1":
        if how == "word":
            leave_complaint("the disk is full;\nmake room")
            sys.exit(1)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(300)


def lose_touch() -> None:
    """Number 1 kills itself while the others wait for it."""
    with joined() as (ranks, _):
        ranks.wait()
        if ranks.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            ranks.wait()
        except RankLost as error:
            leave_complaint(str(error), echo=True)
            sys.exit(1)


if __name__ == "__main__":
    main()
