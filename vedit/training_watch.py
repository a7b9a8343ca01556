"""What one sees of a training: a log, curves, sample sheets and videos at fixed latents, alarms; and which generators are kept."""

from __future__ import annotations

import io
import json
import math
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stylegan_v.alarms import Alarm, ClipFigures, blind, measure
from stylegan_v.alarms import watch as find_alarms
from stylegan_v.config import Config
from stylegan_v.files import replacing
from stylegan_v.game import Game, GameEvent
from stylegan_v.game_draws import to_floats
from vedit import video
from vedit.memory import peak_memory
from vedit.pixels import enlarge, save_sheet, tile, to_pixels
from vedit.timing import parse_rate
from vedit.training_pairs import show_pairs

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

SAMPLE_SEED = 20_000_000
MOMENTS = 8  # of a clip in a sheet
TOGETHER = 32  # frames rendered at a time
LEAST = 3  # frames that motion is seen in
EARLY = 2000  # clips that judges may need before they tell anything apart


class TrainingWarning(UserWarning):
    """Something about a running training that a person should know; it goes on."""


@dataclass(frozen=True)
class WatchConfig(Config):
    """A line of the log every `log_every` steps; every `sheet_every` a sheet and a video of `clips` samples, `frames` long.

    With each sheet a generator is kept in snapshots/, the last `keep` of them.
    """

    log_every: int = 50
    sheet_every: int = 1000
    clips: int = 8
    frames: int = 32
    keep: int = 3
    tensorboard: bool = True

    def __post_init__(self) -> None:
        self._require_counts("log_every", "sheet_every", "clips", "frames")
        self._require_counts("keep", least=0)
        self._require(isinstance(self.tensorboard, bool), "tensorboard", "true or false")


class Watch:
    """Writes what happens in a run into its folder. `note` every step, `show` and `measured` now and then, `close` in the end."""

    def __init__(self, cfg: WatchConfig, game: Game, out: Path) -> None:
        self.cfg, self.out, self.log = cfg, out, out / "log.jsonl"
        for left in (*out.glob(".*.part"), *out.glob("snapshots/.*.part")):  # of a run that was killed while writing
            left.unlink()
        _cut_log(self.log, game.step)
        self.board = _board(out, game.step) if cfg.tensorboard else None
        self.samples = Samples.of(game, cfg.clips, cfg.frames)
        self.beside = real_figures(game, cfg.clips, 1 if game.cfg.still else cfg.frames)
        self._sums: dict[str, list[float]] = {}
        self._blind: list[Alarm] = []  # of the last line
        self._began, self._since = time.monotonic(), game.step

    def note(self, event: GameEvent, game: Game) -> None:
        """Count a step; write a line where it is time."""
        for key, value in event.figures.items():
            self._sums.setdefault(key, []).append(value)
        if game.step < event.step:
            self._since -= event.step - game.step
            what = f"the run went back from step {event.step} to {game.step}; learning rates are now multiplied by {game.guard.rate:g}"
            warnings.warn(what, TrainingWarning, stacklevel=2)
        if event.step % self.cfg.log_every and game.step < game.cfg.total_steps:
            return
        figures = {key: sum(values) / len(values) for key, values in self._sums.items()}
        now = time.monotonic()
        rate = (game.step - self._since) * game.cfg.batch / max(now - self._began, 1e-9)
        figures |= {"clips_per_s": rate, "frames_per_s": rate * game.cfg.num_frames}
        if (memory := peak_memory(game.device.type)) is not None:
            figures["memory_gib"] = memory / 2**30
        counts = {"skipped": game.guard.skipped, "repaired": game.guard.repaired, "retreats": game.guard.retreats}
        self._write(event, figures, counts)
        judged = event.clips > (game.cfg.pairs_kimg + game.cfg.head_start) * 1000 + EARLY and {"real", "fake"} <= figures.keys()
        self._blind = blind(figures["real"], figures["fake"]) if judged else []
        self._sums.clear()
        self._began, self._since = now, game.step

    def show(self, step: int, game: Game) -> None:
        """Write a sheet and a video of the samples, and warn of what they look like."""
        clips = self.samples.render(game)
        every = max(1, clips.shape[1] // MOMENTS)
        rows = clips[:, ::every][:, :MOMENTS]
        save_sheet(self.out / f"sheet-{step:07d}.png", to_pixels(enlarge(rows.flatten(0, 1), 64)), columns=rows.shape[1])
        if game.pairs is not None:
            show_pairs(game, self.out / f"pairs-{step:07d}.png", self.cfg.clips, MOMENTS)
        fps = parse_rate(game.generator.fps)
        moments = [tile(to_pixels(enlarge(moment, 64))) for moment in clips.unbind(1)]
        if not game.cfg.still:
            video.write(self.out / f"samples-{step:07d}.mp4", moments, fps=fps, crf=16, metadata={"comment": "synthetic: drawn by a video generator (vedit)"})
        if self.board is not None:
            _add_film(self.board, moments, fps, step)
        seen = [] if self.beside is None else find_alarms(clips[: self.beside.clips, : self.beside.frames], self.beside)
        for alarm in [*seen, *self._blind]:
            warnings.warn(f"step {step}: {alarm}", TrainingWarning, stacklevel=2)
            self._log({"step": step, "alarm": alarm.name, "figure": alarm.figure, "bar": alarm.bar, "hint": alarm.hint})
            if self.board is not None:
                self.board.add_text("alarms", str(alarm), step)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Time that does not count as training: sheets, figures and files."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._began += time.monotonic() - began

    def measured(self, event: GameEvent, figures: Mapping[str, float]) -> None:
        """Log figures of the generator."""
        self._write(event, figures, {})

    def close(self) -> None:
        """Write what is still held back."""
        if self.board is not None:
            self.board.close()

    def _write(self, event: GameEvent, figures: Mapping[str, float], counts: Mapping[str, int]) -> None:
        self._log({"step": event.step, "clips": event.clips, **figures, **counts})
        if self.board is not None:
            for key, value in {**figures, **counts}.items():
                self.board.add_scalar(key, value, event.step)


    def _log(self, line: Mapping[str, float | int | str]) -> None:
        """Write a line of JSON, which has no word for what is not a finite number: null."""
        plain = {key: _rounded(value) if isinstance(value, float) else value for key, value in line.items()}
        with self.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(plain, allow_nan=False) + "\n")


def _rounded(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None


@dataclass(frozen=True)
class Samples:
    """Inputs that stay the same for a whole run."""

    z: Tensor
    t: Tensor
    motion_z: Tensor
    c: Tensor

    @classmethod
    def of(cls, game: Game, clips: int, frames: int) -> Samples:
        """Inputs of so many clips from t = 0 on (an image generator's of one frame); labels are those of clips spread over the data."""
        cfg, rng = game.cfg.generator, torch.Generator().manual_seed(SAMPLE_SEED)
        width, frames = (0, 1) if cfg.motion is None else (cfg.motion.z_dim, frames)
        z = torch.randn(clips, cfg.z_dim, generator=rng)
        motion_z = torch.randn(clips, game.generator.num_motion_codes(frames - 1), width, generator=rng)
        places = [clip * len(game.clips.lengths) // clips for clip in range(clips)]
        c = torch.stack([game.clips.label(place) if cfg.c_dim else torch.zeros(0) for place in places])
        return cls(z, torch.arange(frames).float().expand(clips, -1), motion_z, c)

    @torch.no_grad()
    def render(self, game: Game) -> Tensor:
        """Clips [N, T, 3, H, W] of the average of the generators, on the CPU."""
        ema, device = game.ema, game.device
        clips = []
        for place in range(len(self.z)):
            z, motion_z, c = (part[place : place + 1].to(device) for part in (self.z, self.motion_z, self.c))
            labels = c if game.cfg.generator.c_dim else None
            ws = ema.mapping(z, labels)
            if game.cfg.still:
                clips.append(ema.synthesis(ws).clamp(-1, 1).cpu())
                continue
            u = ema.trajectory(motion_z, labels)
            moments = [ema.motion(t.to(device), None, labels, u=u) for t in self.t[:1].split(TOGETHER, dim=1)]
            clips.append(torch.cat([ema.synthesis(ws, motion_v=motion_v).clamp(-1, 1).cpu() for motion_v in moments], dim=1))
        return torch.cat(clips)


def real_figures(game: Game, clips: int, frames: int) -> ClipFigures | None:
    """Figures of at most so many real clips, as many frames of each, to hold samples against; None where clips are too short to tell.

    Of a single one stretches that do not overlap stand for clips.
    """
    lengths, least = game.clips.lengths, min(frames, LEAST)
    if len(lengths) == 1:
        return _figures_of_one(game, clips, min(frames, lengths[0] // 2), least)
    longest = sorted(range(len(lengths)), key=lambda clip: (-min(lengths[clip], frames), clip))
    count = min(frames, lengths[longest[min(clips, len(longest)) - 1]])
    candidates = [clip for clip in range(len(lengths)) if lengths[clip] >= count]
    # spread over the data set: neighbours are often scenes of one video, or one class, and look alike
    chosen = [candidates[i * len(candidates) // clips] for i in range(clips)] if len(candidates) > clips else candidates
    if len(chosen) < 2 or count < least:
        return None
    return measure(torch.stack([to_floats(game.clips.frames(clip, range(count))) for clip in chosen]))


def _figures_of_one(game: Game, stretches: int, count: int, least: int) -> ClipFigures | None:
    """Figures of at most so many stretches of `count` frames, no fewer than `least`, of the first clip, spread over it."""
    if count < least:
        return None
    found = min(stretches, game.clips.lengths[0] // count)
    begins = torch.linspace(0, game.clips.lengths[0] - count, found).long().tolist()
    return measure(torch.stack([to_floats(game.clips.frames(0, range(begin, begin + count))) for begin in begins]))


class Keeper:
    """Which generators stay: the newest, the last few, and the best by a figure (`fvd16-squeeze`, or `fvd16` with whatever features it has)."""

    def __init__(self, out: Path, name: str, keep: int, best: str) -> None:
        self.out, self.name, self.count, self.best = out, name, keep, best
        self.result = out / f"{name}.safetensors"
        self._record = out / "best.json"

    def keep(self, step: int) -> None:
        """Put a copy of the newest into snapshots/, the oldest above the count goes."""
        if not self.count:
            return
        folder = self.out / "snapshots"
        folder.mkdir(exist_ok=True)
        _copy(self.result, folder / f"{self.name}-{step:07d}.safetensors")
        for old in sorted(folder.glob(f"{self.name}-*.safetensors"))[: -self.count]:
            old.unlink()

    def compare(self, step: int, figures: Mapping[str, float]) -> None:
        """Put a copy of the newest at NAME-best.safetensors if its figure is the least so far."""
        if not self.best:
            return
        name = next((name for name in figures if self.best in (name, name.partition("-")[0])), None)
        if name is None:
            warnings.warn(f"there is no figure {self.best!r} to keep the best by; found {', '.join(figures) or 'none'}", TrainingWarning, stacklevel=2)
            return
        value = figures[name]
        record = json.loads(self._record.read_text(encoding="utf-8")) if self._record.exists() else {}
        before = record["value"] if record.get("figure") == name else float("inf")  # figures of other features are not comparable
        if value < before:
            _copy(self.result, self.out / f"{self.name}-best.safetensors")
            with replacing(self._record) as beside:
                beside.write_text(json.dumps({"figure": name, "value": value, "step": step}) + "\n", encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as beside:
        shutil.copyfile(source, beside)


def _cut_log(log: Path, step: int) -> None:
    """Leave out what a killed run logged after its last saved state: those steps are taken again."""
    if not log.exists():
        return
    kept = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            entry: Any = json.loads(line)
        except ValueError:  # cut off in the middle
            continue
        if isinstance(entry, dict) and entry.get("step", 0) <= step:
            kept.append(line + "\n")
    with replacing(log) as beside:
        beside.write_text("".join(kept), encoding="utf-8")


def _board(out: Path, step: int) -> SummaryWriter | None:
    """TensorBoard's files in the run's folder; None, said in one line, where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        what = "tensorboard is not installed: the run keeps log.jsonl, sheets and videos alone (pip install 'vedit[watch]')"
        warnings.warn(what, TrainingWarning, stacklevel=2)
        return None
    return SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)


def _add_film(board: SummaryWriter, moments: list[Any], fps: Fraction, step: int) -> None:
    """A moving picture in TensorBoard, as a GIF: its own add_video wants another package."""
    from PIL import Image

    messages = import_module("tensorboard.compat.proto.summary_pb2")
    pictures, stream = [Image.fromarray(moment) for moment in moments], io.BytesIO()
    pictures[0].save(stream, format="GIF", save_all=True, append_images=pictures[1:], duration=max(20, round(1000 / fps)), loop=0)
    size = {"height": pictures[0].height, "width": pictures[0].width, "colorspace": 3}
    value = messages.Summary.Value(tag="samples", image=messages.Summary.Image(**size, encoded_image_string=stream.getvalue()))
    board._get_file_writer().add_summary(messages.Summary(value=[value]), step)
