"""The networks against the numbers of the public implementation: weights kept in this repository, and the snapshots themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

from stylegan_v import import_snapshot, load_generator
from stylegan_v.checkpoint import load_discriminator, model_hash
from tests.accept.groups.golden import discriminator_outputs, generator_outputs
from tests.golden.keep import DISCRIMINATORS, HERE, NAMES

LIMIT = 1e-4
INPUTS = {"z", "c", "t", "motion_z", "ws_plus", "d_video", "d_t", "d_c"}


def check(found: dict[str, Tensor], numbers: dict[str, Tensor], asked: set[str]) -> None:
    """Compare every output with its golden rows (all, or the first ones that were kept)."""
    assert asked and set(found) == asked
    errors = {}
    for name, value in found.items():
        wanted = numbers[name]
        assert value.shape[1:] == wanted.shape[1:] and len(value) >= len(wanted) > 0
        errors[name] = float((value.detach()[: len(wanted)] - wanted).norm() / wanted.norm())
    shown = ", ".join(f"{name} {error:.1e}" for name, error in errors.items())
    print(shown)
    assert max(errors.values()) <= LIMIT, shown


def outputs(numbers: dict[str, Tensor], of_discriminator: bool) -> set[str]:
    return {name for name in numbers if name not in INPUTS and name.startswith("d_") == of_discriminator}


@pytest.mark.parametrize("path", ["fast", "reference"])
@pytest.mark.parametrize("name", NAMES)
def test_generators_kept_here_reproduce_their_numbers(name: str, path: str) -> None:
    numbers = load_file(HERE / f"{name}.io.safetensors")
    generator = load_generator(HERE / f"{name}.G_ema.safetensors")
    check(generator_outputs(generator, numbers, path), numbers, outputs(numbers, False))


@pytest.mark.parametrize("path", ["fast", "reference"])
@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminators_kept_here_reproduce_their_numbers(name: str, path: str) -> None:
    numbers = load_file(HERE / f"{name}.io.safetensors")
    discriminator = load_discriminator(HERE / f"{name}.D.safetensors")
    check(discriminator_outputs(discriminator, numbers, path), numbers, outputs(numbers, True))


@pytest.mark.parametrize("name", NAMES)
def test_snapshots_reproduce_their_numbers_on_both_paths(name: str, test_data: Path) -> None:
    snapshot = test_data / f"golden/{name}.pkl"
    if not snapshot.is_file():
        pytest.skip(f"no golden snapshot at {snapshot}")
    networks = import_snapshot(snapshot)
    numbers = load_file(test_data / f"golden/{name}.io.safetensors")
    for path in ("fast", "reference"):
        check(generator_outputs(networks["G_ema"], numbers, path), numbers, outputs(numbers, False))
        if "d_logits" in numbers:
            check(discriminator_outputs(networks["D"], numbers, path), numbers, outputs(numbers, True))
    kept = load_generator(HERE / f"{name}.G_ema.safetensors")
    assert networks["G_ema"].hash == kept.hash, "the weights kept here are not those of the snapshot; run tests.golden.keep"
    if networks.get("G") is not None:  # the image snapshot holds one network under both names
        assert (model_hash(networks["G"]) == kept.hash) == (name == "stylegan2_ada")
