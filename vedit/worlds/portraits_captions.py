"""Captions of portraits: facts that an attribute row makes visible, said in varied words."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vedit.worlds import requests
from vedit.worlds.portraits_colours import COLOUR_TARGETS, SYNONYMS, colour_name
from vedit.worlds.portraits_requests import ASKED, HAIR, coloured, contrasted
from vedit.worlds.requests import Asked

Row = dict[str, float]
Words = tuple[str, ...]

_OPENERS = (
    "a photo of",
    "a portrait of",
    "a close-up of",
    "a picture of",
    "a webcam picture of",
    "a video of",
    "an image of",
    "a headshot of",
    "here is",
)
_NOUNS = ("person", "person", "person", "face", "portrait", "head", "human", "human face", "individual", "speaker")
_SHIRTS = ("t-shirt", "t-shirt", "shirt", "top", "sweater", "jumper", "pullover")
_WALLS = ("wall", "background", "backdrop")


@dataclass(frozen=True)
class Fact:
    """One thing to be seen and ways to say it: before a noun, after "with" or "has", as a phrase of its own after the noun, or as
    what someone asks for who wants it."""

    topic: str
    before: Words = ()
    has: Words = ()
    after: Words = ()
    weight: float = 1.0  # how readily it is mentioned
    asked: Asked = Asked()


def facts(row: Row) -> list[Fact]:
    """What is clearly visible in a portrait with these columns, in a fixed order."""
    return [*_age(row), *_face(row), *_extras(row), *_hair(row), *_colours(row)]


def _age(row: Row) -> list[Fact]:
    age = row["age"]
    if age > 0.45:
        words: Words = ("old", "elderly", "senior", "aged", "old") + (("wrinkled", "very old") if age > 0.7 else ())
        return [
            Fact("age", words, ("wrinkles", "a wrinkled face", "an old face", "wrinkled skin"), ("of old age",), 1.6, ASKED["age+"])
        ]
    if 0.0 < age < 0.35:
        return [Fact("age", ("middle-aged", "mature"), (), ("in middle age",), 0.8, ASKED["age0"])]
    if age < -0.4:
        return [
            Fact("age", ("young", "youthful", "young-looking"), ("smooth skin", "a young face", "no wrinkles"), (), 1.4, ASKED["age-"])
        ]
    return []


def _face(row: Row) -> list[Fact]:
    found = []
    beard, makeup, skin = row["beard"], row["makeup"], row["skin"]
    if beard > 0.4:
        kinds = ("a full beard", "a thick beard", "a heavy beard") if beard > 0.75 else ("facial hair",)
        found.append(
            Fact("beard", ("bearded", "bearded"), ("a beard", "a beard", "a beard and a moustache", *kinds), (), 1.5, ASKED["beard+"])
        )
    elif -0.35 < beard < 0.05:
        found.append(Fact("beard", ("stubbly",), ("stubble", "some stubble", "a stubble beard"), (), 0.7, ASKED["beard0"]))
    elif beard < -0.65:
        found.append(
            Fact(
                "beard",
                ("clean-shaven", "beardless", "shaven"),
                ("no beard", "a clean-shaven face"),
                ("without a beard",),
                0.9,
                ASKED["beard-"],
            )
        )
    if makeup > 0.35:
        heavy = ("heavy makeup", "strong makeup", "bright red lips") if makeup > 0.7 else ()
        has: Words = (
            "makeup",
            "makeup",
            "lipstick",
            "red lipstick",
            "cosmetics",
            "rouge and lipstick",
            "eye shadow",
            *heavy,
        )
        wearing = ("wearing makeup", "wearing make-up", "wearing lipstick", "in makeup")
        found.append(Fact("makeup", ("made-up",), has, wearing, 1.5, ASKED["makeup+"]))
    elif makeup < -0.6:
        found.append(
            Fact(
                "makeup",
                (),
                ("no makeup", "a natural face without makeup"),
                ("without makeup", "wearing no makeup"),
                0.8,
                ASKED["makeup-"],
            )
        )
    tones: list[tuple[float, str, Words]] = [
        (0.5, "skin_light", ("pale", "light", "fair")),
        (0.0, "skin_tan", ("tan", "tanned")),
        (-0.55, "skin_brown", ("brown",)),
        (-1.01, "skin_dark", ("dark",)),
    ]
    side, tone = next((side, words) for low, side, words in tones if skin >= low)
    clear = not (0.35 < skin < 0.5 or -0.15 < skin < 0.0 or -0.65 < skin < -0.45)
    if clear:
        found.append(
            Fact("skin", tuple(f"{word}-skinned" for word in tone), tuple(f"{word} skin" for word in tone), (), 0.9, ASKED[side])
        )
    return found


def _extras(row: Row) -> list[Fact]:
    found = []
    if row["glasses"] > 0.3:
        wearing = ("wearing glasses", "in glasses", "wearing spectacles", "wearing eyeglasses")
        found.append(
            Fact("glasses", ("bespectacled",), ("glasses", "glasses", "spectacles", "eyeglasses"), wearing, 1.2, ASKED["glasses+"])
        )
    elif row["glasses"] < -0.45:
        found.append(Fact("glasses", (), ("no glasses",), ("without glasses", "not wearing glasses"), 0.8, ASKED["glasses-"]))
    for name, high, low, noun in (
        ("face.width", "wide", "narrow", "face"),
        ("face.jaw", "square", "pointed", "chin"),
        ("brows", "thick", "thin", "eyebrows"),
    ):
        word = high if row[name] > 0.65 else low if row[name] < -0.65 else None
        if word is not None:
            found.append(Fact(name, (), (f"{word} {noun}" if noun == "eyebrows" else f"a {word} {noun}",), (), 0.25))
    return found


def _hair(row: Row) -> list[Fact]:
    age, length, loss = row["age"], row["hair.length"], row["hair.loss"]
    if loss > 0.7:
        return [Fact("hair.loss", ("bald", "balding"), ("a bald head", "little hair", "no hair on top"), (), 1.0, ASKED["bald"])]
    found = []
    if 0.35 < loss < 0.65:
        found.append(Fact("hair.loss", (), ("a receding hairline", "a high forehead"), (), 0.4))
    if length > 0.4:
        found.append(
            Fact("hair.length", ("long-haired",), ("long hair", "long hair", "hair down to the shoulders"), (), 1.0, ASKED["long"])
        )
    elif length < -0.4:
        found.append(Fact("hair.length", ("short-haired",), ("short hair", "short hair", "cropped hair"), (), 1.0, ASKED["short"]))
    words: Words = ()
    asked = Asked()
    if age > 0.55:
        words = ("grey", "gray", "silver") + (("white",) if age > 0.8 else ())
        asked = ASKED["grey"]
    elif age < 0.2:
        name = colour_name("hair", row["hair.a"], row["hair.b"], row["hair.light"])
        if name:
            words = _named("hair", name)
            asked = _asked("hair", name, 2 * HAIR[name])
    if words:
        found.append(
            Fact(
                "hair",
                tuple(f"{word}-haired" for word in words if word != "golden"),
                tuple(f"{word} hair" for word in words),
                (),
                1.3,
                asked,
            )
        )
    return found


def _colours(row: Row) -> list[Fact]:
    found = []
    eyes, shirt, wall = (
        colour_name(name, row[f"{name}.a"], row[f"{name}.b"], row[f"{name}.light"])
        for name in ("eyes", "shirt", "background")
    )
    if eyes:
        words = _named("eyes", eyes)
        found.append(
            Fact("eyes", tuple(f"{word}-eyed" for word in words), tuple(f"{word} eyes" for word in words), (), 1.4, _asked("eyes", eyes))
        )
    if shirt:
        worn = tuple(f"{_a(word)} {thing}" for word in _named("shirt", shirt) for thing in _SHIRTS)
        found.append(
            Fact(
                "shirt",
                (),
                worn,
                tuple(f"{verb} {thing}" for verb in ("in", "wearing") for thing in worn) + (f"dressed in {shirt}",),
                1.5,
                _asked("shirt", shirt),
            )
        )
    if wall:
        places = tuple(f"{_a(word)} {thing}" for word in _named("background", wall) for thing in _WALLS)
        after = tuple(f"{where} {place}" for where in ("in front of", "against", "before") for place in places)
        found.append(Fact("background", (), places, after, 0.9, _asked("background", wall)))
    for topic, things in (("shirt", _SHIRTS), ("background", _WALLS)):
        light = row[f"{topic}.light"]
        if abs(light) > 0.6:
            word = "light" if light > 0 else "dark"
            phrases = tuple(f"a {word} {thing}" for thing in things)
            after = tuple(f"{'in' if topic == 'shirt' else 'in front of'} {phrase}" for phrase in phrases)
            found.append(Fact(f"{topic}.light", (), phrases, after, 0.3, Asked(coloured(topic, (word, word, f"{word}er")))))
    return found


def _named(attribute: str, word: str) -> Words:
    """A colour's word, as often as its synonyms together and at least twice, and these."""
    others = [other for other, same in SYNONYMS[attribute].items() if same == word]
    return (*[word] * max(2, len(others)), *others)


def _asked(attribute: str, word: str, phrases: Words = ()) -> Asked:
    """What someone asks for who wants a colour, sometimes instead of another."""
    others = tuple(name for other in COLOUR_TARGETS[attribute] if other != word for name in _named(attribute, other))
    return Asked(phrases + coloured(attribute, _named(attribute, word)), grounds=contrasted(others))


def _a(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def captions(columns: Sequence[str], attributes: Tensor, rng: torch.Generator) -> list[str]:
    """One caption per attribute row [N, A]; a row's words depend on its own draw from `rng` only."""
    seeds = torch.randint(2**31, (len(attributes),), generator=rng).tolist()
    rows = attributes.tolist()
    return [
        _caption(facts(dict(zip(columns, row, strict=True))), random.Random(seed))
        for row, seed in zip(rows, seeds, strict=True)
    ]


def _caption(known: list[Fact], draw: random.Random) -> str:
    """A sentence or phrase that mentions one to three of the known facts, rarely four."""
    count = min(len(known), draw.choices((1, 2, 3, 4), (0.42, 0.34, 0.19, 0.05))[0])
    pool, told = list(known), []
    for _ in range(count):
        fact = draw.choices(pool, [each.weight for each in pool])[0]
        pool.remove(fact)
        told.append(fact)
    told.sort(key=lambda fact: fact.topic.startswith("background"))  # the wall is named last
    if told and draw.random() < requests.SHARE:
        return _request(told[:2] if draw.random() < 0.15 else told[:1], draw)
    style = draw.random()
    if not told:
        return f"{draw.choice(_OPENERS)} {_a(draw.choice(_NOUNS))}"
    if style < 0.08 and len(told) == 1 and told[0].has and not told[0].topic.startswith("background"):
        return draw.choice(told[0].has)
    if style < 0.22 and all(fact.has and not fact.topic.startswith(("background", "shirt")) for fact in told):
        return f"{draw.choice(('someone who has', 'a person who has', 'this person has', 'the person has'))} {_list([draw.choice(f.has) for f in told])}"
    phrase = _phrase(told, draw)
    if style < 0.60:
        return phrase
    return f"{draw.choice(_OPENERS)} {phrase}"


def _request(told: list[Fact], draw: random.Random) -> str:
    """What someone says who wants these facts."""
    frames = (requests.THINGS, requests.KINDS)
    asked = [requests.request(fact.asked, fact.has, fact.before, frames, draw) or draw.choice(fact.after) for fact in told]
    return " and ".join(asked)


def _phrase(told: list[Fact], draw: random.Random) -> str:
    """A noun with what comes before and after it, such as "an old person with blue eyes in a red shirt"."""
    before: list[str] = []
    has: list[str] = []
    after: list[str] = []
    for fact in told:
        ways = [
            way
            for way, words in (
                (before, fact.before),
                (has, fact.has if not fact.topic.startswith("background") else ()),
                (after, fact.after),
            )
            if words
        ]
        if len(before) == 2 and len(ways) > 1:
            ways = [way for way in ways if way is not before]
        way = draw.choice(ways)
        way.append(draw.choice(fact.before if way is before else fact.has if way is has else fact.after))
    noun = _a(" ".join([*before, draw.choice(_NOUNS)]))
    return " ".join([noun, *(["with", _list(has)] if has else []), *after])


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
