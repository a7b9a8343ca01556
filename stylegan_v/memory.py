"""What errors say that memory ran out."""

from __future__ import annotations


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out: the card's, torch's on the CPU, or Python's own."""
    of_torch = type(error).__name__ == "OutOfMemoryError" or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    return of_torch or isinstance(error, MemoryError)
