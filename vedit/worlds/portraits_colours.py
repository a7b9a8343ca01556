"""Names of the portraits' colours: each word has a prototype among the colour's columns (a, b, light).

A colour is called by the nearest prototype, if that is near enough; and a word points from the middle of the columns to its
prototype, which is what a judge asks of an edit ("purple shirt", "blue eyes", "blond hair").
"""

from __future__ import annotations

import torch
from torch import Tensor

from vedit.errors import VeditError

_PLANE: dict[str, tuple[float, float, float]] = {
    "blue": (0.0, -0.85, -0.05),
    "navy": (0.0, -0.55, -0.9),
    "light blue": (-0.4, -0.6, 0.75),
    "purple": (0.8, -0.85, 0.0),
    "lilac": (0.5, -0.6, 0.8),
    "magenta": (0.9, -0.2, 0.0),
    "pink": (0.75, 0.05, 0.75),
    "red": (0.9, 0.65, -0.35),
    "maroon": (0.7, 0.2, -0.85),
    "orange": (0.75, 0.85, 0.45),
    "brown": (0.4, 0.6, -0.65),
    "yellow": (0.0, 0.9, 0.65),
    "olive": (-0.1, 0.75, -0.4),
    "green": (-0.85, 0.55, 0.0),
    "dark green": (-0.7, 0.3, -0.85),
    "teal": (-0.85, -0.35, -0.1),
    "black": (0.0, 0.0, -0.95),
    "grey": (0.0, 0.0, 0.0),
    "white": (0.0, 0.0, 0.95),
}

# Where each word stands among the columns a, b, light of a colour attribute.
COLOUR_TARGETS: dict[str, dict[str, tuple[float, float, float]]] = {
    "shirt": _PLANE,
    "background": _PLANE,
    "eyes": {
        "blue": (0.0, -0.8, 0.0),
        "green": (-0.75, 0.6, 0.1),
        "brown": (0.7, 0.7, -0.2),
        "grey": (0.45, -0.08, 0.0),
    },
    "hair": {
        "black": (0.0, 0.0, -0.95),
        "brown": (-0.1, 0.1, -0.3),
        "blond": (-0.2, 0.65, 0.8),
        "red": (0.8, 0.5, 0.15),
    },
}

_WEIGHTS = {"shirt": (1.0, 1.0, 0.6), "background": (1.0, 1.0, 0.6), "eyes": (1.0, 1.0, 0.2), "hair": (0.5, 0.5, 1.2)}
_NEAR = {
    "shirt": 0.24,
    "background": 0.24,
    "eyes": 0.38,
    "hair": 0.28,
}  # weighted squared distance beyond which a colour has no name

# Other words for the same colours: of walls and clothes, and of hair.
_PLANE_SYNONYMS = {
    "violet": "purple",
    "plum": "purple",
    "lavender": "lilac",
    "mauve": "lilac",
    "fuchsia": "magenta",
    "rose": "pink",
    "turquoise": "teal",
    "cyan": "teal",
    "gray": "grey",
    "crimson": "red",
    "scarlet": "red",
    "burgundy": "maroon",
    "wine": "maroon",
    "gold": "yellow",
    "lemon": "yellow",
    "tangerine": "orange",
    "chocolate": "brown",
    "khaki": "olive",
    "emerald": "green",
    "forest green": "dark green",
    "sky blue": "light blue",
    "baby blue": "light blue",
    "cobalt": "blue",
    "midnight blue": "navy",
    "snow white": "white",
    "jet black": "black",
}
_EYES_SYNONYMS = {"gray": "grey", "emerald": "green", "jade": "green", "sapphire": "blue", "azure": "blue", "chocolate": "brown", "chestnut": "brown"}
_HAIR_SYNONYMS = {
    "blonde": "blond",
    "golden": "blond",
    "fair": "blond",
    "platinum": "blond",
    "ginger": "red",
    "dark": "black",
    "raven": "black",
    "chestnut": "brown",
}
SYNONYMS: dict[str, dict[str, str]] = {
    "shirt": _PLANE_SYNONYMS,
    "background": _PLANE_SYNONYMS,
    "eyes": _EYES_SYNONYMS,
    "hair": _HAIR_SYNONYMS,
}


class UnknownColour(VeditError, ValueError):
    """A colour word that the attribute has no direction for."""


def colour_name(attribute: str, a: float, b: float, light: float) -> str | None:
    """The prototype's word nearest to a colour's columns, or None where none is near."""
    weights = _WEIGHTS[attribute]

    def distance(word: str) -> float:
        target = COLOUR_TARGETS[attribute][word]
        return sum(w * (x - y) ** 2 for w, x, y in zip(weights, (a, b, light), target, strict=True))

    best = min(COLOUR_TARGETS[attribute], key=distance)
    return best if distance(best) < _NEAR[attribute] else None


def hue_target(attribute: str, word: str) -> Tensor:
    """Unit direction [3] in the columns (a, b, light) of a colour attribute in which `word` lies; raises UnknownColour.

    >>> hue_target("eyes", "blue").tolist()
    [0.0, -1.0, 0.0]
    """
    targets = COLOUR_TARGETS.get(attribute, {})
    target = targets.get(word, targets.get(SYNONYMS.get(attribute, {}).get(word, ""), (0.0, 0.0, 0.0)))
    if target == (0.0, 0.0, 0.0):
        raise UnknownColour(
            f"{attribute!r} has no direction for {word!r}; known: {', '.join(targets) or 'none, it is not a colour'}"
        )
    return torch.nn.functional.normalize(torch.tensor(target), dim=0)
