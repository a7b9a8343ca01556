"""`vedit render` and `vedit upsample`: latents become a video again, at any rate, with the source's sound."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from stylegan_v import Generator, model_hash
from vedit import video
from vedit.clock import Clock
from vedit.devices import pick_device, pick_precision
from vedit.editing import Edit, check_strength
from vedit.frame_store import FrameStore
from vedit.latents import LatentVideo
from vedit.models import frames_dir
from vedit.photograph import moving_times, on_the_clock_of, set_in_motion
from vedit.pixels import enlarge, from_pixels, to_pixels
from vedit.progress import Task
from vedit.sampling import motion_codes_of
from vedit.scene import CHUNK, Scene
from vedit.schedule import RenderError, Schedule, previewed, schedule
from vedit.stitching import Blend, PasteBack, warn_if_soft
from vedit.streaming import ahead, close, pump
from vedit.timing import parse_rate
from vedit.video.info import Pixels
from vedit.workspace import Workspace, WorkspaceError

PREVIEW_CRF = 30
LONGEST_NAME = 100  # bytes of a render's name that vedit makes, half of them for its edits if need be; file systems take 255
LONGEST_MARK = 48  # of what sets it apart: sweeps of many strengths and names of other projects can be longer
EDITED = {"comment": "edited: rendered from a video generator's latent space (vedit)"}

Choice = tuple[str, float | None]


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
    blend: Blend | None = None,
    compare: bool = False,
    sweep: Sequence[float] | None = None,
    preview: bool = False,
    audio: bool = True,
    codec: str = "h264",
    crf: float | None = None,
    out: Path | str | None = None,
    device: str = "auto",
    precision: str | None = None,
) -> Task[Path]:
    """Write a video of a project; returns its path (PROJECT/renders/… unless `out` says otherwise).

    `edits`: (name, strength or None) in order, None for all of the project, [] for the plain reconstruction. `compare` puts the
    source, the reconstruction and the edit side by side, `sweep` several factors of the edits; `paste_back` adds to the source's own
    picture what the edits change, and between its frames, which it averages, what moves; `blend` says how (`PasteBack`). `preview` is
    a quick look at the whole: every k-th frame, 48 at most, at the same pace, strongly compressed, without sound. `precision` is fp32
    (the default, exact), bf16 or auto (a preview's default).

    A photograph moves from its own pose: by `motion_seed`, by `motion_from` at that clip's times, or with `extend` as its codes go on.

    Whole frames are kept in the user's cache: a render of the same moments and edits with another codec, region or way of pasting does
    not make them again. Decoding, rendering and encoding run side by side, and memory does not grow with length. Raises RenderError and
    the errors of `vedit.video.write`; warns (PasteWarning) of a paste-back that will look soft.
    """
    rate, other = None if fps is None else parse_rate(fps), motion_seed is not None or motion_from is not None
    still = len(workspace.info["times"]) == 1
    _check(paste_back, blend, bool(compare or sweep or (not still and (other or extend))), preview and (fps or factor or codec != "h264" or crf is not None))
    place = pick_device(device)
    own = scene(workspace, edits, place)
    own.generator.set_precision(pick_precision(precision or ("auto" if preview else "fp32"), place))
    own = replace(own, weights=model_hash(own.generator))
    if sweep and not own.edits:
        raise RenderError("found no edit whose strength --sweep could change; make one first (vedit edit), or leave --no-edits out")
    asked: dict[str, Any] = {"fps": rate, "factor": factor, "speed": speed, "first": start, "last": end}
    if still and (other or extend):
        whole, plan = _photograph(own, motion_seed, motion_from, extend, asked)
    else:
        plan = schedule(workspace.info["times"], workspace.info["end"], extend=extend, lead=not workspace.info["settings"]["start"], **asked)
        whole = _moved(own, plan, motion_seed, motion_from) if other else own
    plan = previewed(plan) if preview else plan
    if paste_back:
        warn_if_soft(workspace, plan.moments, own.generator.cfg.resolution, blend or "difference")
        pictures = PasteBack(workspace, whole, FrameStore(frames_dir()), blend or "difference", replace(own, edits=())).pictures(plan.moments)
    else:
        pictures = _pictures(workspace, whole, plan, compare, sweep)
    marks = {
        f"x{factor}": bool(factor and factor > 1), f"{float(rate or 0):g}fps": rate is not None, f"speed{speed:g}": speed != 1,
        f"from{start or 0:g}s": start is not None, f"to{end or 0:g}s": end is not None, f"plus{extend:g}s": extend > 0,
        f"motion{motion_seed}": motion_seed is not None, "motion-of-" + (motion_from.path.stem if motion_from else ""): motion_from is not None,
        "sweep" + "".join(f"{value:+g}" for value in sweep or []): bool(sweep), "compare": compare, "pasted": paste_back,
        str(blend): blend not in (None, "difference"),
    }  # fmt: skip
    target = Path(out) if out is not None else _default_path(workspace, whole.edits, edits, codec, marks)
    if preview and out is None:
        target = target.with_name(f"preview-{target.name}")
    sound = _sound(workspace, plan, speed, extend) if audio and not preview and codec not in ("gif", "png") else {}
    quality = PREVIEW_CRF if preview else 14 if crf is None and codec == "h264" else crf
    metadata = EDITED if whole.edits else {"comment": "rendered from a video generator's latent space (vedit)"}

    def write(images: Iterator[Pixels]) -> video.Written:
        return video.write(target, images, times=plan.shown, last_duration=plan.last_duration, codec=codec, crf=quality, metadata=metadata, **sound)

    written = yield from pump(pictures, write, "render", len(plan.moments))
    return written.path


def _check(paste_back: bool, blend: str | None, otherwise: bool, preview_with: object) -> None:
    """Raise RenderError for wishes that do not go together."""
    if blend is not None and not paste_back:
        raise RenderError(f"found --blend {blend} without --paste-back; give both, or leave --blend out")
    if blend is not None and blend not in get_args(Blend):
        raise RenderError(f"found --blend {blend}; choose {', '.join(get_args(Blend))}")
    if paste_back and otherwise:
        raise RenderError("--paste-back works on the source's own frames: it goes with no comparison and, but for a photograph, no other motion or extension")
    if preview_with:
        raise RenderError("found --preview with --fps, --factor, --codec or --crf; a preview chooses these itself: leave them out, or --preview")


def _pictures(workspace: Workspace, whole: Scene, plan: Schedule, compare: bool, sweep: Sequence[float] | None) -> Iterator[Pixels]:
    store = FrameStore(frames_dir())
    plain = replace(whole, edits=())
    if sweep:
        scenes = [replace(whole, edits=tuple((edit, factor) for edit, _ in whole.edits)) for factor in sweep]
    elif compare:
        scenes = [plain, whole] if whole.edits else [plain]
    else:
        return _plain(ahead(whole.chunks(plan.moments, store)))
    return _side_by_side(scenes, plan.moments, workspace if compare else None, store)


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


def _side_by_side(scenes: Sequence[Scene], moments: Sequence[float], source: Workspace | None, store: FrameStore) -> Iterator[Pixels]:
    """What the scenes show, from left to right, after the frames of the project `source`, if there is one."""
    parts = [moments[begin : begin + CHUNK] for begin in range(0, len(moments), CHUNK)]
    held = None if source is None else _Held(source)
    streams = [ahead(one.chunks(moments, store), 1) for one in scenes]
    try:
        for part, *frames in zip(parts, *streams, strict=True):
            panels = [*([] if held is None else [held.at(part)]), *frames]
            yield from to_pixels(torch.cat([enlarge(panel) for panel in panels], dim=3)).numpy()
    finally:
        close(*streams)
        if held is not None:
            held.frames.close()


def _moved(own: Scene, plan: Schedule, seed: int | None, other: Workspace | None) -> Scene:
    """The same content, its drift stilled, under the motion of a seed or of another project."""
    even = Clock.of(own.clock.times, own.clock.fps)  # frames that this source repeats mean nothing to another motion
    motion = _motion(own.generator, float(even([max(plan.moments)])), seed, other)
    return replace(own, clock=even, latents=replace(motion, ws=own.latents.ws, content=None))


def _photograph(own: Scene, seed: int | None, other: Workspace | None, extend: float, asked: dict[str, Any]) -> tuple[Scene, Schedule]:
    """A photograph that moves, at another clip's times or at the generator's rate."""
    if other is not None and len(other.info["times"]) > 1:
        plan = schedule(other.info["times"], other.info["end"], extend=extend, lead=False, **asked)
        own = on_the_clock_of(own, other)
    else:
        times, end = moving_times(own.clock.origin, own.clock.fps, asked["last"], extend)
        plan = schedule(times, end, lead=False, **asked)
    span = float(own.clock([max(plan.moments)]))
    motion = None if seed is None and other is None else _motion(own.generator, span, seed, other)
    return set_in_motion(own, motion, span), plan


def _motion(generator: Generator, span: float, seed: int | None, other: Workspace | None) -> LatentVideo:
    """The motion of a seed up to t = `span`, or of another project."""
    if generator.cfg.motion is None:
        raise RenderError("this project's generator makes single images: there is no motion to exchange")
    if other is None:
        codes = motion_codes_of(generator, seed or 0, span)
        return LatentVideo(torch.empty(0), generator.trajectory(codes)[0], codes[0], span)
    if other.info["generator"]["hash"] != generator.hash:
        raise RenderError(f"{other.path} was made with another generator ({other.info['generator']['name']}); its motion means nothing to this one")
    return other.latents().to(generator.device)


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
    """A speaking name in the project's renders folder: the edits with strengths of their own, and what else sets this render apart.

    The edits give way where a name would be long, so that renders of the same edits keep what tells them apart.
    """
    strengths = {name: strength for name, strength in chosen or [] if strength is not None}
    names = [edit.name + (f"={strengths[edit.name]:g}" if edit.name in strengths else "") for edit, _ in edits] or ["reconstruction"]
    apart = "".join(f"-{_shortened(mark, LONGEST_MARK)}" for mark, on in marks.items() if on)
    what = _shortened("-".join(names), max(LONGEST_NAME - len(apart), LONGEST_NAME // 2))
    suffix = {"ffv1": ".mkv", "vp9": ".webm", "prores": ".mov", "gif": ".gif", "png": ""}.get(codec, ".mp4")
    return workspace.folder("renders") / (what + apart + suffix)


def _shortened(text: str, longest: int) -> str:
    """The text, or where it has more bytes than `longest` its beginning and a hash of the whole, so that two do not become one."""
    whole = os.fsencode(text)
    return text if len(whole) <= longest else f"{whole[: longest - 9].decode(errors='ignore')}-{hashlib.sha256(whole).hexdigest()[:8]}"
