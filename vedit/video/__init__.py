"""Reading and writing video: exact times, upright pictures, right colours, and the sound beside them."""

from vedit.video.info import Frame, Pixels, VideoError, VideoInfo, VideoNotFound, VideoWarning
from vedit.video.rate import at_rate
from vedit.video.reader import probe, read, read_at, sample
from vedit.video.stills import read_mask
from vedit.video.writer import Written, write

__all__ = [
    "Frame",
    "Pixels",
    "VideoError",
    "VideoInfo",
    "VideoNotFound",
    "VideoWarning",
    "Written",
    "at_rate",
    "probe",
    "read",
    "read_at",
    "read_mask",
    "sample",
    "write",
]
