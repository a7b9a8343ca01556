"""One video file through PyAV: opening it safely, its timeline, decoding in order, seeking, and noticing what is missing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vedit.timing import constant_rate
from vedit.video.info import Frame, Pixels, VideoError, VideoInfo, VideoNotFound, VideoWarning
from vedit.video.picture import MAX_PIXELS, Picture

# Only demuxers of self-contained files. Playlists (hls, dash, concat), which open other addresses, and guesses at text are left out.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,flv,asf,ogg,ivf,mxf,nut,rm,dv,wtv,swf,yuv4mpegpipe,"
    "h264,hevc,vvc,av1,obu,m4v,mjpeg,vc1,h263,h261,mp3,wav,flac,aac,aiff,amr,ac3,eac3,w64,caf"
)
_RAW = {"h264", "hevc", "vvc", "obu", "m4v", "mjpeg", "vc1", "mpegvideo", "h263", "h261"}
_DEFAULT_RATE = Fraction(25)
_SCAN_BYTES = 256 << 20  # a file up to this size is walked packet by packet for its exact facts; a larger one is taken at its word


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
        raise VideoError(f"{path} is not a video that can be read ({_reason(error)}); give a whole video file, an image or a folder of frames") from None


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__).splitlines()[0].lower()


def main_video(container: InputContainer, path: Path) -> VideoStream:
    """The stream a player would show: no cover picture; the default one, then the largest."""
    streams = [stream for stream in container.streams.video if stream.codec_context is not None]
    moving = [stream for stream in streams if not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)]
    if not moving:
        found = "sound and a cover picture" if streams else "sound" if container.streams.audio else "no pictures"
        raise VideoError(f"{path} holds {found} but no video; give a file with moving pictures")
    stream = max(moving, key=lambda one: (bool(one.disposition & Disposition.default), one.width * one.height))
    if stream.width * stream.height > MAX_PIXELS:
        raise VideoError(f"{path} has frames of {stream.width}×{stream.height}; at most {MAX_PIXELS} pixels are read")
    return stream


def _start(stream: Stream) -> Fraction | None:
    return None if stream.start_time is None or stream.time_base is None else stream.start_time * stream.time_base


def container_zero(container: InputContainer, video: VideoStream | None) -> Fraction:
    """The container's start in its own clock: the earliest start of picture and sound, in seconds.

    Sound that starts before 0 does so only to prime its decoder (Opus in Matroska), and is not heard: it counts from 0.
    """
    starts = [max(start, Fraction(0)) for start in map(_start, container.streams.audio) if start is not None]
    shown = None if video is None else _start(video)
    return min([*starts, *([] if shown is None else [shown])], default=Fraction(0))


@dataclass
class _Tally:
    """What one pass over the file met."""

    packets: int = 0
    frames: int = 0
    errors: int = 0
    end: float = 0.0  # of all streams, seconds from zero
    broken: str = ""


class MovingPicture:
    """A video file. Frames come in order, with times from its own timestamps."""

    def __init__(self, path: Path) -> None:
        self.path = path
        container = open_container(path)
        with container:
            stream = main_video(container, path)
            self.raw = container.format.name in _RAW
            self.rate = stream.guessed_rate or stream.average_rate or _DEFAULT_RATE
            self.zero = container_zero(container, stream)

    def info(self) -> VideoInfo:
        """The facts. One frame is decoded for its orientation; a file of moderate size is walked through without decoding."""
        with open_container(self.path) as container:
            stream = main_video(container, self.path)
            audio, format_name = bool(container.streams.audio), container.format.name
            metadata = {key.lower(): value for key, value in container.metadata.items()}  # Matroska writes keys in capitals
            codec = stream.codec_context
            pixel_format = codec.pix_fmt or ""
            fps, count = stream.average_rate or self.rate, stream.frames or None
            length = container.duration / 1_000_000 if container.duration else 0.0
            first = next(iter(self._decoded(container, stream, _Tally())), None)
            if first is None:
                raise VideoError(f"{self.path} holds a video stream but no frame of it can be decoded; give a whole video file")
            image = Picture(self.path.name, stream.sample_aspect_ratio)(first)
        start, constant, times = 0.0, None, self._scan() if self.path.stat().st_size <= _SCAN_BYTES else []
        if times:
            constant_fps = constant_rate([time for time, _ in times], usual=[fps])
            constant = constant_fps is not None if len(times) > 1 else None
            start, count, length = times[0][0], len(times), times[-1][0] + times[-1][1]
            fps = constant_fps or (Fraction(count / (length - start)).limit_denominator(100_000) if length > start else fps)
        height, width = image.shape[:2]
        return VideoInfo(
            width, height, fps, count, length, audio, start=start, constant=constant, codec=codec.name, container=format_name, pixel_format=pixel_format, metadata=metadata
        )

    def _scan(self) -> list[tuple[float, float]]:
        """(time, duration) of every frame that will be shown, from the packets alone; empty where packets have no times."""
        with open_container(self.path) as container:
            stream = main_video(container, self.path)
            shown: list[tuple[int, int]] = []
            try:
                for packet in container.demux(stream):
                    if packet.size and not packet.is_discard:
                        shown.append((packet.pts if packet.pts is not None else -1, packet.duration or 0))
            except av.error.FFmpegError:
                pass  # reading will say what is missing
            base, zero = stream.time_base, self.zero
            stream_end = _track_end(container, stream, len(shown), zero)
        if self.raw or base is None or any(pts == -1 for pts, _ in shown):
            return [(float(i / self.rate), float(1 / self.rate)) for i in range(len(shown))]
        ordered = sorted(shown)
        times = [float(pts * base - zero) for pts, _ in ordered]
        ends = [*times[1:], times[-1] + self._last_duration(stream_end, times[-1], float(ordered[-1][1] * base))] if times else []
        return [(time, end - time) for time, end in zip(times, ends, strict=True)]

    def _last_duration(self, stream_end: float | None, time: float, told: float) -> float:
        """How long the last frame, at `time`, stands: until the track's end where that is known, else as its packet told."""
        if stream_end is not None and stream_end > time + 1e-6:
            return stream_end - time
        return told or float(1 / self.rate)

    def frames(self, start: float, end: float) -> Iterator[Frame]:
        """The frames with start <= time < end (to a tenth of a millisecond), each once, in order."""
        for early in (1.0, 15.0):
            if start <= early or self.raw:
                break
            decoding = self._from(start - early, start, end)
            first = next(decoding, None)
            # A seek is trusted only if it landed before the start: then no frame from there on can be missing.
            if first is not None and first.time < start:
                yield from (frame for frame in decoding if frame.time >= start - 1e-4)
                return
            decoding.close()
        yield from (frame for frame in self._from(None, start, end) if frame.time >= start - 1e-4)

    def _from(self, seek: float | None, start: float, end: float) -> Iterator[Frame]:
        """Frames from a key frame at or before `seek` (None: the beginning) until `end`; those before `start` have no pixels made."""
        tally = _Tally()
        with open_container(self.path) as container:
            stream = main_video(container, self.path)
            picture = Picture(self.path.name, stream.sample_aspect_ratio)
            if seek is not None:
                try:
                    container.seek(int((self.zero + Fraction(seek)) * av.time_base), backward=True)
                except av.error.FFmpegError:
                    return
            times = _Clock(self.zero, 1 / self.rate, stream.time_base or Fraction(1, av.time_base), self.raw)
            waiting: tuple[float, Pixels] | None = None  # a frame's duration is known when the next one comes
            for decoded in self._decoded(container, stream, tally):
                time = times(decoded)
                if waiting is not None:
                    yield Frame(*waiting, time - waiting[0])
                if time >= end - 1e-4:
                    return
                waiting = (time, picture(decoded) if time >= start - 1e-4 else _NOTHING) if time >= start - 1e-4 or tally.frames == 1 else None
            if waiting is not None:
                track_end = _track_end(container, stream, tally.frames, self.zero) if seek is None else None
                yield Frame(*waiting, self._last_duration(track_end, waiting[0], times.told))
            if times.repaired:
                warnings.warn(f"{self.path}: {times.repaired} frames had no time of their own or one out of order; they follow the frame before", VideoWarning, stacklevel=3)
            self._report(container, stream, tally, times.end, whole=seek is None)

    def _decoded(self, container: InputContainer, stream: VideoStream, tally: _Tally) -> Iterator[VideoFrame]:
        """Decode packet by packet; a damaged packet is counted and passed over."""
        stream.thread_type = "AUTO"
        deinterlace: _Deinterlacer | None = None
        for packet in self._packets(container, stream, tally):
            try:
                decoded = cast("list[VideoFrame]", stream.decode(packet))
            except av.error.FFmpegError as error:
                tally.errors += 1
                tally.broken = tally.broken or _reason(error)
                continue
            for frame in decoded:
                tally.frames += 1
                tally.errors += frame.is_corrupt
                if frame.interlaced_frame and deinterlace is None:
                    deinterlace = _Deinterlacer(stream)
                if deinterlace is None:
                    yield frame
                else:
                    yield from deinterlace(frame)
        if deinterlace is not None:
            yield from deinterlace(None)

    def _packets(self, container: InputContainer, stream: VideoStream, tally: _Tally) -> Iterator[Packet[VideoStream] | None]:
        """The stream's packets and a final None; the sound's are only looked at, to learn how far the file reaches."""
        try:
            for packet in container.demux(stream, *container.streams.audio):
                if packet.size == 0:
                    continue
                if packet.pts is not None and packet.time_base:
                    tally.end = max(tally.end, float((packet.pts + (packet.duration or 0)) * packet.time_base - self.zero))
                if packet.stream_index == stream.index:
                    tally.packets += not packet.is_discard
                    yield cast("Packet[VideoStream]", packet)
        except av.error.FFmpegError as error:
            tally.errors += 1
            tally.broken = tally.broken or _reason(error)
        yield None

    def _report(self, container: InputContainer, stream: VideoStream, tally: _Tally, end: float, whole: bool) -> None:
        """After the last frame: warn of what is missing, or raise when nothing could be read."""
        if tally.frames == 0:
            if not whole:
                return
            why = f" ({tally.broken})" if tally.broken else ""
            raise VideoError(f"{self.path} holds a video stream but no frame of it can be decoded{why}; give a whole video file")
        if not whole:
            return
        promised = sum(not entry.is_discard for entry in stream.index_entries) if "mp4" in container.format.name else tally.packets
        expected = max(promised, tally.packets)
        declared = container.duration / 1_000_000 if container.duration and not self.raw else 0.0
        short = declared - max(end, tally.end)
        if tally.frames < expected:
            warnings.warn(
                f"{self.path} is damaged: {tally.frames} of {expected} frames could be read, up to {end:.2f} s; go on with those, or get a whole copy",
                VideoWarning,
                stacklevel=4,
            )
        elif short > max(0.5, 3 / float(self.rate)):
            warnings.warn(
                f"{self.path} ends early: {tally.frames} frames up to {end:.2f} s of {declared:.2f} s could be read; go on with those, or get a whole copy",
                VideoWarning,
                stacklevel=4,
            )
        elif tally.errors:
            warnings.warn(f"{self.path} is damaged: {tally.errors} of {tally.frames} frames were decoded with errors", VideoWarning, stacklevel=4)


_NOTHING: Pixels = np.zeros((0, 0, 3), np.uint8)


def _track_end(container: InputContainer, stream: VideoStream, shown: int, zero: Fraction) -> float | None:
    """When an MP4 track ends, in seconds from zero; None in other containers, and where frames are missing.

    Only there is the track's length kept exactly; what its packets tell is wrong where frames are stored out of order.
    """
    entries = [entry for entry in stream.index_entries if not entry.is_discard]
    if "mp4" not in container.format.name or not stream.duration or not stream.time_base or len(entries) != shown:
        return None
    return float(((stream.start_time or 0) + stream.duration) * stream.time_base - zero)


class _Clock:
    """Times of decoded frames, in seconds from the container's start: strictly rising, exact where the file has timestamps."""

    def __init__(self, zero: Fraction, interval: Fraction, base: Fraction, raw: bool) -> None:
        self.zero, self.interval, self.base, self.raw = zero, interval, base, raw
        self.repaired = 0
        self.end = 0.0
        self.told = 0.0  # duration of the newest frame as the file tells it, 0 where it does not
        self._last: Fraction | None = None

    def __call__(self, frame: VideoFrame) -> float:
        """The time of the next frame; one without a time, or out of order, follows its predecessor by one interval."""
        base = frame.time_base or self.base  # PyAV forgets it on the frames that flushing brings out
        following = Fraction(0) if self._last is None else self._last + self.interval
        if self.raw:
            time = following
        else:
            time = following if frame.pts is None else frame.pts * base - self.zero
            if frame.pts is None or (self._last is not None and time <= self._last):
                time, self.repaired = following, self.repaired + 1
        self._last = time
        told = frame.duration * base if frame.duration else Fraction(0)
        self.told, self.end = float(told), float(time + (told or self.interval))
        return float(time)


class _Deinterlacer:
    """Turns interlaced frames into whole ones, one for one, at their own times (bwdif)."""

    def __init__(self, stream: VideoStream) -> None:
        self.graph = Graph()
        source = self.graph.add_buffer(template=stream, time_base=stream.time_base)
        bwdif = self.graph.add("bwdif", "mode=send_frame:deint=interlaced")
        self.graph.link_nodes(source, bwdif, self.graph.add("buffersink")).configure()

    def __call__(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """Feed one frame (None at the end) and yield those that are ready."""
        self.graph.vpush(frame)
        while True:
            try:
                yield self.graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
