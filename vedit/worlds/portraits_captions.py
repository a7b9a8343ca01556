from __future__ import annotations
def captions(columns, attributes, rng):
    return ["a person"] * len(attributes)
