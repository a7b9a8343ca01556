"""Where one scene ends and the next begins, by PySceneDetect on frames that `vedit.video` reads (upright, at their own times)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from vedit.data.sources import PreparationError
from vedit.video import Frame, Pixels

LONGEST = 256  # pixels: pictures are shrunk to this before they are compared
# A cut changes the picture by CHANGE (of 255, mean of hue, saturation and brightness) and RATIO times as much as the frames around it
# change. Two people before the same wall: 13.8 and 62; the most within any scene of five clips, two of them time lapses: 8.4, and 5.1 at 6.1.
# The package's own least change, 15, joins such people, and a clip with a cut in it harms a training more than a scene cut in two.
CHANGE, RATIO = 10.0, 3.5
RATE = 25.0  # the detector counts frames; its own clock is not used


def require_detector() -> None:
    """Raise PreparationError unless PySceneDetect is installed."""
    try:
        import scenedetect  # noqa: F401
    except ImportError:
        raise PreparationError(
            "cutting scenes needs PySceneDetect; install it with pip install 'vedit[scenes]', or choose --no-scenes"
        ) from None


def split(frames: Iterable[Frame], wanted: bool = True) -> Iterator[tuple[int, Frame]]:
    """Every frame with the number of its scene, a few frames late; with `wanted` false all are of scene 0.

    A cut is where the picture changes much more than around it (AdaptiveDetector), so that a fast pan is none. Slow fades are not found.
    """
    if not wanted:
        yield from ((0, frame) for frame in frames)
        return
    require_detector()
    from scenedetect import FrameTimecode
    from scenedetect.detectors import AdaptiveDetector

    detector: Any = AdaptiveDetector(adaptive_threshold=RATIO, min_content_val=CHANGE, min_scene_len=1)
    cuts: set[int] = set()
    waiting: deque[tuple[int, Frame]] = deque()
    scene = 0
    for index, frame in enumerate(frames):
        found = detector.process_frame(FrameTimecode(index, fps=RATE), _small(frame.image))
        cuts.update(cut.frame_num for cut in found)
        waiting.append((index, frame))
        if len(waiting) > detector.event_buffer_length:
            first, ready = waiting.popleft()
            scene += first in cuts
            yield scene, ready
    for first, ready in waiting:
        scene += first in cuts
        yield scene, ready


def _small(image: Pixels) -> Pixels:
    """The picture in OpenCV's order of colours, its longer side at most LONGEST."""
    import cv2

    factor = LONGEST / max(image.shape[:2])
    if factor < 1:
        size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image[:, :, ::-1])
