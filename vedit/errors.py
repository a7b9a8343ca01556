"""The errors a user can meet; a command prints one as a single line and exits non-zero."""

from __future__ import annotations


class VeditError(Exception):
    """Base of every error that says what was found, what was wanted and what to do."""
