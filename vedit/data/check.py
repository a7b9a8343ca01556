"""What training will make of a data set: the same code reads it, clip by clip and frame by frame."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

from stylegan_v.archive import DataError
from stylegan_v.config import ConfigError, GeneratorConfig
from stylegan_v.data import ClipDataset, shortest
from stylegan_v.game_config import GameConfig
from stylegan_v.game_fit import check_clips
from vedit.data.cutting import counted
from vedit.data.likeness import Signature, near_duplicates, signature, thumbnail
from vedit.data.manifest import manifest_of
from vedit.data.sources import holds_videos
from vedit.progress import Progress, Task

FRAMES = 3  # a clip shows the discriminator, unless a recipe says otherwise
MAX_SPAN = 32  # frames that they lie apart at the most, likewise
MAX_TOLD = 20  # problems of one clip


@dataclass
class CheckedClip:
    """What training does with a clip: `used`, `skipped` (the rest is trained on) or `refused` (nothing is), and why; `notes` change neither."""

    name: str
    frames: int
    state: Literal["used", "skipped", "refused"] = "used"
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self, reason: str) -> None:
        """Add a reason why training would stop here."""
        self.state = "refused"
        if len(self.reasons) < MAX_TOLD:
            self.reasons.append(reason)

    def broken(self, reason: str) -> None:
        """Add a frame that cannot be read, which in a clip that is skipped does no harm."""
        if self.state == "skipped":
            if len(self.notes) < MAX_TOLD:
                self.notes.append(reason)
        else:
            self.refuse(reason)


@dataclass
class Checked:
    """The verdict on a data set: `ok` is whether training takes it; `problems` and `notes` are those of no one clip.

    `used` and `frames` count what is trained on, `median_length` is its clips' in frames; `classes` the clips with each label, where labels
    are classes.
    """

    path: Path
    clips: list[CheckedClip] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    resolution: int = 0
    c_dim: int = 0
    classes: dict[int, int] = field(default_factory=dict)
    hash: str = ""

    @property
    def ok(self) -> bool:
        """Whether training takes the data set."""
        return not self.problems and not any(clip.state == "refused" for clip in self.clips)

    @property
    def used(self) -> list[CheckedClip]:
        """The clips that are trained on."""
        return [clip for clip in self.clips if clip.state == "used"]

    @property
    def frames(self) -> int:
        """Frames of the clips that are trained on."""
        return sum(clip.frames for clip in self.used)

    @property
    def median_length(self) -> float:
        """Frames of the clip in the middle, 0 without clips."""
        return float(median([clip.frames for clip in self.used] or [0]))


def check(
    path: Path | str,
    *,
    frames: int = FRAMES,
    resolution: int | None = None,
    game: GameConfig | None = None,
    fits: Callable[[ClipDataset], str] | None = None,
    remarks: Callable[[ClipDataset], list[str]] | None = None,
) -> Task[Checked]:
    """Read every frame of a data set as a training with `frames` frames a clip does; what is wrong is in the result, never raised.

    `resolution` is that of the generator, the data set's own if left out. `game` takes the place of both: the check is then what that recipe
    asks for, labels and MoCoGAN's consecutive frames included; `fits` tells a problem with what else it asks, if any, `remarks` what a training
    says of a data set that it takes. Raises DataError where there is nothing at `path`, and for numbers of frames that cannot be drawn.
    """
    if game is not None:
        frames, resolution = game.num_frames, game.generator.resolution
    try:
        least = frames if game is not None and game.consecutive else shortest(frames, MAX_SPAN if game is None else game.sampling.max_span)
    except ValueError as error:
        raise DataError(str(error)) from None
    result = Checked(Path(path))
    try:
        dataset = ClipDataset.survey(path, resolution=resolution)
    except DataError as error:
        if not result.path.exists():
            raise
        result.problems.append(_without(str(error), path))
        return result
    with dataset:
        try:
            manifest_of(dataset)
        except DataError as error:
            result.problems.append(_without(str(error), path))
        result.resolution, result.c_dim, result.hash = dataset.resolution, dataset.c_dim, dataset.hash
        result.clips = [CheckedClip(name, length) for name, length in zip(dataset.names, dataset.lengths, strict=True)]
        _judge(dataset, result, frames, least)
        if game is not None:
            _judge_fit(dataset, result, game)
        if remarks is not None and not result.problems:
            result.notes += remarks(dataset)
        yield from _read_all(dataset, result)
        if fits is not None and result.ok and (problem := fits(dataset)):
            result.problems.append(problem)
    return result


def _without(text: str, path: Path | str) -> str:
    return text.removeprefix(f"{path}: ")


def _judge(dataset: ClipDataset, result: Checked, frames: int, least: int) -> None:
    """What is known before a frame is read: problems of the whole, clips that are too short, labels, numbers of frames."""
    clips = {clip.name: clip for clip in result.clips}
    for clip in result.clips:
        if clip.frames < least:
            clip.state = "skipped"
            clip.reasons.append(f"{counted(clip.frames)}, training with {frames} a clip needs {least}")
        if gap := _gap([file.name for file in dataset.files[clip.name]]):
            clip.notes.append(gap)
    for problem in dataset.problems:
        if problem.where in clips:
            clips[problem.where].refuse(problem.text)
        else:
            result.problems.append(str(problem))
    result.notes += [str(note) for note in dataset.notes]
    if not dataset.names and holds_videos(dataset.path):
        result.problems.append(f"holds videos; make clips of them with `vedit data prepare {dataset.path} -o DATASET`")
    try:
        if dataset.size != (0, 0):
            GeneratorConfig(resolution=dataset.resolution)
    except (ConfigError, DataError) as error:
        result.problems.append(_without(str(error), dataset.path))
    if dataset.names and all(clip.state == "skipped" for clip in result.clips):
        result.problems.append(f"no clip has the {least} frames that {frames} frames a clip need; give longer clips")
    if dataset.c_dim and not dataset.problems:
        labels = [dataset.label(clip) for clip in range(len(dataset))]
        if all(label.sum() == 1 and label.max() == 1 for label in labels):
            result.classes = dict(sorted(Counter(int(label.argmax()) for label in labels).items()))
            if empty := [number for number in range(dataset.c_dim) if number not in result.classes]:
                result.notes.append(f"{len(empty)} of {dataset.c_dim} classes have no clip, such as {empty[0]}")


def _judge_fit(dataset: ClipDataset, result: Checked, game: GameConfig) -> None:
    """What the recipe's networks would not take: labels, sizes, more clips than it has codes for."""
    try:
        check_clips(game, dataset)
    except DataError as error:
        result.problems.append(_without(str(error), dataset.path))


def _gap(names: list[str]) -> str:
    """Where the numbers of a clip's frames do not follow each other, "" where they do or where the names hold none."""
    found = [re.search(r"([0-9]{1,18})\D*$", name.rpartition("/")[2]) for name in names]
    numbers = [int(match[1]) for match in found if match]
    if len(numbers) < len(names):
        return ""
    jumps = [(a, b) for a, b in zip(numbers, numbers[1:], strict=False) if b != a + 1]
    if not jumps:
        return ""
    return f"after frame {jumps[0][0]} comes {jumps[0][1]} ({len(jumps)} such gaps): training takes them for neighbours"


def _read_all(dataset: ClipDataset, result: Checked) -> Task[None]:
    """Read every frame of every clip that training can meet, and compare the clips."""
    total, done = sum(clip.frames for clip in result.clips), 0
    read: list[CheckedClip] = []
    signatures: list[Signature] = []
    same: dict[bytes, str] = {}
    for index, clip in enumerate(result.clips):
        digest, thumbnails = hashlib.sha256(), []
        for frame in range(clip.frames if not dataset.problems or clip.state != "refused" else 0):
            try:
                pixels = dataset.frames(index, [frame])[0]
            except DataError as error:
                clip.broken(_without(str(error), dataset.path))
            else:
                thumbnails.append(thumbnail(pixels))
                digest.update(pixels.numpy().tobytes())
            yield Progress("check", done + frame + 1, total, clip.name)
        done += clip.frames
        if clip.state != "used":
            continue
        twin = same.setdefault(digest.digest(), clip.name)
        if twin != clip.name:
            clip.notes.append(f"has the same frames as {twin}")
            continue
        read.append(clip)
        signatures.append(signature(thumbnails))
    for i, j in near_duplicates(signatures):
        read[j].notes.append(f"looks like {read[i].name}")
