"""Freed memory stays with the process where the C library can be told so."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from threading import Thread
import torch
from vedit.memory import keep_freed_memory

if "keep" in sys.argv and not keep_freed_memory():
    sys.exit("no glibc")
def work():
    for turn in range(16):  # the heap grows a few times before every request finds a block
        if turn == 12:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(25 << 20)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = Thread(target=work)
thread.start() if "thread" in sys.argv else work()
"""


@pytest.mark.parametrize("where", ["main", "thread"])
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have another allocator")
def test_kept_memory_is_not_handed_out_anew(where: str) -> None:
    """Pages that the system hands out while large tensors come and go: in a process each, since the setting cannot be taken back."""
    found = [subprocess.run([sys.executable, "-c", PROGRAM, where, *word], capture_output=True, text=True) for word in ([], ["keep"])]
    if found[1].stderr.strip().endswith("no glibc"):
        pytest.skip("this C library is not glibc")
    default, kept = (int(run.stdout) for run in found)
    assert kept < default / 10, f"{kept} pages with memory kept, {default} without"
