"""The acceptance figures, recomputed: `make accept`, or `python -m tests.accept golden prompts` for some groups of them.

A group is a module of `tests.accept.groups`: its name, a docstring whose first line says what it measures, and `run`.
"""
