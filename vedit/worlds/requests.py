"""Requests: what a picture shows, said as someone says it who asks for it ("give him a beard", "could the hair be longer?").

An edit is asked for in words that no caption has. A picture with a beard is therefore also described by what would have been
said to get it. Phrases hold `{him}`, `{he}`, `{his}`, which one draw fills for the whole sentence.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

Words = tuple[str, ...]

SHARE = 0.5
"""Share of captions that are requests."""


def listed(text: str) -> Words:
    """The phrases of a paragraph, between semicolons."""
    return tuple(" ".join(phrase.split()) for phrase in text.split(";"))


_PEOPLE = (
    ("he", "him", "his"), ("he", "him", "his"), ("she", "her", "her"), ("she", "her", "her"), ("they", "them", "their"),
    ("the person", "the person", "the person's"), ("this man", "this man", "this man's"), ("the woman", "the woman", "the woman's"),
    ("my friend", "my friend", "my friend's"), ("someone", "someone", "someone's"), ("the speaker", "the speaker", "the"),
)  # fmt: skip

THINGS = listed("""
    give {him} {x}; give {him} {x}; add {x}; add {x} to {him}; put {x} on {him}; with {x}; let {him} have {x}; could {he} have {x}?; what if
    {he} had {x}; can {he} get {x}?; I want {x}; I'd like {x}; I would like to see {x}; imagine {him} with {x}; show {x}; {x} please; {he}
    should have {x}; how would {he} look with {x}; {he} has {x} now; as if {he} had {x}; now with {x}; {x} instead; go for {x}; let me see
    {x}; make {him} have {x}; {he} gets {x}; {x} would be nice; {he} could do with {x}; {he} needs {x}; try {him} with {x}; pop {x} on; how
    about {x}?; stick {x} on {him}; change it so that {he} has {x}; {him} but with {x}; throw in {x}; slap {x} on {him}; I'd love {x}; I'd
    love to see {him} with {x}; let's give {him} {x}; let's see {him} with {x}; {he} suddenly has {x}; what would {he} look like with {x}?;
    how would {x} look on {him}?; wouldn't {x} suit {him}?; {x} would suit {him}; {he} could use {x}; {x} would be fun; {x} would be so nice;
    only thing missing is {x}; just add {x}; just {x}; switch to {x}; go with {x}; {he} wants {x}
""")
KINDS = listed("""
    make {him} {x}; make {him} look {x}; turn {him} into a {x} person; turn {him} into someone {x}; let {him} be {x}; {he} should be {x}; what
    if {he} were {x}; could {he} be {x}?; {he} looks {x}; a {x} version of {him}; change {him} to be {x}; as if {he} were {x}; I want {him}
    {x}; someone {x}; a {x} man; a {x} woman; a {x} guy; a {x} lady; {x} please; rather {x}; let's make {him} {x}; I'd love {him} to be {x};
    what would {he} look like {x}?; what if {he} was {x}?; {he} turns {x}; suddenly {x}; {he} became {x}; {he} has become {x}; someone who is
    {x}; transform {him} into someone {x}; just make {him} {x}; {he} is {x} now; show {him} {x}; more {x}; super {x}
""")
SCENES = listed("""
    add {x}; give me {x}; show {x}; I want {x}; I'd like {x}; let there be {x}; with {x}; make it {x}; turn it into {x}; put {x} in; {x}
    please; could there be {x}?; what if there was {x}; now with {x}; as if there was {x}; change it to {x}; there should be {x}; let us have
    {x}; a scene with {x}; can we have {x}?; it needs {x}; it could do with {x}; show me {x}; how about {x}?; stick {x} in; stick {x} in the
    distance; put {x} back; I would like to see {x}; {x} instead; bring in {x}; there is {x} now; I'd love {x}; I'd love some {x}; let's have
    {x}; let's add {x}; let's see {x}; throw in {x}; where is {x}?; where are {x}?; I miss {x}; the scene needs {x}; the picture needs {x};
    transform it into {x}; only {x}; just {x}; just add {x}; suddenly {x}; {x} would be lovely; {x} would be nice; lots of {x}; loads of {x};
    such {x}; {x} all around
""")
LOOKS = listed("""
    make it {x}; make the sky {x}; let it be {x}; turn it {x}; it should be {x}; could it be {x}?; I want it {x}; what if it was {x}; a {x}
    version; make the scene {x}; change it to {x}; {x} please; as if it were {x}; it looks {x} now; let's make it {x}; I'd love it {x}; it
    should look {x}; make everything {x}; nice and {x}; super {x}; just make it {x}; why isn't it {x}?; why isn't it {x} yet?; it's {x} now;
    it becomes {x}; suddenly {x}; transform it so that it looks {x}; make the whole thing {x}; more {x}
""")
DENIALS = listed("""
    I don't want {x}; I don't want any {x}; there shouldn't be any {x}; there should be no {x}; no {x}; no more {x}; not any {x}; without {x};
    without any {x}; no {x} at all; can you remove the {x}?; remove the {x}; take the {x} away; take those {x} away; take {his} {x} off; {x}
    off; get rid of the {x}; get rid of {his} {x}; get rid of every {x}; I'd rather have no {x}; rather without {x}; the {x} has to go; the
    {x} must go; {he} doesn't have {x}; {he} isn't wearing {x}; {he} hasn't got {x}; lose the {x}; hide the {x}; drop the {x}; skip the {x};
    don't show {x}; it isn't {x} any more; it shouldn't be {x} anymore; not {x}; not {x} any more; never {x}; the {x} is gone; {x} gone; erase
    the {x}; delete the {x}; away with {his} {x}; what if there was no {x}?; could we do without the {x}?; as if there never was {x}; {he}
    shouldn't have {x}; {he} does not need {x}; free of {x}; {x}-free; zero {x}; nothing of the {x} left; imagine {him} without {x}; minus the
    {x}; ditch the {x}; scrap the {x}; lose that {x}; I hate the {x}; I hate that {x}; I don't like the {x}; I'd love it without {x}; enough
    of the {x}; let's get rid of the {x}; let's lose the {x}; let's remove {x}; wipe away the {x}; make the {x} go away; make the {x}
    disappear; make the {x} vanish; kill the {x}; less {x}; there's too much {x}; too much {x}; {x} no longer; nobody needs {x}; just no {x};
    {x} should vanish; throw the {x} out; not {x} please; {he} never had {x}; strip the {x}; only without {x}; take out the {x}; take that {x}
    out; the {x} looks fake, take it out; the {x} look fake, take them out; the {x} looks wrong, remove it; the {x} looks silly, get rid of
    it; the {x} spoils it, take it away; those {x} spoil the picture, take them away; the {x} bothers me; that {x} is ugly; {x}? no thanks;
    see the {x}? get rid of it; see those {x}? remove them; I'm tired of the {x}; nobody wants the {x}, lose it; I'd rather not see the {x};
    the {x}, take it out; the {x}, take them out; the {x}, get rid of them; why the {x}? take it off; leave out the {x}; leave the {x} out
""")
_WISHES = listed("""
    I wish {s} were {x}; could {s} be {x}?; {s} should be {x}; let {s} get {x}; {s} could be way {x}; {s} needs to be {x}; {s} ought to be
    {x}; make {s} {x}; {s} must become {x}; get {s} {x}; I want {s} {x}; I'd like {s} to be {x}; {s} a lot {x}; {s} has to get {x}; have {s}
    {x}; {s} looks better {x}; what if {s} went {x}?; {x} for {s}; use {s} but {x}; I'd love {s} {x}; I'd love {s} to be {x}; {s} so much {x};
    turn {s} {x}; {s} becomes {x}; let's make {s} {x}; let's have {s} {x}; why isn't {s} {x}?; why isn't {s} {x} yet?; just make {s} {x}; {s}
    super {x}; {s} all {x}; {s} really should look {x}; make {s} look {x}; push {s} until {x}; {s} nice and {x}; {x} is how {s} should be
""")
_COMPLAINTS = listed("""
    {s} shouldn't be so {x}; {s} is too {x}; {s} is far too {x}; not so {x} please {s}; make {s} less {x}; {s} should not look {x}; don't
    leave {s} so {x}; {s} isn't {x} any more; {s} was too {x}; {s} is no longer {x}; {s} not {x} at all; stop {s} from being {x}; I don't like
    {s} so {x}; {s} less {x}; not as {x} {s}; {s} needn't be that {x}; I hate {s} so {x}; {s} is way too {x}; {s} looks way too {x}; why so
    {x} {s}?; {s} is just too {x}; nobody likes {s} so {x}; {s} used to be {x}; tone {s} down it's too {x}; {s} mustn't be {x}; enough of {s}
    being {x}; {s} much less {x}
""")


_GROUNDS = listed("""
    {s} is too {x}, {r}; {s} looks too {x}, {r}; {s} looks {x}, {r}; {s} is so {x}, {r}; too {x}, {r}; it's too {x}, {r}; it's far too {x},
    {r}; {r}, it's too {x}; {r}, {s} is too {x}; {r}, not {x}; {r}, not so {x}; {r} rather than {x}; {r} and not {x}; {s} isn't right so {x},
    {r}; why is {s} so {x}? {r}; {s} shouldn't be {x}, {r}; not {x}, {r}; not {x}, {r} instead; not {x} but {r}; instead of {x}, {r}; instead
    of {x} {r}; {r} instead of {x}; no longer {x}, {r}; not {x} any more, {r}; I don't like {x}, {r}; {s} is {x} now, {r}; less {x}, {r};
    enough of {x}, {r}; from {x} to {r}; {s} isn't {x} any longer, {r}; don't want {s} {x}, {r}
""")
"""A request {r} and its reason: how it is now."""

REASONED = 0.2
"""Share of those requests that give a reason, of all that could."""


@dataclass(frozen=True)
class Turn:
    """Adjectives to wish of some subjects (`wanted`), and their opposites to complain of (`unwanted`)."""

    subjects: Words
    wanted: Words
    unwanted: Words = ()

    def said(self) -> Words:
        """Wishes that a subject were as it is, and complaints that it had been otherwise."""
        ways = ((_WISHES, self.wanted), (_COMPLAINTS, self.unwanted))
        return tuple(
            frame.replace("{s}", subject).replace("{x}", word) for frames, words in ways for frame in frames for subject in self.subjects for word in words
        )

    def grounds(self) -> Words:
        """Frames of a request `{r}` with its reason: how a subject had been."""
        return tuple(frame.replace("{s}", subject).replace("{x}", word) for frame in _GROUNDS for subject in self.subjects for word in self.unwanted)


def turn(subjects: str, wanted: str, unwanted: str = "") -> Turn:
    """A turn from lists between semicolons."""
    return Turn(listed(subjects), listed(wanted), listed(unwanted) if unwanted else ())


_BEFORE = listed("""
    please; I think; now; for once; so; actually; in this clip; maybe; and; hey; ok; okay; well; oh; hmm; hello; can you; could you; kindly;
    just; let's say; let's try; what about; how about; I wonder; I wish; if only; honestly; but; perhaps; can we; could we; why not; this
    time; today; for a change; I guess; I'd say; imagine; suppose; quickly; simply; finally; once again
""")
_AFTER = listed("""
    please; instead; now; a bit; for me; in the video; this time; if possible; thanks; in this clip; I mean; really; here; today; ok; okay;
    already; yet; still; again; for once; for fun; for a change; or so; if you can; if you like; that's it; that's all; right now; at last;
    too; as well; thank you; cheers; would you; will you; can you; somehow; nearly; almost; mate; love; right; in this video; in the picture;
    wouldn't that be nice; that would be great; that would be lovely; it would look better; it looks boring; for the whole clip; from start to
    end
""")
_MORE = listed("""
    really; much; very; quite; completely; rather; far; truly; clearly; totally; pretty; so; such; super; extremely; absolutely; just;
    slightly; somewhat; a little; a lot; properly; seriously; kind of; sort of; only; even; fully; way; actually; definitely
""")


def fill(frame: str, x: str, draw: random.Random) -> str:
    """A frame with its thing and one person put in; an article before a vowel is mended."""
    he, him, his = draw.choice(_PEOPLE)
    text = frame.replace("{x}", x)
    if "{his} hair" in text and draw.random() < 0.3 or "{his} eyes" in text and draw.random() < 0.3:
        his = "the"
    text = text.replace("{he}", he).replace("{him}", him).replace("{his}", his)
    for vowel in "aeiou":
        text = text.replace(f" a {vowel}", f" an {vowel}")
    return text


def dressed(text: str, draw: random.Random) -> str:
    """The request with small words around it, now and then."""
    if draw.random() < 0.18:
        text = f"{draw.choice(_BEFORE)} {text}"
    if draw.random() < 0.22:
        text = f"{text} {draw.choice(_AFTER)}"
    if draw.random() < 0.12:
        pieces = text.split()
        pieces.insert(draw.randrange(len(pieces) + 1), draw.choice(_MORE))
        text = " ".join(pieces)
    return text


@dataclass(frozen=True)
class Asked:
    """What someone asks for who wants a fact: phrases of its own, wishes and complaints (`Turn`), things that shall be gone, and reasons."""

    phrases: Words = ()
    turned: Words = ()
    lacks: Words = ()
    grounds: Words = ()


def gathered(phrases: Mapping[str, Words], turned: Mapping[str, Turn], lacks: Mapping[str, Words]) -> dict[str, Asked]:
    """All that is asked for, by topic and side."""
    turns = {key: turned.get(key, Turn((), ())) for key in phrases}
    return {key: Asked(phrases[key], turns[key].said(), lacks.get(key, ()), turns[key].grounds()) for key in phrases}


def request(asked: Asked, things: Words, kinds: Words, frames: tuple[Words, Words], draw: random.Random) -> str | None:
    """One request for a fact: as it is asked for, or a frame filled with a thing that is there, a kind, or a thing that is gone; None
    where nothing can be asked."""
    ways: list[tuple[float, Words, Words]] = [
        (3.0, asked.phrases, ("{x}",)),
        (2.0, asked.turned, ("{x}",)),
        (1.5, things, frames[0]),
        (1.0, kinds, frames[1]),
        (3.0, asked.lacks, DENIALS),
    ]
    ways = [way for way in ways if way[1]]
    if not ways:
        return None
    _, words, around = draw.choices(ways, [way[0] for way in ways])[0]
    frame = draw.choice(around)
    if asked.grounds and words is not asked.turned and draw.random() < REASONED:
        frame = draw.choice(asked.grounds).replace("{r}", frame)
    return dressed(fill(frame, draw.choice(words), draw), draw)
