"""`videogate tasks`: what waits for a person, and what a person can do about it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from time import time
from typing import Annotated, NoReturn, TypeVar

import typer

from videogate.app import open_database, receipt_of
from videogate.cli.common import plain_errors
from videogate.settings import read_settings
from videogate.store.ledger import Ledger
from videogate.store.lost import LostStore, LostSubmit

T = TypeVar("T")
SHOWN = 200  # characters of a prompt or of evidence

app = typer.Typer(help="Tasks that need a person.", no_args_is_help=True)

TaskId = Annotated[str, typer.Argument(help="As `review` shows it.")]


@app.command()
def review() -> None:
    """List the submits of which nobody knows whether the vendor made, and billed, a video."""
    waiting = _visit(lambda lost, _: lost.under_review())
    for each in waiting:
        typer.echo(_in_words(each))
    if waiting:
        typer.echo(
            "\nLook in the vendor's console for a job of that moment. If there is one:\n"
            "  videogate tasks bind TASK VENDOR_TASK_ID    the video is fetched, the task goes on\n"
            "If there is none:\n"
            "  videogate tasks write-off TASK              it is not looked for any more"
        )
    else:
        typer.echo("Nothing waits for a person.")


@app.command()
def bind(
    task_id: TaskId, vendor_task_id: Annotated[str, typer.Argument(help="The job's id, as the vendor's console says.")]
) -> None:
    """Tell which job of the vendor a task's lost submit became. A running server goes on with it at once."""

    async def work(lost: LostStore, ledger: Ledger) -> bool:
        found = await _one(lost, task_id)
        now = time()
        return await ledger.accepted(found.attempt_id, receipt_of(found, vendor_task_id), now=now, due_at=now)

    if not _visit(work):
        _fail(f"{vendor_task_id} was not bound: it belongs to another task, or this one is settled already.")
    typer.echo(f"{task_id} goes on as {vendor_task_id}.")


@app.command("write-off")
def write_off(task_id: TaskId) -> None:
    """Give a lost submit up: it is not looked for any more, and its task stays failed."""

    async def work(lost: LostStore, _: Ledger) -> bool:
        return await lost.write_off(await _one(lost, task_id), now=time())

    if not _visit(work):
        _fail(f"{task_id} is settled already.")
    typer.echo(f"{task_id} is written off.")


async def _one(lost: LostStore, task_id: str) -> LostSubmit:
    found = next((each for each in await lost.under_review() if each.task_id == task_id), None)
    if found is None:
        _fail(f"{task_id} does not wait for a person; `videogate tasks review` lists those that do.")
    return found


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _in_words(lost: LostSubmit) -> str:
    sent = datetime.fromtimestamp(lost.sent_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return "\n".join(
        (
            f"{lost.task_id}  {lost.vendor}  {lost.model}",
            f"  sent      {sent}, as {lost.client_ref}; looked for {lost.looks} times",
            f"  prompt    {lost.prompt[:SHOWN]}",
            f"  evidence  {' '.join(lost.evidence.split())[:SHOWN]}",
        )
    )


def _visit(work: Callable[[LostStore, Ledger], Awaitable[T]]) -> T:
    async def visit() -> T:
        database = open_database(read_settings(), alone=False)
        try:
            return await work(LostStore(database), Ledger(database, "person"))
        finally:
            await database.close()

    with plain_errors():
        return asyncio.run(visit())
