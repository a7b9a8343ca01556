"""Figures of generators; features come in as callables, so that nothing here knows a network."""
