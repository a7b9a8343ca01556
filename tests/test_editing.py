"""Edits: what is asked for is checked before work begins, applied as one change, and survives its files."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from stylegan_v import Generator
from tests import tiny_words
from vedit import directions, editing, guidance
from vedit.editing import Edit, EditError
from vedit.guidance import Guidance, GuidanceError
from vedit.progress import finish
from vedit.reach import Reach
from vedit.timing import TimingError

Make = Callable[..., Edit]


@pytest.fixture(scope="module")
def generator() -> Generator:
    return tiny_words.generator()


@pytest.fixture(scope="module")
def make(generator: Generator, tmp_path_factory: pytest.TempPathFactory) -> Make:
    clip = tiny_words.text_image_model(tmp_path_factory.mktemp("clip"))

    def made(prompt: str, **options: object) -> Edit:
        return finish(editing.make(generator, prompt, **{"clip": clip, **options}))  # type: ignore[arg-type]

    return made


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(directions, "SAMPLES", 100)
        patch.setattr(directions.statistics, "__kwdefaults__", {"samples": 100, "seed": 0})
        yield


def render(generator: Generator, edit: Edit, factor: float) -> torch.Tensor:
    rng = torch.Generator().manual_seed(3)
    t = torch.tensor([[0.0, 3.5, 9.0]])
    motion_z = torch.randn(1, generator.num_motion_codes(9), 8, generator=rng)
    ws = generator.mapping(torch.randn(1, 8, generator=rng))
    return generator.synthesis(ws, t, motion_z, styles_delta=edit.styles_delta([0.0, 0.14, 0.36], factor))


def test_strength_0_changes_nothing_and_negative_is_the_opposite_change(generator: Generator, make: Make) -> None:
    edit = make("an old person", neutral="a young person")
    plain, none, some = (render(generator, edit, factor) for factor in (0.0, -0.0, 1.0))
    assert torch.equal(plain, none) and not torch.allclose(plain, some)
    for there, back in zip(edit.styles_delta([0.0]).values(), edit.styles_delta([0.0], -1).values(), strict=True):
        assert torch.equal(there, -back)


def test_the_same_words_make_the_same_edit(make: Make) -> None:
    first, again = make("bright sun"), make("bright sun")
    assert first.name == again.name == "bright-sun"
    assert all(torch.equal(first.direction[layer], again.direction[layer]) for layer in first.direction)


def test_keyframed_strength_is_straight_between_and_constant_outside(make: Make) -> None:
    edit = make("bright sun", strength="0s=0,2s=1")
    assert [edit.strength_at(seconds) for seconds in (-1, 0.5, 2, 9)] == [0.0, 0.25, 1.0, 1.0]
    change = edit.styles_delta([0.0, 1.0, 2.0])["b4.conv1"]
    torch.testing.assert_close(change[1], change[2] / 2)
    assert not change[0].any()


def test_a_reach_says_how_much_a_strength_takes(make: Make) -> None:
    reach = Reach(1.9, 1.8)
    free = make("bright sun", strength="0=0,2=1")
    bound = dataclasses.replace(free, reach=reach)
    assert free.weights([1.0, 2.0], factor=2.0).tolist() == pytest.approx([1.0, 2.0])
    assert bound.weights([1.0, 2.0], factor=2.0).tolist() == pytest.approx([reach(1.0), reach(2.0)])
    change, whole = bound.styles_delta([2.0])["b4.conv1"], free.styles_delta([2.0])["b4.conv1"]
    torch.testing.assert_close(change, whole * reach(1.0))


def test_an_edit_survives_its_files(make: Make) -> None:
    edit = dataclasses.replace(make("an old person", strength="0=0,1=-0.5", disentangle=0.2), reach=Reach(1.0, 1.8))
    info, tensors = edit.to_files()
    back = Edit.from_files(json.loads(json.dumps(info)), load(save(tensors)))
    assert back.to_files()[0] == info and back.reach == edit.reach
    assert all(torch.equal(back.direction[layer], edit.direction[layer]) for layer in edit.direction)


@pytest.mark.parametrize(
    "damage",
    [
        {"schema": 99},
        {"strength": []},
        {"strength": [[0, float("nan")]]},
        {"strength": "x"},
        {"strength": [[0, 1, 2]]},
        {"strength": [["x", 1]]},
        {"strength": [[0, 10**400]]},
        {"disentangle": "much"},
        {"region": {"kind": "box", "size": ["x", 1], "box": None}},
        {"name": "../../etc"},
        {"prompt": None},
        {"name": 5},
        {"reach": {"stands": 0.0}},
    ],
)
def test_a_stored_edit_that_cannot_be_is_refused(make: Make, damage: dict[str, object]) -> None:
    info, tensors = make("bright sun").to_files()
    with pytest.raises(EditError):
        Edit.from_files({**info, **damage}, tensors)


def test_a_stored_direction_with_infinities_is_refused(make: Make) -> None:
    info, tensors = make("bright sun").to_files()
    tensors["b4.conv1"][0] = float("inf")
    with pytest.raises(EditError, match="finite"):
        Edit.from_files(info, tensors)


@pytest.mark.parametrize(
    "prompt", ["", "   ", "\n", "…!?", "x" * 5000, "an old\nperson", "a\x00b", "\u2028 old person a\u2028b", "👍"]
)
def test_prompts_without_words_or_with_too_many_are_one_clear_line(make: Make, prompt: str) -> None:
    with pytest.raises(EditError) as caught:
        make(prompt)
    assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value) and len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "prompt, unknown", [("شخص عجوز", ["شخص", "عجوز"]), ("an old person 👴", []), ("eine alte Person", ["eine", "alte"])]
)
def test_other_scripts_and_emoji_are_taken_with_a_warning_of_words_never_seen(make: Make, prompt: str, unknown: list[str]) -> None:
    edit = make(prompt)
    assert editing.check_name(edit.name) and edit.prompt == prompt
    assert [word for line in edit.warnings for word in re.findall('"(.+?)"', line)] == unknown


def test_unknown_words_are_named(make: Make) -> None:
    (warning,) = make("a person riding a zebra").warnings
    assert '"zebra"' in warning and '"person"' not in warning
    assert make("an old person").warnings == ()


@pytest.mark.parametrize(
    "strength", ["nan", "inf", "5x", "1e9", "", "0s=0,0s=1", "2s=1,1s=0", "0s", float("nan"), 11.0]
)
def test_strengths_that_are_no_strengths_are_refused(make: Make, strength: str | float) -> None:
    with pytest.raises((EditError, TimingError)) as caught:
        make("bright sun", strength=strength)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("disentangle", [-0.1, 1.5, float("nan")])
def test_thresholds_outside_0_to_1_are_refused(make: Make, disentangle: float) -> None:
    with pytest.raises(EditError, match="disentangle"):
        make("bright sun", disentangle=disentangle)


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "a\\b", ".hidden", "x" * 65, "con", "a ", "-x", "é/../x", "nul", "a=b"]
)
def test_names_that_could_leave_their_folder_are_refused(make: Make, name: str) -> None:
    with pytest.raises(EditError, match="cannot"):
        make("bright sun", name=name)


def test_names_made_from_prompts_are_new_and_valid(make: Make) -> None:
    assert make("A person with a beard", taken=["beard", "beard-2"]).name == "beard-3"
    for prompt in ("a", "con", "x" * 299, "../../etc/passwd", "a person", "??a??", "é, ö & 中文"):
        editing.check_name(editing.unique_name(prompt, []))
    with pytest.raises(EditError, match="already"):
        make("bright sun", name="sun", taken=["sun"])
    with pytest.raises(EditError, match="already has an edit called Sun"):  # one folder, on some file systems
        make("bright sun", name="sun", taken=["Sun"])
    assert make("a beard", taken=["Beard"]).name == "beard-2"


def test_the_method_that_looks_at_frames_wants_a_project(make: Make) -> None:
    with pytest.raises(EditError, match="optimize looks at a clip"):
        make("bright sun", method="optimize")


def test_bad_words_are_refused_before_any_model_is_loaded(generator: Generator) -> None:
    with pytest.raises(EditError):
        finish(editing.make(generator, "", clip="local-dir:/no/such/folder"))


def test_the_text_image_model_goes_where_the_generator_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, device: torch.device) -> Guidance:
        raise GuidanceError(f"{name} on {device}")

    monkeypatch.setattr(guidance, "load", load)
    with pytest.raises(GuidanceError, match="builtin on meta"):
        finish(editing.make(tiny_words.generator().to("meta"), "bright sun"))


def test_the_cache_is_used_from_the_second_edit_on(make: Make, tmp_path: Path) -> None:
    clip, fresh = tiny_words.text_image_model(tmp_path), tiny_words.generator(seed=5)
    stages = [
        [progress.stage for progress in editing.make(fresh, "bright sun", clip=clip)].count("directions")
        for _ in range(2)
    ]
    assert stages == [2, 0]
