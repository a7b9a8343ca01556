"""The sound of a written video: a source's packets copied untouched where the container takes them, encoded anew where not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Literal, TypeAlias, cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import Disposition

from vedit.timing import finite, positive
from vedit.video.container import container_zero, main_video, open_container
from vedit.video.info import VideoError, VideoWarning

SoundKind = Literal["none", "copied", "encoded"]
Timed: TypeAlias = "tuple[float, Packet[AudioStream]]"
"""A packet and when it is heard, in seconds from the written file's start."""

_COPIED = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"},
    "mov": {"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_s16be", "pcm_s24be", "pcm_f32le"},
    "matroska": {
        "aac",
        "mp3",
        "ac3",
        "eac3",
        "alac",
        "opus",
        "flac",
        "vorbis",
        "dts",
        "pcm_s16le",
        "pcm_s24le",
        "pcm_f32le",
    },
    "webm": {"opus", "vorbis"},
}
_ENCODER = {"mp4": "aac", "mov": "aac", "matroska": "libopus", "webm": "libopus"}
_SILENCE = {"aac": "aac", "opus": "libopus", "mp3": "libmp3lame"}
_EDIT_LISTS = {"mp4", "mov"}  # these containers can begin to play in the middle of what they hold
_AAC_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}
_BIT_RATE = 160_000
_NEAR_END = (
    0.1  # seconds: a render that stops no earlier than this before its source's last frame is one of the whole clip
)


@dataclass(frozen=True)
class SoundPlan:
    """What of a source's sound is wanted.

    The source's second `start` becomes the written file's 0; sound from `end` on (None: see `write`) is left out; it is played
    `speed` times as fast; `silence` seconds follow its end.
    """

    path: Path
    start: float = 0.0
    end: float | None = None
    speed: float = 1.0
    silence: float = 0.0

    def __post_init__(self) -> None:
        positive("the sound's speed", self.speed)
        if finite("the sound's start", self.start) < 0 or finite("the silence", self.silence) < 0:
            raise VideoError(
                f"found the sound's start {self.start:g} s and {self.silence:g} s of silence; neither can be negative"
            )
        if self.end is not None and finite("the sound's end", self.end) <= self.start:
            raise VideoError(f"the sound's end at {self.end:g} s is not after its start at {self.start:g} s")


class Sound:
    """The sound stream of one written file. Open it before the header is written, then take `packets` as the pictures go on."""

    def __init__(self, plan: SoundPlan, output: OutputContainer) -> None:
        self.plan = plan
        self.kind: SoundKind = "none"
        self._format = output.format.name
        self._source = open_container(plan.path)
        self._pending: Timed | None = None
        try:
            self._open(output)
        except BaseException:
            self._source.close()
            raise

    def _open(self, output: OutputContainer) -> None:
        streams = self._source.streams.audio
        if not streams:
            self._packets: Iterator[Timed] = iter(())
            return
        self._stream = max(streams, key=lambda one: bool(one.disposition & Disposition.default))
        videos = [one for one in self._source.streams.video if not one.disposition & Disposition.attached_pic]
        video = main_video(self._source, self.plan.path) if videos else None
        self._zero = container_zero(self._source, video)
        self.source_end = None if video is None else _video_end(self._source, self._zero)
        name = self._stream.codec_context.codec.canonical_name
        silence = self._silence_packets() if self.plan.silence else []
        copied = (
            self.plan.speed == 1
            and name in _COPIED.get(self._format, set())
            and (bool(silence) or not self.plan.silence)
        )
        if copied:
            self.kind = "copied"
            self._output = output.add_stream_from_template(self._stream)
            self._packets = self._copied(silence)
        else:
            self.kind = "encoded"
            self._output = _add_encoder(output, self._stream.codec_context)
            self._packets = self._encoded()

    def due(self, until: float) -> Iterator[Packet[AudioStream]]:
        """The packets heard before `until` seconds that were not yielded yet."""
        while True:
            self._pending = self._pending or next(self._packets, None)
            if self._pending is None or self._pending[0] >= until:
                return
            packet, self._pending = self._pending[1], None
            yield packet

    def rest(self, end: float) -> Iterator[Packet[AudioStream]]:
        """The last packets, when the pictures end at `end` seconds: all where the whole source was shown, else those before the end."""
        whole = (
            self.kind != "none"
            and self.source_end is not None
            and self.plan.start + end * self.plan.speed >= self.source_end - _NEAR_END
        )
        told = self.plan.end is not None or self.plan.silence > 0
        yield from self.due(float("inf") if whole or told else end)
        if self.kind == "encoded":
            yield from self._output.encode(None)

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()

    def _heard(self, pts: int, base: Fraction) -> float:
        """When a time stamp of the source is heard, in seconds from the written file's start, before any change of speed."""
        return float(pts * base - self._zero) - self.plan.start

    def _demuxed(self) -> Iterator[Packet[AudioStream]]:
        if self.plan.start > 1:
            self._source.seek(int((self._zero + Fraction(self.plan.start - 1)) * av.time_base), backward=True)
        try:
            for packet in self._source.demux(self._stream):
                if packet.size and packet.pts is not None and packet.time_base:
                    yield packet
        except av.error.FFmpegError as error:
            warnings.warn(
                f"the sound of {self.plan.path} is damaged and ends early ({error.strerror})",
                VideoWarning,
                stacklevel=2,
            )

    def _copied(self, silence: list[Packet[AudioStream]]) -> Iterator[Timed]:
        """The source's own packets over [start, end), shifted; then `silence`."""
        shift: int | None = None
        before: Timed | None = None
        until = float("inf") if self.plan.end is None else self.plan.end - self.plan.start
        following, base = 0, Fraction(1)
        for packet in self._demuxed():
            assert packet.pts is not None
            base = packet.time_base
            heard, length = self._heard(packet.pts, base), float((packet.duration or 0) * base)
            if heard >= until - 1e-6:
                break
            shift = round((self._zero + Fraction(self.plan.start)) / base) if shift is None else shift
            packet.pts, packet.dts = packet.pts - shift, (packet.pts if packet.dts is None else packet.dts) - shift
            following = packet.pts + max(packet.duration or 0, self._stream.codec_context.frame_size or 0)
            if not self._wanted(heard, length):
                before = heard, packet
                continue
            if before is not None and self._format in _EDIT_LISTS:
                yield before  # a decoder needs the packet before the first one heard
            before = None
            yield heard, packet
        for packet in silence:
            packet.pts = packet.dts = following
            packet.time_base, packet.duration = (
                base,
                round(self._stream.codec_context.frame_size / self._stream.rate / base),
            )
            following += packet.duration
            packet.stream = self._output
            yield float(packet.pts * base), packet

    def _wanted(self, heard: float, length: float) -> bool:
        """Whether a packet belongs to the written sound: all of it where a container can cut into a packet or nothing was cut."""
        if self._format in _EDIT_LISTS:
            return heard + length > 1e-6 or self.plan.start == 0
        # Anything before 0 would push the pictures back; only Opus has its own way to say how much of it is priming.
        primed = 0.01 if self.plan.start == 0 and self._stream.codec_context.codec.canonical_name == "opus" else 0.0
        return heard >= -1e-4 - primed

    def _silence_packets(self) -> list[Packet[AudioStream]]:
        """`plan.silence` seconds of silence as packets that continue the source's stream; none where that cannot be done."""
        context = self._stream.codec_context
        name = context.codec.canonical_name
        if (
            name not in _SILENCE
            or (name == "aac" and context.profile != "LC")
            or context.channels > 2
            or not context.frame_size
        ):
            return []
        encoder = cast("AudioCodecContext", av.CodecContext.create(_SILENCE[name], "w"))
        encoder.sample_rate, encoder.layout, encoder.time_base = (
            context.sample_rate,
            context.layout.name,
            Fraction(1, context.sample_rate),
        )
        encoder.format = (encoder.codec.audio_formats or [encoder.format])[0]
        encoder.open()
        if encoder.frame_size != context.frame_size:
            return []
        count = -(-int(self.plan.silence * context.sample_rate) // encoder.frame_size)
        packets: list[Packet[AudioStream]] = []
        for _ in range(count + 8):  # some more than are wanted, since an encoder begins late
            packets += cast("list[Packet[AudioStream]]", encoder.encode(_quiet(encoder)))
        return packets[:count]

    def _encoded(self) -> Iterator[Timed]:
        """The source decoded, trimmed, resampled, with silence where it has gaps and at its end, and encoded."""
        graph = self._graph()
        position = 0
        for frame in self._filtered(graph):
            frame.pts, frame.time_base = position, Fraction(1, frame.sample_rate)
            heard, position = position / frame.sample_rate, position + frame.samples
            for packet in self._output.encode(frame):
                yield heard, packet

    def _graph(self) -> Graph:
        encoder = self._output.codec_context
        graph = Graph()
        length = "" if self.plan.end is None else f":end={self.plan.end - self.plan.start}"
        tempo = self.plan.speed
        halves: list[tuple[str, str]] = []
        while tempo < 0.5:
            tempo, halves = tempo * 2, [*halves, ("atempo", "0.5")]
        nodes = [
            graph.add_abuffer(template=self._stream, time_base=self._stream.time_base),
            graph.add("atrim", f"start=0{length}"),
            graph.add("aresample", f"{encoder.sample_rate}:async=1000:first_pts=0"),
            *(graph.add(name, value) for name, value in [*halves, ("atempo", f"{tempo}")] if self.plan.speed != 1),
            *([graph.add("apad", f"pad_dur={self.plan.silence}")] if self.plan.silence else []),
            graph.add(
                "aformat",
                f"sample_fmts={encoder.format.name}:sample_rates={encoder.sample_rate}:channel_layouts={encoder.layout.name}",
            ),
            graph.add("abuffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        if encoder.frame_size:
            graph.set_audio_frame_size(encoder.frame_size)
        return graph

    def _filtered(self, graph: Graph) -> Iterator[AudioFrame]:
        base = self._stream.time_base or Fraction(1, self._stream.rate)
        shift = round((self._zero + Fraction(self.plan.start)) / base)
        decoder = self._stream.codec_context
        for packet in chain(self._demuxed(), (None,)):
            try:
                frames = decoder.decode(packet)
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if frame.pts is not None:
                    frame.pts, frame.time_base = frame.pts - shift, base
                try:
                    graph.push(frame)
                except av.error.EOFError:  # the trimming has all it wants
                    break
                yield from _pulled(graph)
        with suppress(av.error.EOFError):
            graph.push(None)
        yield from _pulled(graph)


def _pulled(graph: Graph) -> Iterator[AudioFrame]:
    while True:
        try:
            yield cast("AudioFrame", graph.pull())
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _video_end(container: InputContainer, zero: Fraction) -> float:
    """When a source's pictures end, as its header says, in seconds from its start; 0 where it says nothing."""
    ends = [
        float(((one.start_time or 0) + one.duration) * one.time_base - zero)
        for one in container.streams.video
        if one.duration and one.time_base and not one.disposition & Disposition.attached_pic
    ]
    return max(ends, default=(container.duration or 0) / 1_000_000)


def _add_encoder(output: OutputContainer, source: AudioCodecContext) -> AudioStream:
    name = _ENCODER[output.format.name]
    rate = source.sample_rate if name == "aac" and source.sample_rate in _AAC_RATES else 48_000
    stream = cast("AudioStream", output.add_stream(name, rate=rate))
    stream.codec_context.layout = "mono" if source.channels == 1 else "stereo"
    stream.codec_context.bit_rate = _BIT_RATE
    return stream


def _quiet(encoder: AudioCodecContext) -> AudioFrame:
    planar = encoder.format.is_planar
    shape = (encoder.channels, encoder.frame_size) if planar else (1, encoder.channels * encoder.frame_size)
    kind = {"flt": np.float32, "fltp": np.float32, "s16": np.int16, "s16p": np.int16, "s32p": np.int32}[
        encoder.format.name
    ]
    frame = AudioFrame.from_ndarray(np.zeros(shape, kind), format=encoder.format.name, layout=encoder.layout.name)
    frame.sample_rate = encoder.sample_rate
    return frame
