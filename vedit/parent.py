"""Processes that end with the one that started them, however that ended."""

from __future__ import annotations

import os
import sys
import threading
import time

INTERVAL = 0.5  # seconds between two looks


def end_with(parent: int) -> None:
    """End this process as soon as `parent`, the number of the process that started it, is gone; at once where it is gone by now.

    The parent tells its number itself: a process that asked for it would be told another one's where the parent ended before.
    """

    def look() -> None:
        _wait_for_end(parent)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


def _wait_for_end(parent: int) -> None:
    if sys.platform == "win32":  # where a process keeps its parent's number
        import _winapi

        try:
            handle = _winapi.OpenProcess(_winapi.SYNCHRONIZE, False, parent)
        except OSError:
            return
        _winapi.WaitForSingleObject(handle, _winapi.INFINITE)
        return
    while os.getppid() == parent:
        time.sleep(INTERVAL)
