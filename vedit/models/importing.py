"""Official snapshots turned into checkpoints of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vedit.errors import VeditError


class NotImported(VeditError, ValueError):
    """A snapshot holds no generator that could be saved, or there is no place to save it."""


def import_generator(snapshot: Path, out: Path) -> dict[str, Any]:
    """Save the generator of an official snapshot (its average G_ema where present, else G) as a checkpoint at `out`.

    Returns what was saved: path, network, parameters, resolution. Nothing in the snapshot is executed. Raises NotImported and
    the errors of `stylegan_v.import_snapshot`.
    """
    from stylegan_v import Generator, import_snapshot, save_generator

    if out.suffix != ".safetensors":
        raise NotImported(f"found -o {out}; give a file that ends in .safetensors")
    if not out.parent.is_dir():
        raise NotImported(f"found no folder {out.parent}; make it, or give another -o")
    networks = import_snapshot(snapshot)
    for key in ("G_ema", "G"):
        generator = networks.get(key)
        if isinstance(generator, Generator):
            save_generator(generator, out, source=snapshot.name, network=key)
            return {
                "path": str(out),
                "network": key,
                "parameters": sum(parameter.numel() for parameter in generator.parameters()),
                "resolution": generator.cfg.resolution,
            }
    raise NotImported(f"{snapshot} holds {', '.join(networks) or 'nothing'}, no generator; give a snapshot with G_ema or G")
