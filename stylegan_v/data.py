"""Clips to train on: a folder or a zip of `video/000000.jpg …`, and the frames of them that a step sees (section 4 of the paper's set-up)."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from stylegan_v.archive import Archive, DataError, Entry, open_archive
from stylegan_v.streams import stream

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
OTHER_SUFFIXES = (".avif", ".bmp", ".gif", ".heic", ".ppm", ".tif", ".tiff")  # images that are not read
FORMATS = ("JPEG", "PNG", "WEBP")  # by Pillow's names; its readers of rarer formats are not let near untrusted files
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")  # eight bits a channel
MAX_IMAGE = 64 << 20  # bytes
MAX_PIXELS = 4096 * 4096  # the largest resolution a network here can have
# Bytes that are read of dataset.json: in any case, for each image, whose name and label take a hundred, and at the most. JSON takes up to
# twenty-four times as much memory as text, and a zip from anywhere may hold gigabytes of it in a few kilobytes.
LABELS_ROOM, LABEL_ROOM, MAX_LABELS = 1 << 20, 1 << 10, 256 << 20
WANTED_LABELS = 'wanted {"labels": [["video/000000.jpg", 3], …]} with classes or lists of numbers, or null'
MAX_CLASSES = 1 << 14
MAX_SPAN = 2048  # frames
Label = int | tuple[float, ...]  # a class, or numbers; () for none
# What Pillow raises, by format and kind of damage; SyntaxError is its word for a broken PNG.
_BROKEN = (OSError, SyntaxError, EOFError, ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error)


@dataclass(frozen=True)
class Problem:
    """Why a data set cannot be trained on: a clip, a file or the whole (`where` empty), and what is wrong, in one line."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


class ClipDataset:
    """Clips of a folder or a zip: a clip is a folder with images, its name the path to it, its frames the images in the order of their numbers.

    `names`, `lengths` (frames) and labels have one entry a clip; `others` are the files that are no images. `resolution` is the side of the
    square frames that `frames` returns, `c_dim` the size of a label (0 without labels), `hash` the identity of the list of files (names,
    sizes, CRCs or times of change), `fingerprint` hashes that tell what of it differs.
    `problems` (see `survey`) is empty for a data set that `open` returned; `notes` are oddities that do not keep it from being used.
    May be used in forked and spawned processes and in threads.
    """

    def __init__(self, archive: Archive, resolution: int | None) -> None:
        self.archive, self.path = archive, archive.path
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        entries = archive.entries()
        images = [entry for entry in entries if entry.name.lower().endswith(SUFFIXES)]
        self.files = _clips_of(images, self.notes)
        self.others = [entry for entry in entries if not entry.name.lower().endswith(SUFFIXES)]
        if others := [entry.name for entry in self.others if entry.name.lower().endswith(OTHER_SUFFIXES)]:
            text = f"is not read, as {len(others)} images of kinds other than {', '.join(SUFFIXES)}; `vedit data prepare` takes them"
            self.notes.append(Problem(others[0], text))
        self.names = list(self.files)
        self.lengths = [len(files) for files in self.files.values()]
        if not self.names:
            self.problems.append(Problem("", "holds no clips; wanted images in a folder for each video, such as video/000000.jpg"))
        self.size = self._survey_sizes()
        self.resolution = self._resolution(resolution)
        tables = [entry for entry in self.others if PurePosixPath(entry.name).name == "dataset.json"]
        self.c_dim, self._labels = self._survey_labels(tables, images)
        self.hash = _hash_of(f"{entry.name}\0{entry.size}\0{entry.mark}\n" for entry in [*images, *tables])
        self.fingerprint = self._fingerprint()

    @classmethod
    def open(cls, path: str | Path, *, resolution: int | None = None) -> ClipDataset:
        """The data set at `path`, frames shrunk to `resolution` where theirs is larger; raises DataError naming the first problem.

        The first frame of every clip is looked at now, the others when they are read.
        """
        dataset = cls.survey(path, resolution=resolution)
        if dataset.problems:
            dataset.close()
            first, more = dataset.problems[0], len(dataset.problems) - 1
            raise DataError(f"{path}: {first}" + (f" (and {more} more)" if more else ""))
        return dataset

    @classmethod
    def survey(cls, path: str | Path, *, resolution: int | None = None) -> ClipDataset:
        """The same, with every problem listed in `problems` instead of raised; raises DataError where nothing can be listed at all."""
        archive = open_archive(path)
        try:
            return cls(archive, resolution)
        except BaseException:
            archive.close()
            raise

    def _fingerprint(self) -> dict[str, str]:
        """Hashes of the clips' labels, of their files' names and sizes, and of these with CRCs or with times of change."""
        files = [file for of_clip in self.files.values() for file in of_clip]
        return {
            "labels": _hash_of(f"{label}\n" for label in self._labels),
            "sizes": _hash_of(f"{file.name}\0{file.size}\n" for file in files),
            self.archive.marks: _hash_of(f"{file.name}\0{file.mark}\n" for file in files),
        }

    def __len__(self) -> int:
        return len(self.names)

    def label(self, clip: int) -> Tensor:
        """The label of a clip, float [c_dim]: one-hot for a class."""
        label = self._labels[clip]
        if isinstance(label, int):
            return torch.nn.functional.one_hot(torch.tensor(label), self.c_dim).float()
        return torch.tensor(label, dtype=torch.float32)

    def frames(self, clip: int, indices: Sequence[int] | Tensor, size: int | None = None) -> Tensor:
        """Frames of a clip, uint8 [T, 3, H, W]; raises DataError for an image that is broken or of another size.

        H and W are the `resolution`, or a smaller `size`.
        """
        files = self.files[self.names[clip]]
        wanted = [int(index) for index in indices]
        if not all(0 <= index < len(files) for index in wanted):
            raise IndexError(f"{self.names[clip]} has frames 0 to {len(files) - 1}, not {wanted}")
        return torch.stack([torch.from_numpy(self._pixels(files[index], size or self.resolution)).permute(2, 0, 1) for index in wanted])

    def usable(self, num_frames: int, max_span: int = 32) -> list[int]:
        """The clips that are long enough for `num_frames` frames of each; the others are left out of training."""
        least = shortest(num_frames, max_span)
        return [clip for clip, length in enumerate(self.lengths) if length >= least]

    def close(self) -> None:
        """Let go of the file; using the data set opens it again."""
        self.archive.close()

    def __enter__(self) -> ClipDataset:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _pixels(self, file: Entry, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """A frame, uint8 [size, size, 3]."""
        with self._opened(file) as image:
            if image.size != self.size:
                raise DataError(f"{self.path}: {file.name} has {_by(image.size)} pixels, wanted {_by(self.size)} as the first frames of the clips have")
            if image.mode not in MODES:
                raise DataError(f"{self.path}: {file.name} has pixels of the kind {image.mode}, wanted 8-bit grey or colour")
            colours = image.convert("RGB")
            if image.size[0] != size:
                colours = colours.resize((size, size), resample=1)  # Lanczos, which Pillow widens when shrinking
            return np.array(colours)

    @contextmanager
    def _opened(self, file: Entry) -> Iterator[Image.Image]:
        """An image whose declared size is bounded; what Pillow says of a broken one becomes DataError."""
        try:
            from PIL import Image
        except ImportError:
            raise DataError("reading images needs Pillow; install it with: pip install pillow") from None
        data = self.archive.read(file, MAX_IMAGE)
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(f"{self.path}: {file.name} has {_by(image.size)} pixels, at most {MAX_PIXELS} are read; give smaller frames")
                yield image
        except DataError:
            raise
        except Image.DecompressionBombError:
            raise DataError(f"{self.path}: {file.name} claims more than the {MAX_PIXELS} pixels that are read; give smaller frames") from None
        except Image.UnidentifiedImageError:
            raise DataError(f"{self.path}: {file.name} is no image; wanted a whole {', '.join(FORMATS)}") from None
        except _BROKEN as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"{self.path}: {file.name} is broken ({reason}); wanted a whole {', '.join(FORMATS)}") from None

    def _survey_sizes(self) -> tuple[int, int]:
        """Width and height that most clips' first frames have; the others become problems."""
        sizes: dict[str, tuple[int, int]] = {}
        for name, files in self.files.items():
            try:
                with self._opened(files[0]) as image:
                    sizes[name] = image.size
            except DataError as error:
                self.problems.append(Problem(name, str(error).removeprefix(f"{self.path}: ")))
        if not sizes:
            return 0, 0
        usual = Counter(sizes.values()).most_common(1)[0][0]
        odd = (name for name, size in sizes.items() if size != usual)
        self.problems += [Problem(name, f"has frames of {_by(sizes[name])} pixels, wanted {_by(usual)} as most clips have") for name in odd]
        return usual

    def _resolution(self, wanted: int | None) -> int:
        """The side of the frames that are returned: the wanted one if they can be shrunk to it."""
        width, height = self.size
        if width != height:
            self.problems.append(Problem("", f"has frames of {_by(self.size)} pixels, wanted squares; crop and write them again"))
        elif width and wanted is not None and not 0 < wanted <= width:
            self.problems.append(Problem("", f"has frames of {_by(self.size)} pixels, wanted at least {_by((wanted, wanted))}; write them larger"))
        elif wanted is not None:
            return wanted
        return min(width, height)

    def _survey_labels(self, tables: Sequence[Entry], images: Sequence[Entry]) -> tuple[int, list[Label]]:
        """The size of the labels, and the label of every clip."""
        given: list[Label] = [() for _ in self.names]
        if not tables:
            return 0, given
        table = min(tables, key=lambda entry: (entry.name.count("/"), entry.name))
        most = min(MAX_LABELS, LABELS_ROOM + LABEL_ROOM * len(images))
        try:
            if table.size > most:
                raise DataError(f"declares {table.size} bytes, at most {most} are read for {len(images)} images; label clips, each once, by their folders")
            content = _parse_table(self.archive.read(table, most))
            if isinstance(content, dict) and "labels" not in content:
                found = ", ".join(repr(key)[:40] for key in list(content)[:3]) or "nothing"
                self.notes.append(Problem(table.name, f'has no key "labels" (found: {found}), so the clips have none; {WANTED_LABELS}'))
            classes, labels = _parse_labels(content, table.name.removesuffix("dataset.json"))
        except DataError as error:
            self.problems.append(Problem(table.name, str(error).removeprefix(f"{self.path}: ").removeprefix(f"{table.name} ")))
            return 0, given
        if not labels:
            return 0, given
        known = {image.name for image in images} | set(self.names)
        if strange := [name for name in labels if name not in known]:
            self.notes.append(Problem(table.name, f"has {len(strange)} labels of files that are not there, such as {strange[0]!r}"))
        for i, (name, files) in enumerate(self.files.items()):
            of_clip = {labels[key] for key in (name, *(file.name for file in files)) if key in labels}
            if len(of_clip) == 1:
                given[i] = of_clip.pop()
                continue
            what = "has no label" if not of_clip else f"has frames of {len(of_clip)} different labels"
            self.problems.append(Problem(name, f"{what} in {table.name}; wanted one for each clip"))
        return max(classes, _label_size(labels)), given


def _hash_of(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    return digest.hexdigest()


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def natural_order(name: str) -> list[int | str]:
    """A sort key that puts frame2 before frame10.

    >>> sorted(["v/f10.png", "v/f2.png"], key=natural_order)
    ['v/f2.png', 'v/f10.png']
    """
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", name))]


def _clips_of(images: Sequence[Entry], notes: list[Problem]) -> dict[str, list[Entry]]:
    """The images of every folder that holds some, folders and images in natural order."""
    clips: dict[str, list[Entry]] = {}
    for entry in images:
        folder = entry.name.rpartition("/")[0]
        if folder:
            clips.setdefault(folder, []).append(entry)
        else:
            notes.append(Problem(entry.name, "lies in no video's folder and is left out"))
    return {name: sorted(clips[name], key=lambda entry: natural_order(entry.name)) for name in sorted(clips, key=natural_order)}


def _parse_table(data: bytes) -> object:
    """What dataset.json holds; raises DataError."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise DataError(f"is no JSON; {WANTED_LABELS}") from None


def _parse_labels(content: object, folder: str) -> tuple[int, dict[str, Label]]:
    """How many classes a dataset.json names (0: it does not say), and the label of every name in it; raises DataError.

    The names are those of files in `folder`; {"labels": null} has none.
    """
    pairs = content.get("labels") if isinstance(content, dict) else content
    if pairs is None and isinstance(content, dict):
        return 0, {}
    named = content.get("classes") if isinstance(content, dict) else None
    pairs = list(pairs.items()) if isinstance(pairs, dict) else pairs
    if not isinstance(pairs, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
        raise DataError(f"holds no list of pairs of name and label; {WANTED_LABELS}")
    labels: dict[str, Label] = {}
    first: Label | None = None
    for name, value in pairs:
        label = value if _is_class(value) else _numbers(value)
        first = label if first is None else first
        if label is None or first is None or not _alike(label, first):
            raise DataError(f"has the label {str(value)[:60]!r} for {name!r}, unlike the others or no label; {WANTED_LABELS}")
        labels[folder + name.strip("/")] = label
    classes = len(named) if isinstance(named, list) and isinstance(first, int) else 0
    if classes > MAX_CLASSES:
        raise DataError(f"names {classes} classes; at most {MAX_CLASSES} are read")
    return classes, labels


def _is_class(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_CLASSES


def _numbers(value: object) -> Label | None:
    """A list of finite numbers, else None."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_CLASSES:
        return None
    good = all(isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < 1e9 for number in value)
    return tuple(float(number) for number in value) if good else None


def _alike(label: Label, other: Label) -> bool:
    """Whether both are classes, or lists of one length."""
    if isinstance(label, int) or isinstance(other, int):
        return isinstance(label, int) and isinstance(other, int)
    return len(label) == len(other)


def _label_size(labels: Mapping[str, Label]) -> int:
    """The size of a label as the network sees it: one-hot for classes."""
    return 1 + max(label if isinstance(label, int) else len(label) - 1 for label in labels.values())


def spans(length: int, num_frames: int, max_span: int = 32) -> list[int]:
    """The distances in frames that the first and the last of `num_frames` frames of a clip may have.

    >>> spans(100, 3), spans(5, 3), spans(2, 3)
    ([2, 4, 8, 16, 32], [2, 4], [])
    """
    if num_frames == 1:
        return [0] if length else []
    powers = (1 << i for i in range(MAX_SPAN.bit_length()))
    return [span for span in powers if num_frames - 1 <= span <= min(max_span, length - 1)]


def shortest(num_frames: int, max_span: int = 32) -> int:
    """The fewest frames of a clip that `num_frames` can be drawn from; raises ValueError where no clip will do.

    >>> shortest(3), shortest(4), shortest(1)
    (3, 5, 1)
    """
    fitting = spans(MAX_SPAN + 1, num_frames, max_span) if num_frames > 0 else []
    if not fitting:
        raise ValueError(f"found {num_frames} frames a clip; wanted 1 to {max_span + 1}, which a span of {max_span} frames holds")
    return fitting[0] + 1


def sample_indices(length: int, num_frames: int, rng: torch.Generator, max_span: int = 32) -> Tensor:
    """Frames of a clip of `length` to train on, ascending int64 [num_frames] (section 4).

    The span is drawn from `spans`, its ends are the first and the last frame, the others are drawn without replacement in between,
    and it lies anywhere in the clip. Raises DataError for a clip that is too short.
    """
    choices = spans(length, num_frames, max_span)
    if not choices:
        raise DataError(f"found a clip of {length} frames; wanted at least {shortest(num_frames, max_span)} to draw {num_frames} from")
    span = choices[int(torch.randint(len(choices), (), generator=rng))]
    first = int(torch.randint(length - span, (), generator=rng))
    inside = 1 + torch.randperm(max(span - 1, 0), generator=rng)[: max(num_frames - 2, 0)].sort().values
    ends = torch.tensor([0, span][:num_frames])
    return first + torch.cat([ends[:1], inside, ends[1:]])


@dataclass(frozen=True)
class ClipSampler:
    """An endless stream of batches of `clips` clips × `num_frames` frames, of which this process takes its share.

    A batch is a function of seed and step alone: an interrupted training goes on exactly, and the shares of all ranks, one after the
    other, are the batch of a single process. Every epoch shows every clip once (`flip`: and once mirrored), in an order of its own.
    """

    dataset: ClipDataset
    num_frames: int
    clips: int
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    flip: bool = False
    max_span: int = 32
    usable: list[int] = field(init=False, repr=False)
    _orders: dict[int, Tensor] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size or self.clips < 1 or self.clips % self.world_size:
            raise ValueError(f"found {self.clips} clips a batch for rank {self.rank} of {self.world_size}; wanted a multiple of the ranks")
        object.__setattr__(self, "usable", self.dataset.usable(self.num_frames, self.max_span))
        if not self.usable:
            least = shortest(self.num_frames, self.max_span)
            raise DataError(f"{self.dataset.path}: no clip has the {least} frames that {self.num_frames} frames a clip need; give longer clips")

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """This rank's share of the clips of a step: frames uint8 [N, T, 3, H, W], their times t float [N, T] (frames), labels [N, c_dim]."""
        frames, times, labels = zip(*(self._item(place) for place in self._places(step)), strict=True)
        return torch.stack(frames), torch.stack(times), torch.stack(labels)

    def items(self, step: int) -> Tensor:
        """Which clips `batch` gives, int64 [N]: places in `usable`, and for mirrored ones so many more as it is long."""
        return torch.tensor([self._which(place) for place in self._places(step)])

    def _places(self, step: int) -> range:
        """Those of this rank's clips of a step in the endless stream."""
        share = self.clips // self.world_size
        first = step * self.clips + self.rank * share
        return range(first, first + share)

    def _which(self, place: int) -> int:
        items = len(self.usable) * (2 if self.flip else 1)
        return int(self._order(place // items, items)[place % items])

    def _item(self, place: int) -> tuple[Tensor, Tensor, Tensor]:
        """The clip at a place of the endless stream."""
        item = self._which(place)
        clip = self.usable[item % len(self.usable)]
        indices = sample_indices(self.dataset.lengths[clip], self.num_frames, stream(self.seed, "frames", place), self.max_span)
        frames = self.dataset.frames(clip, indices)
        return frames.flip(-1) if item >= len(self.usable) else frames, indices.float(), self.dataset.label(clip)

    def _order(self, epoch: int, items: int) -> Tensor:
        """The order of the items in an epoch; the last two are kept."""
        order = self._orders.get(epoch)
        if order is None:
            order = torch.randperm(items, generator=stream(self.seed, "order", epoch))
            for old in list(self._orders)[:-1]:
                self._orders.pop(old, None)  # another thread may have been here
            self._orders[epoch] = order
        return order
