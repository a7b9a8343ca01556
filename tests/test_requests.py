"""Requests: said in many ways, of one person at a time, and only of what is there."""

from __future__ import annotations

import random
import re

import pytest
import torch

from vedit.clip_training import BLANK, with_blanks
from vedit.worlds import requests, world
from vedit.worlds.portraits_requests import ASKED as PORTRAIT_ASKED
from vedit.worlds.portraits_requests import coloured
from vedit.worlds.requests import Asked
from vedit.worlds.sky_requests import ASKED as SKY_ASKED


@pytest.mark.parametrize("topics", [PORTRAIT_ASKED, SKY_ASKED])
def test_every_topic_has_phrases_and_no_braces_but_the_person(topics: dict[str, Asked]) -> None:
    for topic, asked in topics.items():
        assert len(set(asked.phrases)) == len(asked.phrases) >= 4, topic
        for phrase in (*asked.phrases, *asked.turned, *asked.lacks):
            said = requests.fill(phrase, "", random.Random(0))
            assert said.strip() and "{" not in said and "\n" not in said, phrase


def test_one_person_in_one_request() -> None:
    said = {requests.fill("let {him} say that {he} has {his} glasses", "", random.Random(seed)) for seed in range(60)}
    assert "let him say that he has his glasses" in said and "let her say that she has her glasses" in said
    assert not any("him" in text.split() and "her" in text.split() for text in said)


def test_articles_fit_what_they_stand_before() -> None:
    assert requests.fill("as a {x} man", "old", random.Random(0)) == "as an old man"
    assert requests.fill("turn it into a {x} person", "elderly", random.Random(0)) == "turn it into an elderly person"


def test_nothing_is_asked_where_nothing_can_be() -> None:
    frames = (requests.THINGS, requests.KINDS)
    assert requests.request(Asked(), (), (), frames, random.Random(0)) is None
    assert "glasses" in (requests.request(Asked(), ("glasses",), (), frames, random.Random(0)) or "")


def test_complaints_name_what_had_been_and_wishes_what_is() -> None:
    said = requests.turn("the sun", "dimmer", "bright").said()
    assert "I wish the sun were dimmer" in said and "the sun shouldn't be so bright" in said
    assert not any("shouldn't" in phrase and "dimmer" in phrase for phrase in said)


def test_a_reason_stands_beside_a_request_and_speaks_of_how_it_had_been() -> None:
    grounds = requests.turn("the sun", "dimmer", "bright").grounds()
    assert "the sun is too bright, {r}" in grounds and "{r}, not bright" in grounds
    asked = Asked(("dim it",), grounds=grounds)
    said = [requests.request(asked, (), (), ((), ()), random.Random(seed)) or "" for seed in range(400)]
    assert all("dim" in text for text in said)
    reasoned = sum("bright" in text for text in said) / len(said)
    assert reasoned == pytest.approx(requests.REASONED, abs=0.06)


def test_colours_are_named_in_every_frame() -> None:
    assert all("teal" in phrase for phrase in coloured("shirt", ("teal",)))
    assert set(coloured("eyes", ("blue", "blue"))) == set(coloured("eyes", ("blue",)))


SIDES = {
    "portraits": {
        r"\b(take|remove|get rid of|lose|drop) .*\b(glasses|spectacles)": ("glasses", -1),
        r"\b(remove|take|get rid of|lose|drop|shave) .*beard": ("beard", -1),
        r"\b(grow|bushy).*beard": ("beard", 1),
        r"\bolder\b": ("age", 1),
        r"\byounger\b": ("age", -1),
        r"(?<!no )longer hair\b": ("hair.length", 1),
        r"darken .*skin|darker skin": ("skin", -1),
    },
    "skies": {
        r"\b(remove|get rid of|lose|without|fewer|less) .*clouds": ("cloud_cover", -1),
        r"\b(add|(?<!no )more) clouds": ("cloud_cover", 1),
        r"\b(remove|get rid of|lose) .*(aurora|northern)": ("aurora", -1),
        r"(make it|into|after|by) night|midnight": ("time", 1),
        r"(higher|taller|bigger) mountains": ("mountains", 1),
    },
}


@pytest.mark.parametrize("name", list(SIDES))
def test_what_is_asked_for_is_what_is_there(name: str) -> None:
    place, rng = world(name), torch.Generator().manual_seed(4)
    rows = place.random_attributes(20_000, rng)
    met = dict.fromkeys(SIDES[name], 0)
    for row, caption in zip(rows.tolist(), place.captions(rows, rng), strict=True):
        if " and " in caption:
            continue  # two things are asked for
        for pattern, (column, side) in SIDES[name].items():
            if re.search(pattern, caption):
                met[pattern] += 1
                assert side * row[place.columns.index(column)] > 0, caption
    assert min(met.values()) >= 5, met


def test_blanks_lie_between_the_ends_and_leave_the_rest_in_order() -> None:
    tokens = torch.tensor([[49406, 5, 6, 7, 49407, 0, 0, 0], [49406, 1, 2, 3, 4, 5, 6, 49407]])
    rng = torch.Generator().manual_seed(0)
    assert torch.equal(with_blanks(tokens, 0.0, rng), tokens)
    mixed = with_blanks(tokens, 1.0, rng)
    assert torch.equal(mixed[1], tokens[1]), "no room"
    assert 1 <= int((mixed[0] == BLANK).sum()) <= 3 and mixed[0, 0] == 49406
    assert mixed[0][(mixed[0] != BLANK) & (mixed[0] != 0)].tolist() == [49406, 5, 6, 7, 49407]
