"""Figures of generated frames; features are handed in as a callable, so that no network lives here."""
