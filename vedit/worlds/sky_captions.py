"""Captions of skies: facts that an attribute row makes visible, said in varied words, and what a few words mean."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vedit.worlds import requests
from vedit.worlds.requests import Asked
from vedit.worlds.sky_requests import ASKED

Row = dict[str, float]
Words = tuple[str, ...]

WORD_TARGETS: dict[str, dict[str, float]] = {
    "bright sun": {"sun_brightness": 1.0},
    "hidden sun": {"sun_brightness": -1.0},
    "cloudy": {"cloud_cover": 1.0},
    "very cloudy day": {"cloud_cover": 1.0},
    "clear sky": {"cloud_cover": -1.0},
    "aurora": {"aurora": 1.0},
    "no aurora": {"aurora": -1.0},
    "night": {"time": 1.0},
    "day": {"time": -1.0},
    "mountains": {"mountains": 1.0},
    "sea": {"sea": 1.0},
    "mist": {"haze": 1.0},
    "high sun": {"sun_height": 1.0},
    "low sun": {"sun_height": -1.0},
}
"""Words and the column each one moves, with its sign. A sunset is no direction: dusk lies between day and night."""

_OPENERS = ("a photo of", "a picture of", "a time lapse of", "an image of", "a view of", "here is", "a video of")
_NOUNS = ("a sky", "the sky", "a landscape", "a scene", "the horizon", "an outdoor scene")


@dataclass(frozen=True)
class Fact:
    """One thing to be seen: phrases that stand alone or after "with", words that go before "sky" or "scene", and what someone asks for
    who wants it."""

    topic: str
    phrases: Words
    before: Words = ()
    weight: float = 1.0  # how readily it is mentioned
    asked: Asked = Asked()


def facts(row: Row) -> list[Fact]:
    """What is clearly visible in a sky with these columns, in a fixed order."""
    return [*_time(row), *_clouds(row), *_sun(row), *_aurora(row), *_land(row)]


def _time(row: Row) -> list[Fact]:
    time = row["time"]
    if time > 0.6:
        words: Words = ("night", "a night sky", "a starry night", "stars", "darkness", "the dark of night")
        if row["cloud_cover"] > 0.2:
            words = ("night", "a night sky", "darkness", "a dark night")
        return [Fact("time", words, ("night", "dark", "nightly"), 1.6, ASKED["night"])]
    if -0.15 < time < 0.3:
        words = ("sunset", "dusk", "twilight", "evening light", "a sunset", "an evening sky")
        tint: Words = ("pink", "rosy") if row["glow_tint"] > 0.4 else ("orange", "golden") if row["glow_tint"] < -0.4 else ()
        return [Fact("time", words + tuple(f"{colour} dusk" for colour in tint), ("evening", "dusky", *tint), 1.4, ASKED["dusk"])]
    if time < -0.55:
        return [Fact("time", ("day", "daylight", "daytime", "a day", "broad daylight"), ("daytime",), 1.0, ASKED["day"])]
    return []


def _clouds(row: Row) -> list[Fact]:
    cover = row["cloud_cover"]
    if cover > 0.7:
        words: Words = ("a very cloudy sky", "overcast", "an overcast sky", "heavy clouds", "a grey sky full of clouds", "thick clouds")
        words += ("a very cloudy day", "a very cloudy day", "an overcast day") if row["time"] < -0.3 else ()
        return [Fact("clouds", words, ("very cloudy", "overcast", "cloudy"), 1.5, ASKED["cloudy"])]
    if cover > 0.2:
        kind: Words = ("streaks of cloud", "streaky clouds") if row["cloud_streak"] > 0.5 else ("puffy clouds",) if row["cloud_streak"] < -0.5 else ()
        words = ("many clouds", "a cloudy sky", "clouds", *kind)
        return [Fact("clouds", words, ("cloudy",), 1.2)]
    if cover < -0.6:
        words = ("a clear sky", "no clouds", "a cloudless sky", "a sky without clouds", "hardly a cloud")
        return [Fact("clouds", words, ("clear", "cloudless"), 1.0, ASKED["clear"])]
    return []


def _sun(row: Row) -> list[Fact]:
    sun, night = row["sun_brightness"], row["time"] > 0.35
    found = []
    if sun > 0.45 and not night and row["cloud_cover"] < 0.75:
        words: Words = ("bright sun", "a bright sun", "a blazing sun", "strong sunlight", "sunshine", "a dazzling sun", "a glaring sun")
        found.append(Fact("sun", words, ("sunny", "sunlit"), 1.5, ASKED["sun+"]))
        if abs(row["sun_x"]) > 0.6:
            side = "left" if row["sun_x"] < 0 else "right"
            found.append(Fact("side", (f"the sun on the {side}",), (), 0.4, ASKED[side]))
    elif sun > 0.3 and row["time"] > 0.6 and row["cloud_cover"] < 0.5:
        found.append(Fact("sun", ("a moon", "a bright moon", "moonlight"), ("moonlit",), 0.8))
    elif sun < -0.6 and not night:
        found.append(Fact("sun", ("a hidden sun", "no sun", "no sun to be seen", "a dim sun"), ("sunless",), 0.8, ASKED["sun-"]))
    if sun > -0.1 and not night and row["cloud_cover"] < 0.75:  # a faint one too: a sun that is higher is not brighter
        if row["sun_height"] < -0.6:
            found.append(Fact("height", ("a low sun", "the sun near the horizon"), (), 0.9, ASKED["low"]))
        elif row["sun_height"] > 0.5 and row["time"] < -0.2:
            found.append(Fact("height", ("a high sun", "the sun high up"), (), 0.9, ASKED["high"]))
    return found


def _aurora(row: Row) -> list[Fact]:
    strength = row["aurora"]
    if strength > 0.35 and row["cloud_cover"] < 0.75:
        hue: Words = ("a green aurora",) if row["aurora_hue"] < -0.4 else ("a violet aurora", "a purple aurora") if row["aurora_hue"] > 0.4 else ()
        return [Fact("aurora", ("aurora", "an aurora", "northern lights", "polar lights", "aurora curtains", *hue), (), 1.6, ASKED["aurora+"])]
    if strength < -0.5:
        return [Fact("aurora", ("no aurora", "no northern lights"), (), 0.8, ASKED["aurora-"])]
    return []


def _land(row: Row) -> list[Fact]:
    found = []
    if row["mountains"] > 0.45:
        found.append(Fact("mountains", ("mountains", "high mountains", "peaks", "mountain peaks"), ("mountainous",), 0.7, ASKED["mountains+"]))
    elif row["mountains"] < -0.7:
        found.append(Fact("mountains", ("a flat horizon", "no mountains"), (), 0.7, ASKED["mountains-"]))
    if row["sea"] > 0.4:
        found.append(Fact("sea", ("the sea", "water", "the ocean", "a lake", "open water"), (), 0.7, ASKED["sea+"]))
    elif row["sea"] < -0.5:
        found.append(Fact("sea", ("land", "fields", "no water"), (), 0.4, ASKED["sea-"]))
    if row["haze"] > 0.55:
        found.append(Fact("haze", ("mist", "haze", "fog", "misty air"), ("hazy", "misty", "foggy"), 0.8, ASKED["haze+"]))
    elif row["haze"] < -0.6:
        found.append(Fact("haze", ("clear air",), (), 0.3, ASKED["haze-"]))
    return found


def captions(columns: Sequence[str], attributes: Tensor, rng: torch.Generator) -> list[str]:
    """One sentence per attribute row [N, A]; a row's words depend on its own draw from `rng`, not on its neighbours."""
    seeds = torch.randint(2**31, (attributes.shape[0],), generator=rng).tolist()
    rows = [dict(zip(columns, values, strict=True)) for values in attributes.tolist()]
    return [_caption(facts(row), random.Random(seed)) for row, seed in zip(rows, seeds, strict=True)]


def _caption(found: list[Fact], draw: random.Random) -> str:
    chosen = _choose(found, draw.choices((1, 2, 3), (5, 4, 2))[0], draw)
    if not chosen:
        return f"{draw.choice(_OPENERS)} {draw.choice(_NOUNS)}"
    if draw.random() < requests.SHARE:
        asked = chosen[:2] if draw.random() < 0.15 else chosen[:1]
        told = [requests.request(fact.asked, fact.phrases, fact.before, (requests.SCENES, requests.LOOKS), draw) for fact in asked]
        return " and ".join(filter(None, told))
    front = [fact for fact in chosen if fact.before and draw.random() < 0.45][:2]
    behind = [draw.choice(fact.phrases) for fact in chosen if fact not in front]
    if not front and draw.random() < 0.5:
        return _joined(behind, draw)  # a bare phrase
    noun = draw.choice(_NOUNS)
    if front:
        words = " ".join(draw.choice(fact.before) for fact in front)
        noun = f"{_article(words)} {words} {noun.split(' ', 1)[1]}"
    sentence = f"{draw.choice(_OPENERS)} {noun}" if draw.random() < 0.75 else noun
    return f"{sentence} with {_joined(behind, draw)}" if behind else sentence


def _choose(found: list[Fact], count: int, draw: random.Random) -> list[Fact]:
    """Up to `count` facts, drawn by weight without replacement."""
    left, chosen = list(found), list[Fact]()
    while left and len(chosen) < count:
        fact = draw.choices(left, [one.weight for one in left])[0]
        left.remove(fact)
        chosen.append(fact)
    return chosen


def _joined(phrases: list[str], draw: random.Random) -> str:
    if len(phrases) < 2:
        return "".join(phrases)
    return ", ".join(phrases[:-1]) + draw.choice((" and ", ", ", " and ")) + phrases[-1]


def _article(words: str) -> str:
    return "an" if words[0] in "aeiou" else "a"
