"""The `vedit` command: one module for each subcommand; nothing heavy is imported before a command needs it."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, TextIO

import typer

from vedit import __version__
from vedit.cli import (
    bench,
    data,
    decompose,
    demo,
    doctor,
    edit,
    edits,
    generate,
    info,
    metrics,
    models,
    project,
    render,
    train,
    upsample,
)
from vedit.cli.console import complain
from vedit.cli.parse import BadArgument
from vedit.errors import VeditError
from vedit.memory import OUT_OF_MEMORY, keep_freed_memory, ran_out

HELP = """Find a clip in a video generator, change it by words, render it at any frame rate and length.

\b
  vedit project clip.mp4               → clip.vedit/, the clip as latents
  vedit edit --prompt "an old person"    one direction, at every moment
  vedit render --compare                 beside the source, with its sound
  vedit upsample --factor 5              five times the frames

`vedit demo` does all four with a clip that ships; `vedit COMMAND --help` shows
more examples."""

RESUMABLE = ("project", "upsample", "demo", "models", "train", "data")
STOPPED = 130  # what shells report for a program ended by Ctrl-C

app = typer.Typer(
    name="vedit", help=HELP, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)
COMMANDS: dict[str, Callable[..., None]] = {
    "project": project.project,
    "edit": edit.edit,
    "render": render.render,
    "upsample": upsample.upsample,
    "info": info.info,
    "generate": generate.generate,
    "decompose": decompose.decompose,
    "train": train.train,
    "doctor": doctor.doctor,
    "bench": bench.bench,
    "demo": demo.demo,
}
for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(data.app, name="data")
app.add_typer(edits.app, name="edits")
app.add_typer(models.app, name="models")
app.add_typer(metrics.app, name="metrics")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"vedit {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """Run the command that sys.argv asks for and exit: 0 done, 1 it failed, 2 it was not understood, 130 Ctrl-C.

    A user's mistake is one line on stderr, never a traceback; VEDIT_TRACEBACK=1 shows where an error came from.
    """
    _quieten_libraries()
    keep_freed_memory()
    try:
        status = typer.main.get_command(app)(prog_name="vedit", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # `vedit info | head`: nobody reads on, and that is no error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except KeyboardInterrupt:
        status = STOPPED
    except typer.TyperException as error:
        complain(f"{error.format_message()} (see `{_where(error)} --help`)")
        status = error.exit_code
    except (VeditError, OSError) as error:
        _traceback_if_asked()
        complain(_describe(error))
        status = 2 if isinstance(error, BadArgument) else 1
    except Exception as error:
        _traceback_if_asked()
        if ran_out(error):
            complain(OUT_OF_MEMORY)
        elif type(error).__module__.partition(".")[0] == "stylegan_v":  # its errors cannot be VeditErrors, and importing them costs a second
            complain(str(error))
        else:
            complain(f"this is a bug in vedit: {type(error).__name__}: {error} (VEDIT_TRACEBACK=1 shows where; please report it)")
        status = 1
    if status == STOPPED:
        command = sys.argv[1] if len(sys.argv) > 1 else ""
        remedy = "run the same command with --resume to go on" if command == "train" else "run the same command again to go on"
        complain(remedy if command in RESUMABLE else "nothing half-written was left", kind="stopped")
    sys.exit(status if isinstance(status, int) else 0)


def _describe(error: Exception) -> str:
    """An error's line; the operating system's own errors name the file first."""
    if isinstance(error, OSError) and not isinstance(error, VeditError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _where(error: Exception) -> str:
    """The command that a usage error happened in."""
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context is not None else "vedit"


def _traceback_if_asked() -> None:
    if os.environ.get("VEDIT_TRACEBACK", "") not in ("", "0"):
        raise  # called from an except clause only


def _quieten_libraries() -> None:
    """Our own warnings become one line each; other libraries' notes about themselves are not the user's business."""
    logging.getLogger().addHandler(logging.NullHandler())

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
    ) -> None:
        if category.__module__.partition(".")[0] in ("vedit", "stylegan_v"):
            complain(str(message), kind="warning")

    warnings.showwarning = show
