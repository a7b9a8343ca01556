"""`vedit metrics`: how near generated clips come to real ones, and a project to its clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vedit.cli.console import Console, table
from vedit.cli.options import AsJson, Device, Project, Quiet
from vedit.cli.parse import HIGHEST_SEED, BadArgument
from vedit.cli.projects import open_project

if TYPE_CHECKING:
    from vedit.metrics import Comparison

HELP = """Measure: FID, KID, precision, recall and FVD of two sets of clips; a project against its clip.

\b
  vedit metrics compare data/heads runs/heads/heads.safetensors
  vedit metrics compare world:portraits portraits-2 --metrics fid,kid,pr,fvd16
  vedit metrics reconstruction head.vedit"""
FIGURES = ("psnr", "sharpness", "motion_ratio", "motion_correlation", "flicker")

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)


@app.command()
def compare(
    real: Annotated[
        str, typer.Argument(metavar="REAL", help="A data set (folder or zip of frames), a folder of videos, world:NAME, or a generator.", show_default=False)
    ],
    fake: Annotated[str, typer.Argument(metavar="FAKE", help="The same; usually a generator's name or file.", show_default=False)],
    metrics: Annotated[str, typer.Option(metavar="A,B", help="Of fid, kid, pr (precision, recall), fvd16, fvd128, fvd128s8.")] = "fid,fvd16",
    clips: Annotated[int, typer.Option(metavar="N", min=2, help="Clips, and frames for fid, kid and pr, of each side.")] = 2048,
    features: Annotated[
        str, typer.Option(metavar="A,B", help="auto, inception, i3d, squeeze, alex, builtin; the first that sees what a metric needs.")
    ] = "auto",
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=HIGHEST_SEED, help="Of every draw: the same seed gives the same figures.")] = 0,
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="Seeds N, N + 1, …: mean and spread over them.")] = 1,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Hold one set of clips against another; smaller is nearer, but for precision and recall.

    \b
      vedit metrics compare data/heads.zip runs/heads/heads.safetensors
      vedit metrics compare world:skies skies-2 --metrics fid,fvd128s8 --clips 512
      vedit metrics compare data/heads heads.safetensors --features inception,i3d
      vedit metrics compare portraits-2 portraits-2           what chance makes

    fid, kid and fvd without a suffix are taken with Inception and I3D, as they
    are defined; fid-squeeze and the like are not comparable to them. Real videos
    give one random window each (FVD), frames are spread over all of them;
    generators and worlds run at their own frame rate from t = 0, a seed a clip.
    Both sides are brought to the smaller one's size. Features of REAL are kept
    in the cache, so that another FAKE takes half of the time.
    """
    from vedit.metrics import METRICS, Settings
    from vedit.metrics import compare as run

    console = Console(quiet, as_json)
    wanted = _listed(metrics)
    if not wanted or set(wanted) - set(METRICS):
        raise BadArgument(f"found --metrics {metrics!r}; give some of {', '.join(METRICS)}, with commas between")
    settings = Settings(metrics=wanted, features=_listed(features), clips=clips, seed=seed, repeats=repeats)
    found = console.run(run(real, fake, settings, device=device))
    console.answer(found.to_dict(), table(_rows(found), ["metric", "figure", "spread"]), "", *_about(found))


@app.command()
def reconstruction(
    project: Project = None,
    again: Annotated[bool, typer.Option("--again", help="Render and measure now instead of reading what the projection found.")] = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Show how near a project comes to its clip, level by level.

    \b
      vedit metrics reconstruction
      vedit metrics reconstruction head.vedit --again --json

    PSNR in dB, the median over frames; sharpness, motion and flicker as ratios
    to the source's (1 is equal); motion_correlation over the intervals;
    perceptual distances as means over frames.
    """
    from vedit.metrics import reconstruction as run

    console = Console(quiet, as_json)
    workspace = open_project(project)
    levels = console.run(run(workspace, again=again, device=device))
    names = [*FIGURES, *dict.fromkeys(name for found in levels.values() for name in found["perceptual"])]
    rows = [[level, *(_short({**found, **found["perceptual"]}.get(name)) for name in names)] for level, found in levels.items()]
    console.answer({"project": workspace.path, "levels": levels}, table(rows, ["level", *names]))


def _rows(found: Comparison) -> list[list[str]]:
    """A line for every figure."""
    return [[name, _short(figure.mean), _short(figure.spread)] for name, figure in found.figures.items()]


def _about(found: Comparison) -> list[str]:
    """What the figures were taken from."""
    counts = []
    for what, sides in found.samples.items():
        unit = "frames" if what == "frames" else f"clips ({what})"
        counts.append(f"{sides['real'].rows} and {sides['fake'].rows} {unit}")
    settings = found.settings
    seeds = f"seed {settings.seed}" if settings.repeats == 1 else f"seeds {settings.seed} to {settings.seed + settings.repeats - 1}"
    return [f"{found.real} and {found.fake} at {found.size}²: {', '.join(counts)}; {seeds}", *(f"note: {note}" for note in found.notes)]


def _short(value: Any) -> str:
    """Four digits, a dash for what was not measured.

    >>> _short(12.34567), _short(0.0001234), _short(None)
    ('12.35', '0.0001234', '–')
    """
    return f"{value:.4g}" if isinstance(value, (int, float)) else "–"


def _listed(text: str) -> tuple[str, ...]:
    """The words between commas.

    >>> _listed("fid, kid,")
    ('fid', 'kid')
    """
    return tuple(word.strip() for word in text.split(",") if word.strip())
