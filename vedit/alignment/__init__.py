"""Which square of every frame a generator sees: by a face's landmarks, by hand, or the middle of the picture."""

from vedit.alignment.crops import AlignmentError, AlignmentWarning, Crops, find_crops, invert
from vedit.alignment.extract import extract
from vedit.alignment.faces import Detector, Face, NoDetector, faces_in, load_detector

__all__ = [
    "AlignmentError",
    "AlignmentWarning",
    "Crops",
    "Detector",
    "Face",
    "NoDetector",
    "extract",
    "faces_in",
    "find_crops",
    "invert",
    "load_detector",
]
