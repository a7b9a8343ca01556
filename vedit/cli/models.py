"""`vedit models`: what models there are, where they lie, and getting more."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated

import typer

from vedit.cli.console import Console, table
from vedit.cli.options import AsJson, Quiet

HELP = """List, describe, fetch, import and verify models.

\b
  vedit models list
  vedit models info portraits-2
  vedit models pull vgg16
  vedit models import official-snapshot.pkl -o mine.safetensors

Files are looked for along VEDIT_MODEL_PATH, then in the cache. VEDIT_OFFLINE=1 forbids fetching."""

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_(quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Show every model that is known or found, and whether it is on this machine.

    \b
      vedit models list
      vedit models list --json
    """
    from vedit import models

    rows: list[dict[str, object]] = []
    for model in models.MODELS:
        path = models.locate(model.name)
        place = "built in" if path and model.built_in else str(path) if path else "can be pulled" if model.download else "missing"
        rows.append({"name": model.name, "kind": model.kind, "where": place, "licence": model.licence, "purpose": model.purpose})
    named = {row["name"] for row in rows}
    for name, found in models.local_generators():
        if name not in named:
            rows.append({"name": name, "kind": "generator", "where": str(found), "licence": "", "purpose": "found on the search path"})
    text = table([list(row.values()) for row in rows], ["name", "kind", "where", "licence", "for"])
    Console(quiet, as_json).answer({"models": rows}, text)


@app.command()
def info(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A model's name or a .safetensors file.", show_default=False)],
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Say what a model is, where it comes from and what its file holds.

    \b
      vedit models info portraits-2
      vedit models info clip-1                the words that prompts are made of
      vedit models info runs/heads/heads.safetensors
    """
    from vedit import models

    console = Console(quiet, as_json)
    local = dict(models.local_generators())
    if Path(name).is_file():
        about = models.describe(Path(name))
    elif name in local and name not in models.BUILTIN_GENERATORS:
        about = models.describe(local[name])
    else:
        about = _entry(name)
    console.answer(about, *(f"{key}:{_listed(value) if key == 'words' else ' ' + _short(value)}" for key, value in about.items()))


@app.command()
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model's name.", show_default=False)],
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a model from upstream into the cache, going on where an earlier try stopped; it is checked before it is used.

    \b
      vedit models pull vgg16
    """
    from vedit import models

    console = Console(quiet, as_json)
    path = console.run(models.pull(name))
    console.answer({"name": name, "path": path}, str(path))


@app.command("import")
def import_(
    snapshot: Annotated[Path, typer.Argument(metavar="SNAPSHOT.pkl", help="An official StyleGAN snapshot.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The .safetensors file to write.", show_default=False)],
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Turn the generator of an official snapshot (StyleGAN-V, StyleGAN2-ADA) into a checkpoint; no code in it is run.

    \b
      vedit models import stylegan-v-ffs256.pkl -o ffs256.safetensors
      vedit generate -g ffs256.safetensors
    """
    from vedit.models.importing import import_generator

    found = import_generator(snapshot, out)
    Console(quiet, as_json).answer(found, f"{found['path']}: {found['network']} of {snapshot}, {found['parameters']:,} parameters")


@app.command()
def verify(quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Hash every model on this machine and compare with what was published. Exits with 1 if one is wrong.

    \b
      vedit models verify
      vedit models verify --json
    """
    from vedit import models

    console = Console(quiet, as_json)
    results = [result for result in console.run(models.verify()) if result.path is not None]
    data = [{"name": result.model.name, "state": result.state, "path": result.path} for result in results]
    text = table([[result.state, result.model.name, result.path] for result in results]) or "no models on this machine"
    wrong = any(result.state == "wrong" for result in results)
    console.answer({"ok": not wrong, "models": data}, text)
    if wrong:
        raise typer.Exit(1)


def _entry(name: str) -> dict[str, object]:
    """A registry entry, with what its file says where it is on this machine."""
    from vedit import models

    model = models.get(name)
    path = models.locate(name)
    about: dict[str, object] = {"name": model.name, "kind": model.kind, "for": model.purpose, "licence": model.licence}
    if model.download is not None:
        size = model.download.bytes
        about |= {"address": model.download.url, "sha256": model.download.sha256 or "unknown"}
        about |= {"download": f"{size / 1e6:.1f} MB"} if size else {}
    about["where"] = str(path) if path else "not on this machine"
    if path is not None and path.suffix == ".safetensors":
        about |= {key: value for key, value in models.describe(path).items() if key != "path"}
    elif path is not None and path.is_dir():
        about["files"] = {file.name: file.stat().st_size for file in sorted(path.iterdir())}
        words = path / "vocabulary.txt"
        about |= {"words": " ".join(words.read_text(encoding="utf-8").split())} if words.is_file() else {}
    return about


def _listed(words: object) -> str:
    """A long list of words, all of them, in lines that a terminal holds."""
    return "\n" + textwrap.fill(str(words), 80, initial_indent="  ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _short(value: object, limit: int = 2000) -> str:
    """A value as text, cut where it would fill the screen (--json never cuts)."""
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text)} characters; --json shows all)"
