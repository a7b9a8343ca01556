"""`vedit project`: from a clip to a project directory, stage by stage."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from stylegan_v import Generator, model_hash
from vedit import alignment, models, video
from vedit import perceptual as distances
from vedit import report as reports
from vedit.clock import Clock, repeats
from vedit.devices import pick_device, pick_precision
from vedit.errors import VeditError
from vedit.frame_file import FloatFrames, FrameFile
from vedit.frame_store import FrameStore
from vedit.inversion import InversionConfig, Target, add_residuals, initialise, invert, prior
from vedit.latents import LatentVideo
from vedit.progress import Progress, Task
from vedit.scene import Scene, beside_source
from vedit.scores import Curves, Distance
from vedit.stages import Stages, Tensors, remove_unfinished
from vedit.streaming import pump
from vedit.timing import parse_rate
from vedit.tuning import TuningConfig, tune, tuned
from vedit.video import Frame
from vedit.workspace import FRAMES, Workspace, file_hash, stat_of

SAMPLED_FRAMES = 9  # looked at to choose a generator
FACE_SHARE = 0.5

Fidelity = Literal["latent", "balanced", "max"]


class ProjectionError(VeditError, ValueError):
    """A clip cannot be projected as asked."""


class ProjectionWarning(UserWarning):
    """A projection will be less than its settings let one expect."""


@dataclass(frozen=True)
class Footage:
    """A source and the part of it that is wanted; iterating gives its frames, at `fps` where that is set."""

    path: Path
    start: float | None = None
    duration: float | None = None
    fps: Fraction | None = None

    def __iter__(self) -> Iterator[Frame]:
        frames = video.read(self.path, start=self.start, duration=self.duration)
        return frames if self.fps is None else video.at_rate(frames, self.fps)

    def settings(self) -> dict[str, Any]:
        """What the frames depend on besides the source."""
        return {"start": self.start, "duration": self.duration, "fps": None if self.fps is None else str(self.fps)}


def project(
    source: Path | str,
    generator: str | Path | None = None,
    *,
    out: Path | str | None = None,
    start: float | None = None,
    duration: float | None = None,
    fps: str | float | Fraction | None = None,
    crop: str = "auto",
    faces: str = "auto",
    fidelity: Fidelity = "balanced",
    steps: int | None = None,
    perceptual: str = "auto",
    seed: int = 0,
    label: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    overwrite: bool = False,
) -> Task[Workspace]:
    """Find a clip (video, image or folder of frames) in a generator's latent space; returns the project.

    `fidelity`: `latent` is one content and one motion, `balanced` adds the smooth residuals, `max` fits the generator to the clip as
    well. `crop` as in `vedit.alignment.find_crops`, `faces` the face detector by name. `steps` is the length of each
    optimisation; a generator of classes is used for that of the number `label`. A killed run goes on where it was; settings that changed
    invalidate their stage and the later ones.
    Raises VeditErrors: for sources that cannot be read, unknown generators, and a project of another clip at `out`.
    """
    source = Path(source)
    footage = Footage(source, start, duration, None if fps is None else parse_rate(fps))
    cfg = InversionConfig(steps=steps)
    found = video.probe(source)  # before anything is written: wrong paths and odd files end here
    place = pick_device(device)
    name = str(generator) if generator is not None else _suited(footage, faces)
    yield Progress("prepare", 0, 1, f"generator {name}")
    network = models.load_generator(name, place, label=label).set_precision(pick_precision(precision, place))
    distance = distances.load(perceptual, place)
    source_hash = file_hash(source)
    workspace = _place(source, source_hash, out, overwrite)
    info = {"source": str(source.resolve()), "source_hash": source_hash, "size": [found.width, found.height], "audio": found.audio}
    info |= {"source_stat": stat_of(source)}
    stages = Stages(workspace, source_hash)
    clock, about = yield from _cropped(stages, footage, crop, faces, network)
    with workspace.frames() as frames:
        if network.cfg.motion is None and fidelity == "latent" and len(frames) > 1:
            message = f"generator {name} makes single images: with --fidelity latent the whole clip becomes one still picture; take balanced or max"
            warnings.warn(message, ProjectionWarning, stacklevel=2)
        if overwrite:  # not before the new clip is known to be readable and cropped
            workspace.clear()
        target = Target.of(FloatFrames(frames, place), clock(about["times"]), distance)
        levels = yield from _found(stages, network, target, cfg, fidelity, seed, distance.name, about["held"])
        store = FrameStore(models.frames_dir())
        curves, scene = yield from _compared(frames, levels, network, clock, fidelity, _judges(distance.name), store)
        scores = {level: found.report().to_dict() for level, found in curves.items()}
        workspace.info |= info | about
        workspace.info["generator"] = {"name": name if models.is_known(name) else str(Path(name).resolve()), "hash": network.hash, "class": label}
        workspace.info["settings"] = footage.settings() | {
            "crop": crop, "faces": faces, "fidelity": fidelity, "steps": steps, "perceptual": distance.name, "seed": seed, "precision": precision
        }  # fmt: skip
        workspace.info["scores"] = scores[fidelity]
        workspace.info["levels"] = scores  # what each level gained over the one before
        workspace.save_latents(*levels[fidelity])
        reports.write(workspace, beside_source(frames, scene, store), curves[fidelity])
    yield Progress("report", len(levels), len(levels))
    return workspace


def _compared(
    frames: FrameFile, levels: dict[Fidelity, Level], network: Generator, clock: Clock, fidelity: Fidelity, judges: dict[str, Distance], store: FrameStore
) -> Task[tuple[dict[str, Curves], Scene]]:
    """The figures of every level against the source, and the scene of the one that was asked for, whose frames are kept in `store`."""
    curves: dict[str, Curves] = {}
    asked: Scene | None = None
    for done, (level, (latents, difference)) in enumerate(levels.items()):
        yield Progress("report", done, len(levels))
        fitted = (network if difference is None else tuned(network, difference)).set_precision(torch.float32)
        scene = Scene(fitted, latents, clock, weights=model_hash(fitted))  # what will be rendered later, and kept for that
        curves[level] = Curves(judges)
        for pair in beside_source(frames, scene, store if level == fidelity else None):
            curves[level].add(*pair)
        asked = scene if level == fidelity else asked
    assert asked is not None
    return curves, asked


def _place(source: Path, source_hash: str, out: Path | str | None, overwrite: bool) -> Workspace:
    """The workspace to write to: new, or the one there, finished or not, if it holds this source."""
    path = Path(out) if out is not None else Path(f"{source.stem or 'clip'}.vedit")
    if path.exists() and not path.is_dir():
        raise ProjectionError(f"{path} is a file; choose another place with -o")
    if not path.exists() or not any(path.iterdir()):
        return Workspace.create(path)
    if not Workspace.is_project(path):
        raise ProjectionError(f"{path} is a folder with other files; choose another place with -o")
    if overwrite:
        remove_unfinished(Workspace.create(path))
        return Workspace.create(path)
    finished = (path / "project.json").is_file()
    workspace = Workspace.open(path) if finished else Workspace.create(path)  # stages of a killed run tell by their keys whether they fit
    if workspace.info.get("source_hash") not in (None, source_hash):
        raise ProjectionError(f"{path} holds the project of another clip; choose another place with -o, or replace it with --overwrite")
    remove_unfinished(workspace)
    return workspace


def _suited(footage: Footage, faces: str) -> str:
    """The built-in for a clip: portraits where most sampled frames show a face, else skies."""
    frames = video.sample(footage.path, SAMPLED_FRAMES, start=footage.start, duration=footage.duration)
    found = alignment.faces_in([frame.image for frame in frames], alignment.load_detector(faces))
    return models.GENERATOR_OF["portraits" if found >= FACE_SHARE else "skies"]


def _cropped(stages: Stages, footage: Footage, crop: str, faces: str, generator: Generator) -> Task[tuple[Clock, dict[str, Any]]]:
    """Keep the frames at the generator's size; returns their clock, and what project.json keeps of times, crops and clock."""
    size, path = generator.cfg.resolution, stages.workspace.path / FRAMES
    settings = footage.settings() | {"crop": crop, "faces": faces, "size": size, "layout": 3}
    result = yield from stages.run("crop", settings, _crop(footage, crop, faces, size, path), lambda: FrameFile(path).close())
    times = result["times"].tolist()
    with FrameFile(path) as frames:
        held = repeats(frames)
    about = {"times": times, "end": float(result["end"][0]), "crops": result["crops"].tolist(), "crop_mode": crop, "held": held}
    about["follows_face"] = bool(result["follows_face"][0])
    return Clock.of(times, generator.fps, held), about


def _crop(footage: Footage, mode: str, faces: str, size: int, path: Path) -> Task[Tensors]:
    """The crop of every frame, written to `path` frame by frame; returns their times and places."""
    yield Progress("crop", 0, None, "finding crops")
    crops = alignment.find_crops(footage, mode, faces=faces)
    total, times, last = len(crops), [], 0.0

    def frames() -> Iterator[Tensor]:
        nonlocal last
        for matrix, frame in zip(crops.matrices, footage, strict=False):
            times.append(frame.time)
            last = frame.duration
            yield alignment.extract(frame.image, matrix, size)

    if total:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield from pump(frames(), lambda cropped: FrameFile.write(path, cropped, size), "crop", total)
    if not times:
        raise ProjectionError(f"{footage.path} has no frames in the part that was asked for; check --start and --duration")
    if last <= 0:
        last = times[-1] - times[-2] if len(times) > 1 else 0.0
    return {
        "times": torch.tensor(times, dtype=torch.float64),
        "end": torch.tensor([times[-1] + last], dtype=torch.float64),
        "crops": torch.as_tensor(crops.matrices[: len(times)]),
        "follows_face": torch.tensor([crops.kind == "face"]),
    }


Level = tuple[LatentVideo, Tensors | None]  # latents, and the tuned generator's difference


def _found(
    stages: Stages, generator: Generator, target: Target, cfg: InversionConfig, fidelity: Fidelity, seed: int, distance: str, held: list[int]
) -> Task[dict[Fidelity, Level]]:
    """The stages of the inversion itself, up to `fidelity`: what each level found."""
    spread = prior(generator, seed)
    common = {"generator": generator.hash, "distance": distance, "seed": seed, "precision": str(generator.synthesis.compute_dtype), "held": held}
    config = cfg.to_dict()

    def kept(task: Task[LatentVideo]) -> Task[Tensors]:
        found = yield from task
        return found.state()

    def both(task: Task[tuple[LatentVideo, Tensors]]) -> Task[Tensors]:
        video, difference = yield from task
        return {f"latents.{k}": v for k, v in video.state().items()} | {f"weights.{k}": v for k, v in difference.items()}

    def loaded(state: Tensors) -> LatentVideo:
        return LatentVideo.from_state(state).to(generator.device)

    latents = loaded((yield from stages.run("initialise", common | config, kept(initialise(generator, target, cfg, seed)))))
    latents = loaded((yield from stages.run("invert", {}, kept(invert(generator, target, latents, spread, cfg, seed)))))
    levels: dict[Fidelity, Level] = {"latent": (latents, None)}
    if fidelity == "latent":
        return levels
    latents = loaded((yield from stages.run("residuals", {}, kept(add_residuals(generator, target, latents, spread, cfg, seed)))))
    levels["balanced"] = latents, None
    if fidelity == "max":
        settings = TuningConfig(steps=cfg.steps)
        found = yield from stages.run("tune", settings.to_dict(), both(tune(generator, target, latents, spread, cfg, settings, seed)))
        levels["max"] = loaded(_under("latents.", found)), _under("weights.", found)
    return levels


def _under(prefix: str, tensors: Tensors) -> Tensors:
    """The tensors whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _judges(optimised: str) -> dict[str, Distance]:
    """The distances to report, by name: the one that was optimised, and what LPIPS there is beside it."""
    others = [name for name in ("lpips-alex", "lpips-squeeze") if distances.available(name)]
    return {name: distances.load(name, "cpu") for name in dict.fromkeys([optimised, *others])}
