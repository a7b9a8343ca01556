"""A process of a group in which number 1 fails, as it is told to: with a word or by a signal; the others would wait for long."""

from __future__ import annotations

import os
import signal
import sys
import time

from vedit.training_launch import leave_complaint


def main() -> None:
    """Fail as the first argument says, or wait."""
    if os.environ["RANK"] == "1":
        if sys.argv[1] == "word":
            leave_complaint("the disk is full;\nmake room")
            sys.exit(1)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(300)


if __name__ == "__main__":
    main()
