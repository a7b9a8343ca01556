"""`vedit doctor`: what this machine has and lacks."""

from __future__ import annotations

import typer

from vedit.cli.console import Console, table
from vedit.cli.options import AsJson, Quiet


def doctor(quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Check this machine. Python, torch and its device, codecs, opencv, models, disk; exits with 1 if something must be mended.

    \b
      vedit doctor
      vedit doctor --json > machine.json
    """
    from vedit.doctor import examine

    checks = [check for check in examine() if not (quiet and check.state != "bad")]
    rows = [[check.state, check.name, check.found, check.remedy] for check in checks]
    bad = any(check.state == "bad" for check in checks)
    Console(quiet, as_json).answer({"ok": not bad, "checks": checks}, *([table(rows)] if rows else []))
    if bad:
        raise typer.Exit(1)
