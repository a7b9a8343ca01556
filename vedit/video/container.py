"""A media file through PyAV: opening it safely, the stream that counts, where its time begins and ends."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from vedit.video.info import VideoError, VideoNotFound
from vedit.video.picture import MAX_PIXELS

# Only demuxers of self-contained files. Playlists (hls, dash, concat), which open other addresses, and guesses at text are left out.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,flv,asf,ogg,ivf,mxf,nut,rm,dv,wtv,swf,yuv4mpegpipe,"
    "h264,hevc,vvc,av1,obu,m4v,mjpeg,vc1,h263,h261,mp3,wav,flac,aac,aiff,amr,ac3,eac3,w64,caf"
)


def open_container(path: Path) -> InputContainer:
    """Open a media file so that it cannot reach any other file or address; VideoError in one line when it is none."""
    if not path.exists():
        raise VideoNotFound(path)
    if not path.is_file():
        raise VideoError(f"{path} is neither a file nor a folder; give a video, an image or a folder of frames")
    if path.stat().st_size == 0:
        raise VideoError(f"{path} is empty; give a whole video file")
    options = {"protocol_whitelist": "file", "format_whitelist": _DEMUXERS}
    try:
        # An absolute path, so that a name such as "concat:a" is never taken for an address.
        return av.open(str(path.resolve()), mode="r", options=options, metadata_errors="replace")
    except PermissionError:
        raise VideoError(f"{path} may not be read; check its permissions") from None
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(
            f"{path} is not a video that can be read ({reason(error)}); give a whole video file, an image or a folder of frames"
        ) from None


def reason(error: Exception) -> str:
    """What FFmpeg says of an error, in a few words."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__).splitlines()[0].lower()


def main_video(container: InputContainer, path: Path) -> VideoStream:
    """The stream a player would show: no cover picture; the default one, then the largest."""
    streams = [stream for stream in container.streams.video if stream.codec_context is not None]
    moving = [
        stream
        for stream in streams
        if not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
    ]
    if not moving:
        found = "sound and a cover picture" if streams else "sound" if container.streams.audio else "no pictures"
        raise VideoError(f"{path} holds {found} but no video; give a file with moving pictures")
    stream = max(moving, key=lambda one: (bool(one.disposition & Disposition.default), one.width * one.height))
    if stream.width * stream.height > MAX_PIXELS:
        raise VideoError(f"{path} has frames of {stream.width}×{stream.height}; at most {MAX_PIXELS} pixels are read")
    return stream


def packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Stream]]:
    """The packets of some streams in the order of the file, without the empty ones that ask decoders for what they hold."""
    try:
        yield from (packet for packet in container.demux(*streams) if packet.size)
    except IndexError:
        return  # PyAV trips, after the last packet, over a stream that appeared late: damaged transport streams have such


def _start(stream: Stream) -> Fraction | None:
    return None if stream.start_time is None or stream.time_base is None else stream.start_time * stream.time_base


def container_zero(container: InputContainer, video: VideoStream | None) -> Fraction:
    """The container's start in its own clock: the earliest start of picture and sound, in seconds.

    Sound that starts before 0 does so only to prime its decoder (Opus in Matroska), and is not heard: it counts from 0.
    """
    starts = [max(start, Fraction(0)) for start in map(_start, container.streams.audio) if start is not None]
    shown = None if video is None else _start(video)
    if video is not None and shown is None:
        shown = _first_shown(container, video)
    return min([*starts, *([] if shown is None else [shown])], default=Fraction(0))


def _first_shown(container: InputContainer, video: VideoStream) -> Fraction | None:
    """The earliest time among the first packets, for a stream whose header tells no start; leaves the container rewound."""
    try:
        first = islice(packets(container, video), 32)  # more than any codec reorders
        times = [packet.pts * packet.time_base for packet in first if packet.pts is not None and packet.time_base]
        container.seek(0, backward=True)
    except av.error.FFmpegError:
        return None
    return min(times, default=None)


def track_end(container: InputContainer, stream: VideoStream, shown: int, zero: Fraction) -> float | None:
    """When an MP4 track ends, in seconds from zero; None in other containers, and where frames are missing.

    Only there is the track's length kept exactly; what its packets tell is wrong where frames are stored out of order.
    """
    entries = [entry for entry in stream.index_entries if not entry.is_discard]
    if "mp4" not in container.format.name or not stream.duration or not stream.time_base or len(entries) != shown:
        return None
    return float(((stream.start_time or 0) + stream.duration) * stream.time_base - zero)
