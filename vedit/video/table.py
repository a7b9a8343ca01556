"""When the frames of a file stand and which of them are key frames, found by walking through its packets without decoding."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from vedit.video.container import main_video, open_container, packets, track_end
from vedit.video.decoding import Timeline

SCAN_BYTES = 256 << 20
"""A file up to this size is walked through for its exact facts; a larger one is taken at its header's word where it has an index."""

_INDEXED = {"mp4", "matroska"}  # containers whose own index is good for jumping
# GIF frames lean on all those before them; Ogg and MPEG-PS land anywhere.
_SEEKABLE = {*_INDEXED, "avi", "mpegts", "flv"}


@dataclass(frozen=True)
class Table:
    """The shown frames of a stream, ordered by time. `pts` is empty where packets have no times; `count` is always known.

    `sound`: every packet has a time and they rise as they should, so that a frame has the same time wherever reading begins.
    """

    timeline: Timeline
    count: int
    pts: list[int]
    durations: list[int]  # as the packets tell them, 0 where they do not
    keys: list[int]
    sound: bool
    end: float | None  # of the track, where it is known exactly, in seconds from zero

    def key_before(self, time: float) -> float | None:
        """When the last key frame at or before a time stands; None where there is none."""
        place = bisect_right(self.keys, (Fraction(time) + self.timeline.zero) / self.timeline.base)
        return None if place == 0 else float(self.keys[place - 1] * self.timeline.base - self.timeline.zero)

    def shown(self) -> list[tuple[float, float]]:
        """(time, duration) of every frame, in seconds."""
        zero, base, interval = self.timeline.zero, self.timeline.base, 1 / self.timeline.rate
        if not self.pts:
            return [(float(i * interval), float(interval)) for i in range(self.count)]
        times = [float(pts * base - zero) for pts in self.pts]
        last = last_duration(self.end, times[-1], float(self.durations[-1] * base), self.timeline)
        ends = [*times[1:], times[-1] + last]
        return [(time, end - time) for time, end in zip(times, ends, strict=True)]


def last_duration(track: float | None, time: float, told: float, timeline: Timeline) -> float:
    """How long the last frame, at `time`, stands: until the track's end where that is known, else as its packet told."""
    if track is not None and track > time + 1e-6:
        return track - time
    return told or float(1 / timeline.rate)


def walk(path: Path, timeline: Timeline) -> Table:
    """Walk through a file's packets, up to where it breaks off."""
    shown: list[tuple[int, int]] = []
    keys: list[int] = []
    count, sound, last = 0, True, None
    with open_container(path) as container:
        stream = main_video(container, path)
        try:
            for packet in packets(container, stream):
                if packet.dts is not None:  # Matroska keeps none: those of the first packets are unknown
                    sound = sound and (last is None or packet.dts > last)
                    last = packet.dts
                if packet.is_discard:
                    continue
                count += 1
                time = packet.pts if timeline.first is None else packet.dts
                if time is None:
                    continue
                shown.append((time, packet.duration or 0))
                if packet.is_keyframe:
                    keys.append(time)
        except av.error.FFmpegError:
            pass  # reading will say what is missing
        end = track_end(container, stream, count, timeline.zero)
    shown.sort()
    timed = len(shown) == count and not timeline.raw
    sound = sound and timed and all(a[0] < b[0] for a, b in zip(shown, shown[1:], strict=False))
    pts, durations = ([one[i] for one in shown] if timed else [] for i in (0, 1))
    return Table(timeline, count, pts, durations, sorted(keys), sound, end)


def entrances(path: Path, name: str, timeline: Timeline) -> Table | None:
    """The table of a file that can be entered in the middle with the same frames and times as from its beginning, else None.

    `name` is the container's. Of a large file with an index of its own only the key frames are known, by that index.
    """
    names = set(name.split(","))
    if timeline.raw or timeline.first is not None or not names & _SEEKABLE:
        return None
    if path.stat().st_size > SCAN_BYTES and names & _INDEXED:
        return _indexed(path, timeline)
    table = walk(path, timeline)
    return table if table.sound else None


def _indexed(path: Path, timeline: Timeline) -> Table | None:
    with open_container(path) as container:
        stream = main_video(container, path)
        try:
            container.seek(0, backward=True)  # Matroska reads its index only now
        except av.error.FFmpegError:
            return None
        keys = sorted(entry.timestamp for entry in stream.index_entries if entry.is_keyframe and not entry.is_discard)
        end = track_end(container, stream, stream.frames, timeline.zero)
    return Table(timeline, 0, [], [], keys, True, end)
