"""What `videogate db` says."""

from pathlib import Path

from videogate.moving import Files
from videogate.store.backup import Restored
from videogate.store.target import Moved

SENT_SINCE = """
What was asked for after the backup is not in it:
  - Videos accepted since are unknown here. Their jobs at the vendors go on and are billed. The log names those
    that a search comes across, and that show our reference, as `foreign_job`; the others are in the consoles only.
  - Who repeats such a request, also under its Idempotency-Key, pays again.
  - Files of videos that were finished since belong to nobody here and are removed within an hour of the start. Copy
    the media folder, or that part of the bucket, first if you want them.
Attempts that were under way count as perhaps paid. They are looked for and never sent again. One that ends as
`submission_not_received` may still have been sent in a second try after the backup: look in the vendor's console."""

TAKEN = "{number} videos were waiting to be sent and may have been sent since: they are looked for, not sent again."
_TRUSTED = "Videos that were waiting to be sent will be sent: you said that nothing was sent since the backup."


def restored(database: Path, done: Restored, *, trusted: bool) -> str:
    """What a restore did, and what it means."""
    lines = [f"{database} is restored."]
    if done.before is not None:
        lines.append(f"The database before it is {done.before}.")
    lines += [_TRUSTED] if trusted else [TAKEN.format(number=done.maybe_sent), SENT_SINCE]
    return "\n".join(lines)


def copied(database: Path, name: str, moved: Moved, files: Files) -> str:
    """What a move did, and what is to be done next."""
    old = moved.old or database
    return "\n".join(
        [
            f"{database} is now {name}: {_rows(moved)}.",
            f"Put into the storage: {_files(files)}.",
            *_missing(files),
            f"The old database is {old}. No server starts in its place, since both would pay for what waits.",
            "Start the gateway with the settings of this command. When all is well the old database can go.",
        ]
    )


def rehearsed(database: Path, name: str, moved: Moved, files: Files) -> str:
    """What a move would do."""
    lines = [f"{database} would become {name}: {_rows(moved)}. All rows were taken there, and taken back."]
    return "\n".join(
        [*lines, f"To be put into the storage: {_files(files)}.", *_missing(files), "Nothing was changed."]
    )


def _rows(moved: Moved) -> str:
    number = moved.rows
    return (
        f"{number['task']} videos, {moved.in_flight} of them under way, {number['api_key']} keys, "
        f"{number['webhook_endpoint']} webhook endpoints"
    )


def _files(files: Files) -> str:
    return f"{files.inputs} waiting pictures and {files.videos} videos; {files.there} were there"


def _missing(files: Files) -> list[str]:
    return [f"Nowhere, or damaged: {len(files.missing)} files, such as {files.missing[0]}."] if files.missing else []
