"""Reading and writing video: exact times, upright pictures, right colours, and the sound beside them."""

from vedit.video.info import Frame, Pixels, VideoError, VideoInfo, VideoNotFound, VideoWarning

__all__ = ["Frame", "Pixels", "VideoError", "VideoInfo", "VideoNotFound", "VideoWarning"]
