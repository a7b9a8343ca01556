"""Figures of generated clips: distances of two sets (FID, KID, precision and recall, FVD), and those of a project's reconstruction.

A figure's name says what it was taken with: `fid` and `kid` with Inception, `fvd16` with I3D, everything else after a dash (`fid-squeeze`).
"""

from vedit.metrics.comparing import METRICS, Comparison, Figure, MetricsError, Settings, compare, require
from vedit.metrics.features import FeaturesError
from vedit.metrics.reconstruction import reconstruction
from vedit.metrics.sources import Source, SourceError, open_source

__all__ = [
    "METRICS",
    "Comparison",
    "FeaturesError",
    "Figure",
    "MetricsError",
    "Settings",
    "Source",
    "SourceError",
    "compare",
    "open_source",
    "reconstruction",
    "require",
]
