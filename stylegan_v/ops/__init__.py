"""Convolutions and resampling, each as a plain reference and as an exact, faster rewrite."""
