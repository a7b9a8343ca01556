"""One video file: its facts, its frames in order from any moment on, and word of what is missing."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vedit.timing import constant_rate
from vedit.video.container import container_zero, main_video, open_container, reason, track_end
from vedit.video.info import Frame, Pixels, VideoError, VideoInfo, VideoWarning
from vedit.video.picture import Picture

_RAW = {"h264", "hevc", "vvc", "obu", "m4v", "mjpeg", "vc1", "mpegvideo", "h263", "h261"}
_DEFAULT_RATE = Fraction(25)
_SCAN_BYTES = (
    256 << 20
)  # a file up to this size is walked packet by packet for its exact facts; a larger one is taken at its word
_SLACK = 1e-4  # seconds by which a frame may miss a moment it was asked for, since people write moments in decimals
_JUMP = 3  # so many frames in a row behind the clock are no stray ones: the file's own clock was set back
_UNDECODABLE = "holds a video stream but no frame of it can be decoded"
_NOTHING: Pixels = np.zeros((0, 0, 3), np.uint8)  # of a frame before the moment asked for


class _Clock:
    """Times of decoded frames, in seconds from the container's start: strictly rising, exact where the file has timestamps."""

    def __init__(self, zero: Fraction, interval: Fraction, base: Fraction, raw: bool) -> None:
        self.zero, self.interval, self.base, self.raw = zero, interval, base, raw
        self.guessed = self.late = self.jumps = 0
        self._late_in_a_row = 0
        self.end = 0.0
        self.told = 0.0  # duration of the newest frame as the file tells it, 0 where it does not
        self._last: Fraction | None = None

    def __call__(self, frame: VideoFrame) -> float | None:
        """The time of the next frame; without one of its own it follows its predecessor. None where that time has passed."""
        base = frame.time_base or self.base  # PyAV forgets it on the frames that flushing brings out
        if self.raw or frame.pts is None:
            time = Fraction(0) if self._last is None else self._last + self.interval
            self.guessed += not self.raw
        else:
            time = frame.pts * base - self.zero
            if self._last is not None and time <= self._last:
                self.late += 1
                self._late_in_a_row += 1
                if self._late_in_a_row < _JUMP:
                    return None
                following = self._last + self.interval  # the clock was set back: go on from here by the new one
                self.zero, time, self.jumps = self.zero + time - following, following, self.jumps + 1
                self.late -= 1
            self._late_in_a_row = 0
        self._last = time
        told = frame.duration * base if frame.duration else Fraction(0)
        self.told, self.end = float(told), float(time + (told or self.interval))
        return float(time)


def _decoder(stream: VideoStream) -> VideoCodecContext:
    """The stream's decoder; for VP8 and VP9 with transparency that of libvpx, since FFmpeg's own ones leave it out."""
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1" or name not in av.codecs_available:
        return stream.codec_context
    return cast("VideoCodecContext", av.CodecContext.create(name, "r"))


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
            told = VideoInfo(
                width=0,
                height=0,
                fps=stream.average_rate or self.rate,
                frames=stream.frames or None,
                duration=container.duration / av.time_base if container.duration else 0.0,
                audio=bool(container.streams.audio),
                codec=stream.codec_context.name,
                container=container.format.name,
                pixel_format=stream.codec_context.pix_fmt or "",
                # Matroska writes keys in capitals.
                metadata={key.lower(): value for key, value in container.metadata.items()},
            )
            first = next(self._decoded(container, stream, _Tally()), None)
            if first is None:
                raise VideoError(f"{self.path} {_UNDECODABLE}; give a whole video file")
            height, width = Picture(self.path.name, stream.sample_aspect_ratio)(first).shape[:2]
        return replace(self._measured(told), width=width, height=height)

    def _measured(self, told: VideoInfo) -> VideoInfo:
        """The facts that the packets of a file of moderate size tell better than its header."""
        times = self._scan() if self.path.stat().st_size <= _SCAN_BYTES else []
        if not times:
            return told
        start, end, count = times[0][0], sum(times[-1]), len(times)
        fps = constant_rate([time for time, _ in times], usual=[told.fps] if told.fps else [])
        constant = fps is not None if count > 1 else None
        if fps is None:
            fps = Fraction(count / (end - start)).limit_denominator(100_000) if end > start and count > 1 else told.fps
        return replace(told, fps=fps, frames=count, duration=end, start=start, constant=constant)

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
            stream_end = track_end(container, stream, len(shown), zero)
        if self.raw or base is None or any(pts == -1 for pts, _ in shown):
            return [(float(i / self.rate), float(1 / self.rate)) for i in range(len(shown))]
        ordered = sorted(shown)
        times = [float(pts * base - zero) for pts, _ in ordered]
        if not times:
            return []
        ends = [*times[1:], times[-1] + self._last_duration(stream_end, times[-1], float(ordered[-1][1] * base))]
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
                yield from (frame for frame in decoding if frame.time >= start - _SLACK)
                return
            decoding.close()
        yield from (frame for frame in self._from(None, start, end) if frame.time >= start - _SLACK)

    def _from(self, seek: float | None, start: float, end: float) -> Generator[Frame]:
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
                if seek is not None and decoded.pts is None and tally.frames == 1:
                    return  # nobody knows where the seek landed
                time = times(decoded)
                if time is None:
                    continue
                if waiting is not None:
                    yield Frame(*waiting, time - waiting[0])
                if time >= end - _SLACK:
                    return
                wanted = time >= start - _SLACK
                # The first frame is handed on in any case, so that the caller sees where a seek landed.
                shown = wanted or tally.frames == 1
                waiting = (time, picture(decoded) if wanted else _NOTHING) if shown else None
            if waiting is not None:
                end_of_track = track_end(container, stream, tally.frames, self.zero) if seek is None else None
                yield Frame(*waiting, self._last_duration(end_of_track, waiting[0], times.told))
            if times.guessed:
                self._warn(f"{times.guessed} frames had no time of their own; they follow the frame before")
            if times.jumps:
                self._warn(f"the clock is set back {times.jumps} times; what follows is shown without a gap")
            if times.late:
                self._warn(f"{times.late} frames came after their time and were left out")
            self._report(container, stream, tally, times.end, whole=seek is None)

    def _decoded(self, container: InputContainer, stream: VideoStream, tally: _Tally) -> Iterator[VideoFrame]:
        """Decode packet by packet; a damaged packet is counted and passed over."""
        stream.thread_type = "AUTO"
        decoder = _decoder(stream)
        deinterlace: _Deinterlacer | None = None
        for packet in self._packets(container, stream, tally):
            try:
                decoded = decoder.decode(packet)
            except av.error.FFmpegError as error:
                tally.errors += 1
                tally.broken = tally.broken or reason(error)
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

    def _packets(
        self, container: InputContainer, stream: VideoStream, tally: _Tally
    ) -> Iterator[Packet[VideoStream] | None]:
        """The stream's packets and a final None; the sound's are only looked at, to learn how far the file reaches."""
        try:
            for packet in container.demux(stream, *container.streams.audio):
                if packet.size == 0:
                    continue
                if packet.pts is not None and packet.time_base:
                    end = (packet.pts + (packet.duration or 0)) * packet.time_base - self.zero
                    tally.end = max(tally.end, float(end))
                if packet.stream_index == stream.index:
                    tally.packets += not packet.is_discard
                    yield cast("Packet[VideoStream]", packet)
        except av.error.FFmpegError as error:
            tally.errors += 1
            tally.broken = tally.broken or reason(error)
        yield None

    def _report(self, container: InputContainer, stream: VideoStream, tally: _Tally, end: float, whole: bool) -> None:
        """After the last frame: warn of what is missing, or raise when nothing could be read."""
        if not whole:
            return
        if tally.frames == 0:
            why = f" ({tally.broken})" if tally.broken else ""
            raise VideoError(f"{self.path} {_UNDECODABLE}{why}; give a whole video file")
        entries = stream.index_entries if "mp4" in container.format.name else ()  # elsewhere the index is no full list
        expected = max(sum(not entry.is_discard for entry in entries), tally.packets)
        declared = 0.0
        if not self.raw:  # AVI counts its frames, and shortens its length to what is left of the file
            counted = 0.0 if entries else stream.frames / float(stream.average_rate or self.rate)
            declared = max((container.duration or 0) / av.time_base, counted)
        remedy = "go on with those, or get a whole copy"
        if tally.frames < expected:
            self._warn(f"damaged: {tally.frames} of {expected} frames could be read, up to {end:.2f} s; {remedy}")
        elif declared - max(end, tally.end) > max(0.5, 3 / float(self.rate)):
            self._warn(
                f"ends early: {tally.frames} frames up to {end:.2f} s of {declared:.2f} s could be read; {remedy}"
            )
        elif tally.errors:
            self._warn(f"damaged: {tally.errors} of {tally.frames} frames were decoded with errors")

    def _warn(self, message: str) -> None:
        warnings.warn(f"{self.path}: {message}", VideoWarning, stacklevel=6)
