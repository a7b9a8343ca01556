"""One video file: its facts, its frames in order from any moment on or at chosen moments, and word of what is missing."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from vedit.timing import MAX_RATE, constant_rate
from vedit.video.container import main_video, open_container, track_end
from vedit.video.decoding import Decoding, Timeline
from vedit.video.info import SLACK, Frame, Pixels, VideoError, VideoInfo, VideoWarning
from vedit.video.picture import BLACK, WHITE, Picture, square_size
from vedit.video.stills import Mask
from vedit.video.structure import broken_at
from vedit.video.table import SCAN_BYTES, Table, entrances, last_duration, walk

_FIRST_SECOND = 1.0  # a start up to here is not worth a jump
_UNDECODABLE = "holds a video stream but no frame of it can be decoded"
_REMEDY = "go on with those, or get a whole copy"

Timed = tuple[float, VideoFrame]


class MovingPicture:
    """A video file. Frames come in order, with times from its own timestamps."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_container(path) as container:
            stream = main_video(container, path)
            self.container_name = container.format.name
            self.timeline = Timeline.of(container, stream)

    def info(self) -> VideoInfo:
        """The facts. One frame is decoded for its orientation; a file of moderate size is walked through without decoding."""
        with Decoding(self.path, self.timeline) as decoding:
            container, stream = decoding.container, decoding.stream
            told = VideoInfo(
                width=0,
                height=0,
                fps=stream.average_rate or self.timeline.rate,
                frames=stream.frames or None,
                duration=container.duration / av.time_base if container.duration else 0.0,
                audio=bool(container.streams.audio),
                codec=stream.codec_context.name,
                container=container.format.name,
                pixel_format=stream.codec_context.pix_fmt or "",
                # Matroska writes keys in capitals.
                metadata={key.lower(): value for key, value in container.metadata.items()},
            )
            first = next(decoding.frames(), None)
            if first is None:
                raise self._undecodable(decoding)
            height, width = self._picture(decoding)(first[1]).shape[:2]
        return replace(self._measured(told), width=width, height=height)

    def _measured(self, told: VideoInfo) -> VideoInfo:
        """The facts that the packets of a file of moderate size tell better than its header."""
        times = walk(self.path, self.timeline).shown() if self.path.stat().st_size <= SCAN_BYTES else []
        if not times:
            return told
        start, end, count = times[0][0], sum(times[-1]), len(times)
        fps = constant_rate([time for time, _ in times], usual=[told.fps] if told.fps else [])
        constant = fps is not None if count > 1 else None
        if fps is None:
            fps = Fraction(count / (end - start)).limit_denominator(100_000) if end > start and count > 1 else told.fps
        return replace(told, fps=fps, frames=count, duration=end, start=start, constant=constant)

    def frames(self, start: float, end: float) -> Iterator[Frame]:
        """The frames with start <= time < end (to a tenth of a millisecond), each once, in order."""
        return self._frames(start, end, WHITE)

    def masks(self) -> Iterator[Mask]:
        """Every frame as a mask: what is transparent is black."""
        for frame in self._frames(0.0, math.inf, BLACK):
            yield frame.time, frame.image.mean(axis=2).round().astype(np.uint8), frame.duration

    def _frames(self, start: float, end: float, ground: int) -> Iterator[Frame]:
        with self._from(start, end) as (decoding, timed):
            picture = self._picture(decoding, ground)
            waiting: tuple[float, Pixels] | None = None  # a frame's duration is known when the next one comes
            shown, more = 0, False
            for time, decoded in timed:
                if waiting is not None:
                    yield Frame(*waiting, time - waiting[0])
                    waiting = None
                if time >= end - SLACK:
                    more = True
                    break
                if time >= start - SLACK:
                    waiting, shown = (time, picture(decoded)), shown + 1
            if waiting is not None:
                yield Frame(*waiting, self._last_duration(decoding, waiting[0]))
            self._tell(decoding, shown, whole=not decoding.sought and start <= 0 and not more, ended=not more)

    def at(self, moments: Sequence[float]) -> Iterator[Frame]:
        """The frame that stands at each of the moments, in ascending order: the first frame before it begins, the last one after it ended.

        Between moments it goes on decoding, or jumps where a key frame lies on the way; only the frames that are handed on are made pixels.
        """
        table = self._entrances if len(moments) and moments[-1] > _FIRST_SECOND else None
        with ExitStack() as stack:
            decoding = stack.enter_context(Decoding(self.path, self.timeline))
            timed = decoding.frames()
            picture = self._picture(decoding)
            coming: Timed | None = next(timed, None)
            if coming is None:
                raise self._undecodable(decoding)
            shown, frame, errors = coming, None, 0
            coming = next(timed, None)
            picture.size = square_size(shown[1].width, shown[1].height, picture.aspect)
            for moment in moments:
                key = table.key_before(moment) if table is not None and coming is not None else None
                if key is not None and coming is not None and key > coming[0]:
                    errors += decoding.tally.errors
                    landed = self._land(decoding, moment)
                    if landed is None:
                        table, decoding = None, stack.enter_context(Decoding(self.path, self.timeline))
                        landed = decoding.frames()
                    timed, coming = landed, next(landed, None)
                while coming is not None and coming[0] <= moment + SLACK:
                    shown, coming = coming, next(timed, None)
                if frame is None or frame.time != shown[0]:
                    length = self._last_duration(decoding, shown[0]) if coming is None else coming[0] - shown[0]
                    frame = Frame(shown[0], picture(shown[1]), length)
                yield frame
            decoding.tally.errors += errors
            self._tell(decoding, decoding.tally.wanted, whole=False, ended=coming is None)

    @cached_property
    def _entrances(self) -> Table | None:
        """The table of a file in which jumping is safe."""
        return entrances(self.path, self.container_name, self.timeline)

    @cached_property
    def _size(self) -> tuple[int, int]:
        """Width and height of the first frame, with square pixels, before turning: all frames are shown at this size."""
        with Decoding(self.path, self.timeline) as decoding:
            first = next(decoding.frames(), None)
            if first is None:
                raise self._undecodable(decoding)
            return square_size(first[1].width, first[1].height, decoding.stream.sample_aspect_ratio)

    def _picture(self, decoding: Decoding, ground: int = WHITE) -> Picture:
        picture = Picture(self.path.name, decoding.stream.sample_aspect_ratio, ground)
        if decoding.sought:
            picture.size = self._size
        return picture

    @contextmanager
    def _from(self, start: float, end: float) -> Generator[tuple[Decoding, Iterator[Timed]]]:
        """A pass that has all frames from `start` on: from a key frame before it where that is safe, else from the beginning."""
        if start > _FIRST_SECOND and self._entrances is not None:
            with Decoding(self.path, self.timeline, (start, end)) as decoding:
                timed = self._land(decoding, start)
                if timed is not None:
                    yield decoding, timed
                    return
        with Decoding(self.path, self.timeline, (start, end)) as decoding:
            yield decoding, decoding.frames()

    def _land(self, decoding: Decoding, moment: float) -> Iterator[Timed] | None:
        """Jump to a key frame at or before a moment; None where none can be found. The frames from there on are all there."""
        for early in (0.0, 1.0, 15.0):
            if early >= moment or not decoding.seek(moment - early):
                return None
            timed = decoding.frames()
            first = next(timed, None)
            # Making an interlaced frame whole takes its neighbours too.
            needed = moment - (3 / float(self.timeline.rate) if decoding.deinterlacing else 0.0)
            if first is not None and first[0] <= needed + SLACK:
                return itertools.chain([first], timed)
        return None

    def _last_duration(self, decoding: Decoding, time: float) -> float:
        """How long the file's last frame, at `time`, stands."""
        if decoding.sought:
            end = self._entrances.end if self._entrances is not None else None
        else:
            end = track_end(decoding.container, decoding.stream, decoding.tally.frames, self.timeline.zero)
        return last_duration(end, time, decoding.clock.told, self.timeline)

    def _undecodable(self, decoding: Decoding) -> VideoError:
        why = f" ({decoding.tally.broken})" if decoding.tally.broken else ""
        return VideoError(f"{self.path} {_UNDECODABLE}{why}; give a whole video file")

    def _tell(self, decoding: Decoding, shown: int, whole: bool, ended: bool) -> None:
        """After the last frame of a pass: warn of what is missing, or raise when nothing could be read.

        `shown` frames were handed on; `whole`: the pass had no bounds, `ended`: it came to the file's end.
        """
        clock, tally = decoding.clock, decoding.tally
        if tally.frames == 0:
            raise self._undecodable(decoding)
        if clock.guessed:
            self._warn(f"{clock.guessed} frames had no time of their own; they follow the frame before")
        if clock.jumps:
            self._warn(f"the clock is set back {clock.jumps} times; what follows is shown without a gap")
        if clock.late:
            self._warn(f"{clock.late} frames came after their time and were left out")
        expected = self._expected(decoding, whole)
        found = tally.frames if whole else shown
        declared = self._declared(decoding)
        if float(decoding.stream.average_rate or 0) > MAX_RATE:
            self._warn(f"claims {decoding.stream.average_rate} frames per second; its times can hardly be right")
        if found < expected:
            self._warn(f"damaged: {found} of {expected} frames could be read, up to {clock.end:.2f} s; {_REMEDY}")
        elif ended and declared - max(clock.end, tally.end) > max(0.5, 3 / float(self.timeline.rate)):
            self._warn(f"ends early: {clock.end:.2f} s of {declared:.2f} s could be read; {_REMEDY}")
        elif tally.errors:
            self._warn(f"damaged: {tally.frames} frames could be read, {tally.errors} errors on the way; {_REMEDY}")
        elif ended and (place := broken_at(self.path, self.container_name, decoding.stream.id)) is not None:
            self._warn(f"damaged: {tally.frames} frames could be read, the file is broken at byte {place}; {_REMEDY}")

    def _expected(self, decoding: Decoding, whole: bool) -> int:
        """How many frames a pass should have shown, by the packets it met and, for all of a file, by its index."""
        clock, tally, stream = decoding.clock, decoding.tally, decoding.stream
        if not whole:  # the packets' own times tell which were asked for, unless the clock goes by other ones
            return 0 if clock.guessed or clock.jumps or clock.late or clock.first is not None else tally.wanted
        listed = [entry for entry in stream.index_entries if not entry.is_discard]
        if "mp4" in self.container_name:
            return max(len(listed), tally.packets)
        if self.container_name == "avi":  # an empty entry repeats the frame before; some headers count one too many
            empty = sum(entry.size == 0 for entry in listed)
            return max(len(listed) - empty, stream.frames - empty - 1, tally.packets)
        return tally.packets  # elsewhere the index is no full list

    def _declared(self, decoding: Decoding) -> float:
        """How long the file claims to be, in seconds; 0 where it tells nothing."""
        if self.timeline.raw:
            return 0.0
        stream = decoding.stream
        # AVI counts its frames, and shortens its length to what is left of the file.
        counted = (
            stream.frames / float(stream.average_rate or self.timeline.rate) if self.container_name == "avi" else 0.0
        )
        return max((decoding.container.duration or 0) / av.time_base, counted)

    def _warn(self, message: str) -> None:
        warnings.warn(f"{self.path}: {message}", VideoWarning, stacklevel=6)
