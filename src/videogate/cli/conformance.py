"""`videogate conformance`: does a server, ours or another, speak OpenAI's video format?"""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import httpx
import typer
from rich.console import Console

from videogate import conformance as checks

WIDE = 140  # columns of a log


def conformance(
    base_url: Annotated[str, typer.Argument(help="As SDKs take it: http://host/v1.")],
    key: Annotated[str, typer.Option(envvar="OPENAI_API_KEY", help="An API key of the server.")],
    second_key: Annotated[str, typer.Option(help="Another caller's key; without it foreign ids are not tried.")] = "",
    model: Annotated[str, typer.Option(help="What to make videos with; else sora-2, else the first listed.")] = "",
    size: Annotated[str, typer.Option(help="The size of every video.")] = "720x1280",
    seconds: Annotated[int, typer.Option(help="The length of every video.")] = 4,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the one video that is really made.")] = 600.0,
    only: Annotated[list[str] | None, typer.Option(help="A group of checks, such as content; may be repeated.")] = None,
    huge: Annotated[bool, typer.Option("--huge", help="Also send a body of 64 MiB, which should be a 413.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before videos are made.")] = False,
) -> None:
    """Check a server of OpenAI's video format from outside, and say on which answers clients break.

    The requests are marked as an OpenAI SDK marks its own, so that a server with several dialects shows OpenAI's.
    Videos are made at the server: one is waited for, the others are deleted at once. Exit code 1: a `must` failed.
    """
    if not base_url.startswith(("http://", "https://")):
        _refuse("BASE_URL must begin with http:// or https://")
    try:
        picked = checks.chosen(only or ())
    except ValueError as error:
        _refuse(str(error))
    session = checks.Session(checks.Target(base_url, key, second_key, model, size, seconds, timeout, huge))
    try:
        _prepare(session, picked, yes=yes)
        with Console(stderr=True).status("") as status:  # who watches a terminal sees what is being looked at
            session.tell = status.update
            results = [*checks.run(picked, session)]
    finally:
        left = session.close()
    if as_json:
        sys.stdout.write(json.dumps(checks.as_json(results, session, left), ensure_ascii=False, indent=2) + "\n")
    else:
        console = Console(width=None if sys.stdout.isatty() else WIDE)  # a log has no edge
        console.print(checks.table(results, left), highlight=False)
    if any(each.fatal for each in results):
        raise typer.Exit(1)


def _prepare(session: checks.Session, picked: Sequence[checks.Check], *, yes: bool) -> None:
    """See that somebody answers, and ask before anything is made that may cost money."""
    try:
        model = session.model
    except (httpx.TransportError, httpx.InvalidURL) as error:
        _refuse(f"nothing answers at {session.client.base_url}: {error}")
    right, most = checks.videos(picked)
    if yes or not most:
        return
    typer.echo(
        f"This makes {right} videos of {session.target.seconds} s with the model {model} at"
        f" {session.client.base_url}: one is waited for, the others are deleted at once. A server that takes what it"
        f" should refuse makes up to {most}. A real server may charge for each of them.",
        err=True,
    )
    try:
        typer.confirm("Go on?", err=True, abort=True)
    except typer.Abort:
        _refuse("nothing was made")


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"videogate: {message}\n")
    raise typer.Exit(2)
