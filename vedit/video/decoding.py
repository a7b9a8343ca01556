"""One pass over a video file: packets decoded to whole frames at their times, from the beginning or from a key frame on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast

import av
from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vedit.video.container import container_zero, main_video, open_container, packets, reason
from vedit.video.info import SLACK

_RAW = {"h264", "hevc", "vvc", "obu", "m4v", "mjpeg", "vc1", "mpegvideo", "h263", "h261"}
_REORDERING = {"h264", "hevc", "vvc"}  # AVI knows nothing of their order; of MPEG-4's, its reader does
_DEFAULT_RATE = Fraction(25)
_JUMP = 3  # so many frames in a row behind the clock are no stray ones: the file's own clock was set back


@dataclass(frozen=True)
class Timeline:
    """How a file tells time. `zero` is its start in seconds of its own clock, `raw` a stream without timestamps.

    `first` is set where packets are merely numbered as they are stored, not as they are shown: when the first frame stands.
    """

    zero: Fraction
    rate: Fraction
    base: Fraction
    raw: bool
    first: Fraction | None = None

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream) -> Timeline:
        """The timeline of a stream in a container; one without times or rate runs at 25 frames per second."""
        rate = stream.guessed_rate or stream.average_rate or _DEFAULT_RATE
        base = stream.time_base or Fraction(1, av.time_base)
        zero, name = container_zero(container, stream), container.format.name
        numbered = name == "avi" and stream.codec_context.name in _REORDERING
        first = (stream.start_time or 0) * base - zero if numbered else None
        return cls(zero, rate, base, name in _RAW, first)


class Clock:
    """Times of decoded frames, in seconds from the container's start: strictly rising, exact where the file has timestamps."""

    def __init__(self, timeline: Timeline) -> None:
        self.zero, self.interval, self.base, self.raw = timeline.zero, 1 / timeline.rate, timeline.base, timeline.raw
        self.first, self._offset = timeline.first, 0
        self.guessed = self.late = self.jumps = 0
        self._late_in_a_row = 0
        self.end = 0.0
        self.told = 0.0  # duration of the newest frame as the file tells it, 0 where it does not
        self._last: Fraction | None = None

    def __call__(self, frame: VideoFrame) -> float | None:
        """The time of the next frame; without one of its own it follows its predecessor. None where that time has passed."""
        base = frame.time_base or self.base  # PyAV forgets it on the frames that flushing brings out
        ticks = self._ticks(frame)
        if self.raw or ticks is None:
            time = (self.first or Fraction(0)) if self._last is None else self._last + self.interval
            self.guessed += not self.raw and self.first is None
        else:
            time = ticks * base - self.zero
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

    def _ticks(self, frame: VideoFrame) -> int | None:
        """When a frame stands by the file's clock; where that counts packets, by the packet that brought the frame out."""
        if self.first is None or frame.dts is None:
            return None if self.first is not None else frame.pts
        if self._last is None:
            self._offset = frame.dts - round((self.first + self.zero) / self.base)
        return frame.dts - self._offset


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
class Tally:
    """What one pass over the file met."""

    packets: int = 0
    frames: int = 0
    errors: int = 0
    end: float = 0.0  # of all streams, seconds from zero
    broken: str = ""
    wanted: int = 0  # packets of frames that stand in the window


class Decoding:
    """A file open for decoding: `frames` yields (time, decoded frame) from where the last `seek` landed. Use as a context."""

    def __init__(self, path: Path, timeline: Timeline, window: tuple[float, float] = (0.0, math.inf)) -> None:
        self.timeline, self.window = timeline, window
        self.container = open_container(path)
        self.stream = main_video(self.container, path)
        self.stream.thread_type = "AUTO"
        self.tally, self.clock = Tally(), Clock(timeline)
        self.sought = self.deinterlacing = False
        self._decoder = _decoder(self.stream)

    def __enter__(self) -> Decoding:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.container.close()

    def seek(self, time: float) -> bool:
        """Go to a key frame at or before a time, as far as the container knows; False where it cannot. `frames` begins anew."""
        try:
            self.container.seek(
                int((self.timeline.zero + Fraction(time)) / self.timeline.base), stream=self.stream, backward=True
            )
        except av.error.FFmpegError:
            return False
        if self._decoder is not self.stream.codec_context:
            self._decoder.flush_buffers()
        self.tally, self.clock = Tally(), Clock(self.timeline)
        self.sought, self.deinterlacing = True, False
        return True

    def frames(self) -> Iterator[tuple[float, VideoFrame]]:
        """Frames at rising times. After a seek they begin with a key frame: what comes before leans on frames that were not read."""
        for decoded in self._whole_frames():
            if self.sought and decoded.pts is None and self.clock.end == 0:
                return  # nobody knows where the seek landed
            time = self.clock(decoded)
            if time is not None:
                yield time, decoded

    def _whole_frames(self) -> Iterator[VideoFrame]:
        """Decode packet by packet; a damaged packet is counted and passed over."""
        deinterlace: _Deinterlacer | None = None
        begun = not self.sought
        for packet in self._packets():
            try:
                decoded = self._decoder.decode(packet)
            except av.error.FFmpegError as error:
                self._damaged(error)
                continue
            for frame in decoded:
                begun = begun or frame.key_frame
                if not begun:
                    continue
                self.tally.frames += 1
                self.tally.errors += frame.is_corrupt
                if frame.interlaced_frame and deinterlace is None:
                    deinterlace, self.deinterlacing = _Deinterlacer(self.stream), True
                if deinterlace is None:
                    yield frame
                else:
                    yield from deinterlace(frame)
        if deinterlace is not None:
            yield from deinterlace(None)

    def _packets(self) -> Iterator[Packet[VideoStream] | None]:
        """The stream's packets and a final None; the sound's are only looked at, to learn how far the file reaches."""
        first, end = (moment - SLACK for moment in self.window)
        damaged: Packet[VideoStream] | None = None  # waits for the next one: the file's last is one that its end cuts short, no whole frame
        try:
            for packet in packets(self.container, self.stream, *self.container.streams.audio):
                if damaged is not None:
                    yield damaged
                    damaged = None
                self.tally.errors += packet.is_corrupt  # a transport stream tells so of packets with a gap before them
                time = -1.0
                if packet.pts is not None and packet.time_base:
                    time = float(packet.pts * packet.time_base - self.timeline.zero)
                    self.tally.end = max(self.tally.end, time + float((packet.duration or 0) * packet.time_base))
                if packet.stream_index == self.stream.index:
                    self.tally.packets += not packet.is_discard
                    self.tally.wanted += first <= time < end and not packet.is_discard
                    ours = cast("Packet[VideoStream]", packet)
                    if packet.is_corrupt:
                        damaged = ours
                    else:
                        yield ours
        except av.error.FFmpegError as error:
            self._damaged(error)
        yield None

    def _damaged(self, error: av.error.FFmpegError) -> None:
        self.tally.errors += 1
        self.tally.broken = self.tally.broken or reason(error)
