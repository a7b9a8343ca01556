"""A conditional generator of one class draws what it drew with the label, and needs none."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from stylegan_v import Generator
from stylegan_v.one_class import of_class
from tests.tiny_game import MOTION, tiny_config

KINDS = {
    "conv": {},
    "lstm": {"motion": dataclasses.replace(MOTION, kind="lstm", distance=16)},
    "mocogan": {"motion": dataclasses.replace(MOTION, kind="lstm", distance=1, integer_t=True), "motion_in": "styles", "input_kind": "const"},
    "images": {"motion": None, "input_kind": "bare"},
    "slow": {"mapping_lr_multiplier": 0.01, "mapping_layers": 8, "motion": dataclasses.replace(MOTION, lr_multiplier=0.1)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_draws_what_the_label_draws(kind: str) -> None:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        generator = Generator(dataclasses.replace(tiny_config().generator, c_dim=3, **KINDS[kind]))  # type: ignore[arg-type]
        for name, weight in generator.named_parameters():
            if name.endswith("bias"):
                weight.copy_(torch.randn_like(weight))
        z, t = torch.randn(2, generator.cfg.z_dim), torch.tensor([[0.0, 3.5, 17.0], [1.0, 2.0, 40.25]])
        motion = generator.cfg.motion
        motion_z = None if motion is None else torch.randn(2, generator.num_motion_codes(41), motion.z_dim)
        drawn = []
        for number in range(3):
            c = torch.nn.functional.one_hot(torch.tensor(number), 3).float()
            single = of_class(generator, c)
            assert single.cfg.c_dim == 0 and single.hash
            drawn.append(single(z, t, motion_z))
            torch.testing.assert_close(drawn[-1], generator(z, t, motion_z, c.expand(2, -1)), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(drawn[0], drawn[1], atol=1e-2)


def test_a_label_of_another_size_is_refused() -> None:
    cfg = tiny_config().generator
    with pytest.raises(ValueError, match="c_dim 0"):
        of_class(Generator(cfg), torch.zeros(3))
    with pytest.raises(ValueError, match=r"wanted \[3\]"):
        of_class(Generator(dataclasses.replace(cfg, c_dim=3)), torch.zeros(4))
