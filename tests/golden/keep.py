"""Make the files of this folder from the golden snapshots: `python -m tests.golden.keep [FOLDER]` (default: VEDIT_TEST_DATA's).

Snapshots are imported by this package; a wrong import would show, since the outputs kept beside the weights come from elsewhere.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from safetensors.torch import load_file, save

from stylegan_v.checkpoint import save_discriminator, save_generator
from stylegan_v.snapshot import import_snapshot

HERE = Path(__file__).parent
NAMES = ("stylegan_v", "stylegan_v_cond", "lstm_dz1", "lstm_dz16", "mocogan_sg2", "stylegan2_ada")
DISCRIMINATORS = ("stylegan_v", "stylegan_v_cond")  # those of the other files are built alike
ROWS = {"img": 8, "d_grad": 12}  # of the outputs that take the most room only the first rows are kept


def main(folder: Path) -> None:
    for name in NAMES:
        networks = import_snapshot(folder / f"{name}.pkl")
        save_generator(networks["G_ema"], HERE / f"{name}.G_ema.safetensors")
        if name in DISCRIMINATORS:
            save_discriminator(networks["D"], HERE / f"{name}.D.safetensors")
        numbers = load_file(folder / f"{name}.io.safetensors")
        if name not in DISCRIMINATORS:
            numbers = {key: value for key, value in numbers.items() if not key.startswith("d_")}
        kept = {key: value[: ROWS.get(key)].contiguous() for key, value in numbers.items()}
        (HERE / f"{name}.io.safetensors").write_bytes(save(kept))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("VEDIT_TEST_DATA", "../shared") + "/golden"))
