"""Official hyper-parameters and tensors are taken over exactly, or refused with the name of what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan_v import Generator, import_snapshot
from stylegan_v.checkpoint import model_hash
from stylegan_v.snapshot import SnapshotError
from tests.pickled import dump, module_state, network, official_cfg, official_kwargs, omega, persistent, tiny_generator


@pytest.fixture(scope="module")
def generator() -> Generator:
    return tiny_generator()


@pytest.fixture
def attempt(tmp_path: Path) -> Callable[[bytes], Any]:
    def run(data: bytes) -> Any:
        path = tmp_path / "snapshot.pkl"
        path.write_bytes(data)
        return import_snapshot(path)

    return run


def refused(attempt: Callable[[bytes], Any], data: bytes, *words: str) -> None:
    with pytest.raises(SnapshotError) as caught:
        attempt(data)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("motion.z_dim", 10**9, "z_dim"), ("motion.z_dim", 500_000, "larger network"), ("motion.v_dim", -1, "v_dim"),
        ("motion.kernel_size", 10**5, "larger network"), ("time_enc.dim", 10**6, "larger network"), ("motion.gen_strategy", "other", "conv or autoregressive"),
        ("motion.gen_strategy", "autoregressive", "fourier"), ("motion.fourier", False, "fourier"), ("time_enc.cond_type", "sum", "concat_const"),
        ("time_enc.cond_type", "concat_w", "input.type"), ("input.type", "const", "input.type"), ("input", None, "type"), ("motion", None, "gen_strategy"),
        ("motion.motion_z_distance", "16", "whole number"), ("motion.motion_z_distance", float("nan"), "whole number"),
        ("sampling.max_num_frames", float("inf"), "whole number"), ("sampling.fps", 0, "fps"), ("sampling.fps", "os.system", "number"),
        ("motion.use_fractional_t", 1, "true or false"), ("motion.z_dim", True, "whole number"), ("motion.z_dim", "${motion.v_dim}", "whole number"),
        ("sampling", 3, "table"),
    ],
)  # fmt: skip
def test_unknown_settings_are_named(path: str, value: Any, words: str, attempt: Any, generator: Generator) -> None:
    cfg: dict[str, Any] = official_cfg(generator)
    table = cfg
    *heads, last = path.split(".")
    for key in heads:
        table = table[key]
    table[last] = value
    refused(attempt, dump({"G_ema": network(generator, cfg=omega(cfg))}), words)


@pytest.mark.parametrize(
    ("table", "key", "value", "words"),
    [
        ("mapping_kwargs", "num_layers", 10**6, "mapping_layers"), ("mapping_kwargs", "num_layers", 0, "mapping_layers"),
        ("mapping_kwargs", "num_layers", 3, "mapping.fc2"), ("mapping_kwargs", "embed_features", 4, "embed_features"),
        ("synthesis_kwargs", "channel_base", 0, "channel_base"), ("synthesis_kwargs", "channel_base", 1, "channel_base"),
        ("synthesis_kwargs", "channel_max", 10**6, "shape"), ("synthesis_kwargs", "channel_base", 10**6, ""),
        ("synthesis_kwargs", "architecture", "orig", "skip"), ("synthesis_kwargs", "conv_clamp", -1, "conv_clamp"),
        ("synthesis_kwargs", "conv_clamp", "x", "number"), ("synthesis_kwargs", "channel_base", 64.5, "whole number"),
        ("synthesis_kwargs", "resample_filter", [1], "resample_filter"),
    ],
)  # fmt: skip
def test_unknown_arguments_are_named(table: str, key: str, value: Any, words: str, attempt: Any, generator: Generator) -> None:
    kwargs = official_kwargs(generator)
    kwargs[table][key] = value
    data = dump({"G_ema": network(generator, kwargs=kwargs)})
    if words:
        refused(attempt, data, words)
    else:
        assert attempt(data)["G_ema"].hash == model_hash(generator)  # channel_max alone decides then


@pytest.mark.parametrize(
    ("key", "value"), [("img_resolution", 12), ("img_resolution", 1 << 20), ("img_channels", 1), ("c_dim", 3), ("w_dim", 10), ("z_dim", None)]
)
def test_attributes_that_do_not_fit_are_refused(key: str, value: Any, attempt: Any, generator: Generator) -> None:
    refused(attempt, dump({"G_ema": network(generator, **{key: value})}))


def test_tensors_that_do_not_fit_are_named(attempt: Any, generator: Generator) -> None:
    def altered(**change: Any) -> bytes:
        state = module_state(generator.mapping)
        state["_parameters"] = {**state["_parameters"], **change}
        parts = {**module_state(generator)["_modules"], "mapping": persistent("MappingNetwork", state)}
        return dump({"G_ema": network(generator, _modules=parts)})

    refused(attempt, altered(surplus=torch.zeros(3)), "mapping.surplus")
    refused(attempt, altered(surplus="os.system"), "surplus")
    refused(attempt, altered(surplus=torch.zeros(3, dtype=torch.int64)), "surplus")
    refused(attempt, altered(resample_filter=torch.zeros(4, 4)), "low-pass")
    parts = module_state(generator)["_modules"]
    refused(attempt, dump({"G_ema": network(generator, _modules={"mapping": parts["mapping"]})}), "synthesis")
    buffers = {**module_state(generator.mapping), "_buffers": {"w_avg": torch.zeros(8)}}
    wrong = {**parts, "mapping": persistent("MappingNetwork", buffers)}
    refused(attempt, dump({"G_ema": network(generator, _modules=wrong)}), "mapping.w_avg", "[8]", "[9]")
