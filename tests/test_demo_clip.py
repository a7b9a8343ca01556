"""The demo clip: small, sounding, and still what its script makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from vedit.video import probe, read

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_script_makes_the_clip_that_ships(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(EXAMPLES / "make_demo_clip.py"), str(tmp_path / "again.mp4")], check=True)
    shipped = EXAMPLES / "demo.mp4"
    for path in (shipped, tmp_path / "again.mp4"):
        info = probe(path)
        assert (info.width, info.height, info.fps, info.frames, info.audio) == (256, 256, 25, 96, True)
        assert path.stat().st_size < 400_000
    pairs = list(zip(read(shipped), read(tmp_path / "again.mp4"), strict=True))
    assert all(a.time == b.time for a, b in pairs)
    assert max(np.abs(a.image.astype(float) - b.image).mean() for a, b in pairs) < 3
