"""One video file being written: pictures encoded, sound beside them, packets in the order a player wants."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from vedit.video.codecs import FORMATS, Codec
from vedit.video.info import Pixels, VideoError
from vedit.video.schedule import Schedule
from vedit.video.sound import Sound, SoundKind, SoundPlan

_BT709, _LIMITED = 1, 1  # AVCOL_SPC_BT709 (and its primaries and curve), AVCOL_RANGE_MPEG
_EXACT = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)


class Movie:
    """A video container being written to `path` (under a provisional name; `suffix` is that of the real one)."""

    def __init__(
        self,
        path: Path,
        suffix: str,
        codec: Codec,
        crf: float | None,
        schedule: Schedule,
        sound: SoundPlan | None,
        metadata: dict[str, str],
    ) -> None:
        self.codec, self.crf, self.schedule, self.sound_plan = codec, crf, schedule, sound
        flags = {"movflags": "use_metadata_tags+faststart"} if suffix in (".mp4", ".mov") else {}
        if suffix == ".gif":
            flags = {"loop": "0"}
        self.container: OutputContainer = av.open(str(path), "w", format=FORMATS[suffix], container_options=flags)
        self.container.metadata.update(metadata)
        self.sound: Sound | None = None
        self.stream: VideoStream | None = None
        self._durations: dict[int, int] = {}
        self._reformatter = VideoReformatter()  # one for the whole file
        self._palette: _Palette | None = None

    @property
    def sound_kind(self) -> SoundKind:
        """What became of the sound."""
        return "none" if self.sound is None else self.sound.kind

    def add(self, image: Pixels, i: int) -> None:
        """Encode picture number i, uint8 [H, W, 3]."""
        if self.stream is None:
            self._begin(image.shape[1], image.shape[0])
        assert self.stream is not None
        frame = self._frame(image)
        frame.pts, frame.time_base = self.schedule.tick(i), self.schedule.base
        self._durations[self.schedule.tick(i)] = self.schedule.duration(i)
        self._mux(cast("list[Packet[VideoStream]]", self.stream.encode(frame)))

    def finish(self, count: int) -> None:
        """Write what the encoders still hold, the rest of the sound, and the file's end; `count` pictures were added."""
        assert self.stream is not None
        self._mux(cast("list[Packet[VideoStream]]", self.stream.encode(None)))
        if self.sound is not None:
            for packet in self.sound.rest(self.schedule.end(count)):
                self.container.mux(packet)
            self.sound.close()
        self.container.close()

    def abort(self) -> None:
        """Let go of everything; what was written so far is of no use."""
        if self.sound is not None:
            self.sound.close()
        try:
            self.container.close()
        except (av.error.FFmpegError, ValueError):
            pass  # a file that was never begun, or a full disk: it is deleted anyway

    def _begin(self, width: int, height: int) -> None:
        codec, odd = self.codec, width % 2 or height % 2
        if min(width, height) < codec.least:
            raise VideoError(f"found frames of {width}×{height} pixels; {codec.name} takes {codec.least} and more a side; choose another codec")
        stream = cast(
            "VideoStream", self.container.add_stream(codec.encoder, rate=self.schedule.rate, options=self._options())
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = codec.odd_format if odd and codec.odd_format else codec.pixel_format
        stream.time_base = stream.codec_context.time_base = self.schedule.base
        if codec.tag:
            stream.codec_context.codec_tag = codec.tag
        if not codec.rgb:
            context = stream.codec_context
            context.colorspace, context.color_primaries, context.color_trc, context.color_range = (
                _BT709,
                _BT709,
                _BT709,
                _LIMITED,
            )
        if codec.name == "gif":
            self._palette = _Palette(width, height, self.schedule.base)
        self.stream = stream
        if self.sound_plan is not None:
            self.sound = Sound(self.sound_plan, self.container)
        self.container.start_encoding()

    def _options(self) -> dict[str, str]:
        options = {**self.codec.options, **({} if self.crf is None else {"crf": f"{self.crf:g}"})}
        if self.schedule.ticks is not None and self.codec.reorders:
            options["bf"] = (
                "0"  # MP4 keeps the length of the last frame of a variable rate only where frames are stored in order
            )
        if self.codec.name == "av1":
            os.environ.setdefault("SVT_LOG", "1")  # the encoder writes to the terminal by itself; errors only
        return options

    def _frame(self, image: Pixels) -> VideoFrame:
        frame = VideoFrame.from_ndarray(image, format="rgb24")
        assert self.stream is not None
        if self._palette is not None:
            return self._palette(frame)
        if self.codec.rgb:
            return self._reformatter.reformat(frame, format=self.stream.pix_fmt, threads=1)
        tagged = self._reformatter.reformat(
            frame,
            format=self.stream.pix_fmt,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=_EXACT,
            threads=1,
        )
        tagged.color_primaries = tagged.color_trc = _BT709  # ProRes takes them from its frames
        return tagged

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            # Encoders forget how long a frame stands, and a container would guess it for the last one.
            if packet.pts is not None and packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
            if self.sound is not None and packet.dts is not None:
                for heard in self.sound.due(float(packet.dts * self.schedule.base)):
                    self.container.mux(heard)
            self.container.mux(packet)


class _Palette:
    """Reduces each frame to the 256 colours that suit it best, dithered."""

    def __init__(self, width: int, height: int, base: Fraction) -> None:
        self.graph = Graph()
        add = self.graph.add
        source = self.graph.add_buffer(width=width, height=height, format=av.VideoFormat("rgb24"), time_base=base)
        split, palette, use, sink = (
            add("split"),
            add("palettegen", "stats_mode=single:reserve_transparent=0"),
            add("paletteuse", "new=1"),
            add("buffersink"),
        )
        source.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(palette, 1, 0)
        palette.link_to(use, 0, 1)
        use.link_to(sink)
        self.graph.configure()
        self.base, self._count = base, 0

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The frame with a palette of its own."""
        frame.pts, frame.time_base = self._count, self.base
        self._count += 1
        self.graph.vpush(frame)
        return self.graph.vpull()
