"""`videogate doctor`: what keeps this gateway from working, if anything."""

import asyncio
import json
import logging
from dataclasses import asdict
from typing import Annotated

import typer

from videogate.checkup import examine
from videogate.engine.doctor import Finding, Mark
from videogate.settings import ConfigurationError, environment, lend_to_libraries, read_settings

MARKS = {Mark.GOOD: "✔", Mark.BAD: "✘", Mark.UNSURE: "–"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list instead of lines.")] = False,
) -> None:
    """Check settings, keys, disk, database, storage, and each vendor's credentials and clock. Costs nothing."""
    findings = _findings()
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in findings], ensure_ascii=False, indent=2))
    else:
        width = max(len(each.check) for each in findings)
        for each in findings:
            advice = f"; {each.advice}" if each.advice else ""
            typer.echo(f"{MARKS[each.mark]} {each.check:<{width}}  {each.found}{advice}")
    if any(each.mark is Mark.BAD for each in findings):
        raise typer.Exit(1)


def _findings() -> list[Finding]:
    logging.disable()  # what goes wrong is among the findings
    try:
        settings = read_settings()
        lend_to_libraries()
        return asyncio.run(examine(settings, environment()))
    except ConfigurationError as error:
        return [Finding("settings", Mark.BAD, str(error), "see .env.example")]
