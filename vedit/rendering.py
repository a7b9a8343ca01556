"""`vedit render` and `vedit upsample`: latents become a video again, at any rate, with the source's sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylegan_v import model_hash
from vedit import video
from vedit.clock import Clock
from vedit.devices import pick_device, pick_precision
from vedit.editing import Edit, check_strength
from vedit.errors import VeditError
from vedit.frame_store import FrameStore
from vedit.latents import LatentVideo
from vedit.models import frames_dir
from vedit.pixels import enlarge, from_pixels, to_pixels
from vedit.progress import Task
from vedit.sampling import motion_codes_of
from vedit.scene import CHUNK, Scene
from vedit.stitching import PasteBack
from vedit.streaming import ahead, close, pump
from vedit.timing import finite, parse_rate, resample, respeed, subdivide
from vedit.video.info import Pixels
from vedit.workspace import Workspace, WorkspaceError

LONGEST = 24 * 3600.0  # seconds that a clip can be extended by
EDITED = {"comment": "edited: rendered from a video generator's latent space (vedit)"}

Choice = tuple[str, float | None]


class RenderError(VeditError, ValueError):
    """A render cannot be made as asked."""


@dataclass(frozen=True)
class Schedule:
    """Moments of the clip to be rendered (seconds, as the source counts them), and when each is shown."""

    moments: list[float]
    shown: list[float]
    last_duration: float
    audio_start: float
    audio_end: float | None
    whole: bool


def scene(workspace: Workspace, edits: Sequence[Choice] | None = None, device: str = "cpu") -> Scene:
    """The scene of a project; `edits` as in `render`."""
    generator = workspace.generator(device)
    latents = workspace.latents()
    latents.check(generator)
    chosen = chosen_edits(workspace, edits)
    widths = {name: layer.affine.weight.shape[0] for name, _, layer in generator.synthesis.layers()}
    for edit, _ in chosen:
        if any(widths.get(name) != len(change) for name, change in edit.direction.items()):
            raise RenderError(f"the edit {edit.name!r} does not fit the generator's layers; remove it (vedit edits rm {edit.name}) and make it again")
    return Scene(generator, latents.to(device), workspace.clock(generator.fps), chosen, np.asarray(workspace.info["crops"], dtype=np.float64))


def chosen_edits(workspace: Workspace, edits: Sequence[Choice] | None) -> tuple[tuple[Edit, float], ...]:
    """All edits of a project (None), or the named ones in that order; a number replaces an edit's own strength."""
    known = workspace.list_edits()
    wanted = [(name, None) for name in known] if edits is None else edits
    chosen = []
    for name, strength in wanted:
        if name not in known:
            raise RenderError(f"this project has no edit {name!r}; it has: {', '.join(known) or 'none yet'}")
        edit = Edit.from_files(*workspace.load_edit(name))
        if edit.generator != workspace.info["generator"]["hash"]:
            raise RenderError(f"the edit {name!r} was made for another generator; remove it (vedit edits rm {name}) and make it again")
        chosen.append((edit if strength is None else replace(edit, strength=check_strength(strength)), 1.0))
    return tuple(chosen)


def schedule(
    times: Sequence[float],
    end: float,
    *,
    fps: str | float | Fraction | None = None,
    factor: int | None = None,
    speed: float = 1.0,
    first: float | None = None,
    last: float | None = None,
    extend: float = 0.0,
    lead: bool = True,
) -> Schedule:
    """Which moments of a clip to render. `first` and `last` are seconds from the clip's first frame, `extend` seconds beyond its end.

    Factor K gives K frames an interval, those of the source unchanged among them; `fps` a constant rate over the clip. With `lead`
    a picture that begins a little after its container's zero keeps that offset; a clip cut from its source's middle has none.
    """
    origin, speed = times[0], finite("speed", speed)
    if speed <= 0:
        raise RenderError(f"found the speed {speed:g}; give a number above 0, such as 0.5")
    if fps is not None:
        moments = resample(origin, end, parse_rate(fps) / Fraction(speed))
    else:
        moments = subdivide(times, factor or 1)
    interval = moments[-1] - moments[-2] if len(moments) > 1 else max(end - origin, 0.04)
    if extend:
        if not 0 < finite("extend", extend) <= LONGEST:
            raise RenderError(f"found an extension of {extend:g} s; give more than 0 and at most {LONGEST:g}")
        begin = moments[-1]
        moments = moments + [begin + (i + 1) * interval for i in range(round(finite("extend", extend) / interval))]
    low = origin + (first or 0.0) - 1e-9
    high = float("inf") if last is None else origin + last - 1e-9
    kept = [moment for moment in moments if low <= moment < high]
    if not kept:
        raise RenderError(f"nothing of the clip lies from {first or 0:g} s to {last if last is not None else 'its end'}; it is {end - origin:.3f} s long")
    whole = kept[0] == moments[0]
    # With the offset the sound keeps its place.
    shift = 0.0 if lead and whole and origin < 1.0 and speed == 1 else kept[0]
    shown = respeed([moment - shift for moment in kept], speed)
    stop = min(end, high) if extend or last is not None else None
    # Frame for frame, the last one stands as long as in the source, which may differ from the interval before it.
    as_source = fps is None and kept[-1] == times[-1] < end and (factor or 1) == 1 and not extend
    return Schedule(kept, shown, (end - times[-1] if as_source else interval) / speed, shift, stop, whole)


def render(
    workspace: Workspace,
    *,
    edits: Sequence[Choice] | None = None,
    fps: str | float | Fraction | None = None,
    factor: int | None = None,
    speed: float = 1.0,
    start: float | None = None,
    end: float | None = None,
    extend: float = 0.0,
    motion_seed: int | None = None,
    motion_from: Workspace | None = None,
    paste_back: bool = False,
    compare: bool = False,
    sweep: Sequence[float] | None = None,
    audio: bool = True,
    codec: str = "h264",
    crf: float | None = None,
    out: Path | str | None = None,
    device: str = "auto",
    precision: str = "fp32",
) -> Task[Path]:
    """Write a video of a project; returns its path (PROJECT/renders/… unless `out` says otherwise).

    `edits`: (name, strength or None) in order, None for all of the project, [] for the plain reconstruction. `compare` puts the
    source, the reconstruction and the edit side by side, `sweep` several factors of the edits; `paste_back` adds to the source's own
    picture what the edits change, and between its frames, which it averages, what moves. `precision` is fp32, exact, bf16 or auto.

    Whole frames are kept in the user's cache: a render of the same moments and edits with another codec, region or way of pasting does
    not make them again. Decoding, rendering and encoding run side by side, and memory does not grow with length. Raises RenderError and
    the errors of `vedit.video.write`.
    """
    info, rate = workspace.info, None if fps is None else parse_rate(fps)
    lead = not info["settings"]["start"]
    plan = schedule(info["times"], info["end"], fps=rate, factor=factor, speed=speed, first=start, last=end, extend=extend, lead=lead)
    place = pick_device(device)
    whole = scene(workspace, edits, place)
    whole.generator.set_precision(pick_precision(precision, place))
    whole = replace(whole, weights=model_hash(whole.generator))
    if motion_seed is not None or motion_from is not None:
        even = Clock.of(whole.clock.times, whole.clock.fps)  # frames that this source repeats mean nothing to another motion
        whole = replace(whole, clock=even)
        whole = replace(whole, latents=_other_motion(whole, plan, motion_seed, motion_from))
    if paste_back and (compare or sweep or motion_seed is not None or motion_from is not None or extend):
        raise RenderError("--paste-back adds the change to the source's own frames: it goes with no comparison, other motion or extension")
    if sweep and not whole.edits:
        raise RenderError("found no edit whose strength --sweep could change; make one first (vedit edit), or leave --no-edits out")
    pictures = _pictures(workspace, whole, plan, compare, sweep, paste_back)
    marks = {
        f"x{factor}": bool(factor and factor > 1), f"{float(rate or 0):g}fps": rate is not None, f"speed{speed:g}": speed != 1,
        f"from{start or 0:g}s": start is not None, f"to{end or 0:g}s": end is not None, f"plus{extend:g}s": extend > 0,
        f"motion{motion_seed}": motion_seed is not None, "motion-of-" + (motion_from.path.stem if motion_from else ""): motion_from is not None,
        "sweep" + "".join(f"{value:+g}" for value in sweep or []): bool(sweep), "compare": compare, "pasted": paste_back,
    }  # fmt: skip
    target = Path(out) if out is not None else _default_path(workspace, whole.edits, edits, codec, marks)
    sound = _sound(workspace, plan, speed, extend) if audio and codec not in ("gif", "png") else {}
    metadata = EDITED if whole.edits else {"comment": "rendered from a video generator's latent space (vedit)"}

    def write(images: Iterator[Pixels]) -> video.Written:
        return video.write(
            target,
            images,
            times=plan.shown,
            last_duration=plan.last_duration,
            codec=codec,
            crf=14 if crf is None and codec == "h264" else crf,
            metadata=metadata,
            **sound,
        )

    written = yield from pump(pictures, write, "render", len(plan.moments))
    return written.path


def _pictures(workspace: Workspace, whole: Scene, plan: Schedule, compare: bool, sweep: Sequence[float] | None, paste_back: bool) -> Iterator[Pixels]:
    store = FrameStore(frames_dir())
    if paste_back:
        return PasteBack(workspace, whole, store).pictures(plan.moments)
    plain = replace(whole, edits=())
    if sweep:
        scenes = [replace(whole, edits=tuple((edit, factor) for edit, _ in whole.edits)) for factor in sweep]
    elif compare:
        scenes = [plain, whole] if whole.edits else [plain]
    else:
        return _plain(ahead(whole.chunks(plan.moments, store)))
    return _side_by_side(scenes, plan.moments, _Held(workspace) if compare else None, store)


def _plain(chunks: Iterator[Tensor]) -> Iterator[Pixels]:
    try:
        for chunk in chunks:
            yield from to_pixels(chunk).numpy()
    finally:
        close(chunks)


class _Held:
    """The cropped source frame that stands at a moment."""

    def __init__(self, workspace: Workspace) -> None:
        self.frames = workspace.frames()
        self.times = np.asarray(workspace.info["times"])

    def at(self, moments: Sequence[float]) -> Tensor:
        """Frames [T, 3, H, W] in [-1, 1]."""
        index = np.clip(np.searchsorted(self.times, np.asarray(moments) + 1e-6, side="right") - 1, 0, len(self.times) - 1)
        return from_pixels(self.frames[torch.from_numpy(index)])


def _side_by_side(scenes: Sequence[Scene], moments: Sequence[float], held: _Held | None, store: FrameStore) -> Iterator[Pixels]:
    parts = [moments[begin : begin + CHUNK] for begin in range(0, len(moments), CHUNK)]
    streams = [ahead(one.chunks(moments, store), 1) for one in scenes]
    try:
        for part, *frames in zip(parts, *streams, strict=True):
            panels = [*([] if held is None else [held.at(part)]), *frames]
            yield from to_pixels(torch.cat([enlarge(panel) for panel in panels], dim=3)).numpy()
    finally:
        close(*streams)


def _other_motion(whole: Scene, plan: Schedule, seed: int | None, other: Workspace | None) -> LatentVideo:
    """The same content, its drift stilled, under the motion of a seed or of another project."""
    generator, latents = whole.generator, whole.latents
    if generator.cfg.motion is None:
        raise RenderError("this project's generator makes single images: there is no motion to exchange")
    if other is not None:
        if other.info["generator"]["hash"] != generator.hash:
            raise RenderError(f"{other.path} was made with another generator ({other.info['generator']['name']}); its motion means nothing to this one")
        theirs = other.latents().to(generator.device)
        return LatentVideo(latents.ws, theirs.u, theirs.motion_z, theirs.span, None, theirs.motion)
    span = float(whole.clock([max(plan.moments)]))
    codes = motion_codes_of(generator, seed or 0, span)
    return LatentVideo(latents.ws, generator.trajectory(codes)[0], codes[0], span)


def _sound(workspace: Workspace, plan: Schedule, speed: float, extend: float) -> dict[str, Any]:
    if not workspace.info.get("audio"):
        return {}
    try:
        source = workspace.source()
    except WorkspaceError as error:
        raise RenderError(f"{error}; or render with --no-audio") from None
    return {
        "audio_from": source, "audio_start": plan.audio_start, "audio_end": plan.audio_end, "audio_speed": speed, "extend_silence": extend
    }  # fmt: skip


def _default_path(workspace: Workspace, edits: Sequence[tuple[Edit, float]], chosen: Sequence[Choice] | None, codec: str, marks: Mapping[str, bool]) -> Path:
    """A speaking name in the project's renders folder: the edits with strengths of their own, and what else sets this render apart."""
    strengths = {name: strength for name, strength in chosen or [] if strength is not None}
    names = [edit.name + (f"={strengths[edit.name]:g}" if edit.name in strengths else "") for edit, _ in edits] or ["reconstruction"]
    name = "-".join([*names, *(mark for mark, on in marks.items() if on)])
    suffix = {"ffv1": ".mkv", "vp9": ".webm", "prores": ".mov", "gif": ".gif", "png": ""}.get(codec, ".mp4")
    return workspace.folder("renders") / (name[:100] + suffix)


