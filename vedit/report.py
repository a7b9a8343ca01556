"""`report.html` and `preview.mp4` of a project: figures, curves and both videos side by side, readable without a network."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vedit import scores, video
from vedit.pixels import enlarge, to_pixels
from vedit.workspace import Workspace, write_text

WIDTH, HEIGHT, MARGIN = 720, 160, 44  # of a plot, in pixels
COLOURS = ("#1b6ca8", "#d1495b", "#5b8c5a", "#8d6a9f")
FIGURES = ("psnr", "sharpness", "motion_ratio", "motion_correlation", "flicker")
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:780px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse}td,th{padding:.2em .9em;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}
video{width:100%;image-rendering:pixelated}svg{display:block}text{font:12px system-ui,sans-serif}dt{font-weight:600}dd{margin:0 0 .3em 0}"""


def drawn(curves: scores.Curves) -> dict[str, dict[str, list[float]]]:
    """What is drawn over time: likeness a frame, and in both clips detail a frame, what moves and what trembles."""
    found = {"PSNR (dB) of every frame": {"reconstruction": curves.psnr}}
    for name, values in curves.perceptual.items():
        found[f"{name} of every frame, lower is nearer"] = {"reconstruction": values}
    both = {
        "Sharpness: Laplacian energy of every frame": curves.sharpness,
        "Motion: mean squared difference of neighbouring frames": curves.motion,
        "Flicker: mean squared second difference": curves.flicker,
    }
    return found | {title: {"source": source, "reconstruction": rendered} for title, (source, rendered) in both.items() if source}


def write(workspace: Workspace, pairs: Iterable[tuple[Tensor, Tensor]], curves: scores.Curves) -> Path:
    """Write `preview.mp4` (source left, reconstruction right, with the sound), `report.json` (every figure, frame by frame) and
    `report.html`; returns the latter's path.

    `pairs` are chunks of both, [B, 3, H, W] in [-1, 1].
    """
    about = workspace.info
    sound = {"audio_from": workspace.source(), "audio_start": about["times"][0], "audio_end": about["end"]} if about.get("audio") else {}
    last = about["end"] - about["times"][-1]
    shown = [time - about["times"][0] for time in about["times"]]
    preview = workspace.path / "preview.mp4"
    video.write(preview, _side_by_side(pairs), times=shown, last_duration=last if last > 0 else None, crf=16, **sound)
    plots = drawn(curves)
    figures = {"times": about["times"], "levels": about["levels"], "curves": plots}
    write_text(workspace.path / "report.json", json.dumps(_strict(figures), indent=1, allow_nan=False))
    path = workspace.path / "report.html"
    write_text(path, page(about, plots, shown))
    return path


def _side_by_side(pairs: Iterable[tuple[Tensor, Tensor]]) -> Iterator[video.Pixels]:
    for pair in pairs:
        yield from to_pixels(torch.cat([enlarge(frames) for frames in pair], dim=3)).numpy()


def page(about: Mapping[str, Any], plots_of: Mapping[str, Mapping[str, Sequence[float]]], times: Sequence[float]) -> str:
    """The whole page; everything it shows but the video is in it."""
    name = html.escape(Path(about["source"]).name)
    settings = {key: value for key, value in about["settings"].items() if value is not None}
    facts = {"source": about["source"], "generator": about["generator"]["name"], "frames": len(times), "crop": about.get("crop_mode", "")} | settings
    listed = "".join(f"<dt>{html.escape(str(key))}</dt><dd>{html.escape(str(value))}</dd>" for key, value in facts.items())
    plots = "".join(plot(title, series, times) for title, series in plots_of.items())
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{name}</title><style>{STYLE}</style>"
        f"<h1>{name}</h1><p>Left the source as it was cropped, right what the generator makes of it.</p>"
        f'<video src="preview.mp4" controls loop></video>{table(about["levels"])}{plots}<h2>Settings</h2><dl>{listed}</dl></html>\n'
    )


def table(levels: Mapping[str, Mapping[str, Any]]) -> str:
    """Every level's figures, one row each: what each gained over the one before."""
    names = [*FIGURES, *(name for name in next(iter(levels.values()))["perceptual"])]
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in names)
    rows = ""
    for level, figures in levels.items():
        flat = {**figures, **figures["perceptual"]}
        rows += f"<tr><td>{html.escape(level)}</td>" + "".join(f"<td>{_spoken(flat.get(name))}</td>" for name in names) + "</tr>"
    return f"<h2>Figures</h2><table><tr><th>level</th>{head}</tr>{rows}</table>"


def plot(title: str, series: Mapping[str, Sequence[float]], times: Sequence[float]) -> str:
    """One plot as SVG: curves over seconds, each of `times` or of the intervals between them."""
    finite = [value for values in series.values() for value in values if math.isfinite(value)]
    if len(times) < 2 or not finite:
        return ""
    low, high = min(0.0, *finite), max(finite) or 1.0
    if low >= 0 and min(finite) > high / 2:
        low = min(finite) - 0.1 * (high - min(finite) or 1.0)  # what varies little is shown closer
    span = times[-1] - times[0]

    def point(second: float, value: float) -> str:
        x = MARGIN + (second - times[0]) / span * (WIDTH - MARGIN - 8)
        return f"{x:.1f},{HEIGHT - 18 - (value - low) / (high - low) * (HEIGHT - 30):.1f}"

    lines, legend = "", ""
    for i, (name, values) in enumerate(series.items()):
        seconds = _middles(times, len(times) - len(values))
        points = " ".join(point(s, v) for s, v in zip(seconds, values, strict=True) if math.isfinite(v))
        lines += f'<polyline points="{points}" fill="none" stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="1.5"/>'
        legend += f'<text x="{WIDTH - 8 - 110 * i}" y="11" text-anchor="end" fill="{COLOURS[i % len(COLOURS)]}">{html.escape(name)}</text>'
    axis = "".join(
        f'<text x="{MARGIN - 6}" y="{float(point(times[0], value).split(",")[1]) + 4:.1f}" text-anchor="end">{value:.3g}</text>' for value in (low, high)
    )
    ends = f'<text x="{MARGIN}" y="{HEIGHT - 2}">0 s</text><text x="{WIDTH - 8}" y="{HEIGHT - 2}" text-anchor="end">{span:.2f} s</text>'
    return f'<h2>{html.escape(title)}</h2><svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%">{lines}{legend if len(series) > 1 else ""}{axis}{ends}</svg>'


def _middles(times: Sequence[float], differences: int) -> Sequence[float]:
    """Where differences of so high an order stand: between their frames."""
    for _ in range(differences):
        times = [(a + b) / 2 for a, b in pairwise(times)]
    return times


def _strict(value: Any) -> Any:
    """The same for JSON, which has no infinity: the PSNR of equal frames is None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _strict(part) for key, part in value.items()}
    return [_strict(part) for part in value] if isinstance(value, list) else value


def _spoken(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else "–"
