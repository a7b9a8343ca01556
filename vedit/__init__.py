"""vedit: find a clip in a video generator, change it by words, render it at any frame rate."""

__version__ = "0.1.0"
