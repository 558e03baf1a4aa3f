"""The doctor's checks: each looks at one thing that a gateway needs, and says what it found and what to do."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryFile
from time import monotonic

from videogate.media.disk import GIB, Disk
from videogate.media.storage import Gone, Storage, StorageAway
from videogate.task.errors import FailureCode, Unavailable
from videogate.vendorkit.contract import Greeting, Vendor

SKEW = 60.0  # seconds between a vendor's clock and ours; beyond it signed calls begin to fail
WORDS = 200  # characters of somebody else's words


class Mark(StrEnum):
    """How a check went."""

    GOOD = "good"
    BAD = "bad"
    UNSURE = "unsure"  # could not be told, or is worth a look


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what it looked at, how it went, what it found, and what to do about it."""

    check: str
    mark: Mark
    found: str
    advice: str = ""


def settings_read(unknown: Sequence[str]) -> Finding:
    """The settings, which were read; names that no setting has are most often a slip."""
    if unknown:
        return Finding("settings", Mark.UNSURE, f"no such setting: {', '.join(unknown)}", "correct or remove them")
    return Finding("settings", Mark.GOOD, "read, no unknown names")


def callers_keys(listed: int, made: int | None) -> Finding:
    """The callers' keys: those of the settings, and those made in the database (None: it cannot be asked)."""
    if listed or made:
        return Finding("callers' keys", Mark.GOOD, f"{listed} in the settings, {made or 0} in the database")
    if made is None:
        return Finding("callers' keys", Mark.UNSURE, "none in the settings, and the database cannot be asked")
    advice = "set VIDEOGATE_API_KEYS, or run `videogate keys create NAME`"
    return Finding("callers' keys", Mark.BAD, "none: nobody could call, and `serve` does not start", advice)


def folder(path: Path, floor: int | None) -> Finding:
    """The data directory: written to, and with room above the floor."""
    if not path.exists():
        return Finding("data directory", Mark.UNSURE, f"{path} is not there yet", "`videogate serve` makes it")
    try:
        with TemporaryFile(dir=path) as file:
            file.write(b"doctor")
    except OSError as error:
        return Finding("data directory", Mark.BAD, f"{path} cannot be written: {error.strerror}", "mend its rights")
    free = f"{shutil.disk_usage(path).free / GIB:.1f} GiB free"
    if not Disk({path}, floor, monotonic).has_room():
        advice = "make room, or lower VIDEOGATE_DISK_FLOOR"
        return Finding("data directory", Mark.BAD, f"{path} has {free}: creates are answered with 503", advice)
    return Finding("data directory", Mark.GOOD, f"{path} can be written, {free}")


def no_database(where: str) -> Finding:
    """The database of a gateway that never ran."""
    return Finding("database", Mark.UNSURE, f"{where} is not there yet", "`videogate serve` makes it")


def bad_database(where: str, error: Exception, advice: str) -> Finding:
    """A database that cannot be read."""
    words = str(error).partition("\n")[0][:WORDS]
    return Finding("database", Mark.BAD, f"{where}: {words}", advice)


def database(where: str, lacks: Sequence[str]) -> Finding:
    """A database that was read; `lacks`: the migrations that are not applied yet."""
    if lacks:
        advice = "`videogate migrate`, or the next `serve`, applies them; back up first"
        return Finding("database", Mark.UNSURE, f"{where} lacks the migrations {', '.join(lacks)}", advice)
    return Finding("database", Mark.GOOD, f"{where} opens, its schema is the newest")


async def storage(opened: Storage | None) -> Finding:
    """The storage: a small file is written, read back and removed.

    Its key is one that the sweeper takes for nobody's, so that one which stays behind is removed later.
    """
    if opened is None:
        return Finding("storage", Mark.UNSURE, "not tried before the data directory is there")
    key, content = f"videos/00/doctor_{token_hex(8)}.txt", b"written by videogate doctor"
    try:
        await opened.keep_bytes(key, content, "text/plain")
        same = await opened.read_whole(key) == content
        await opened.remove(key)
    except StorageAway as error:
        words = error.why.partition("?")[0][:WORDS]  # behind it may be a signature
        return Finding("storage", Mark.BAD, words, "see VIDEOGATE_MEDIA_URL and the store's own variables")
    except Gone:
        same = False
    if not same:
        return Finding("storage", Mark.BAD, "what was written did not come back", "see VIDEOGATE_MEDIA_URL")
    return Finding("storage", Mark.GOOD, "a file was written, read back and removed")


def no_vendor() -> Finding:
    """A gateway that no vendor works for."""
    return Finding("vendors", Mark.UNSURE, "none is configured", "set one's credentials; .env.example lists them")


async def vendor(asked: Vendor) -> list[Finding]:
    """One vendor's credentials and its clock, by a look at a job that does not exist: it costs nothing."""
    try:
        greeting = await asked.greet()
    except Unavailable as error:
        advice = f"see the network, and VIDEOGATE_{asked.name.upper()}_BASE_URL"
        return [Finding(asked.name, Mark.BAD, f"cannot be reached at {asked.account}: {error.message}", advice)]
    return [credentials(asked.name, greeting), clock(asked.name, greeting.ahead)]


def credentials(name: str, greeting: Greeting) -> Finding:
    """What a vendor's answer says of our credentials: any answer but a refusal of them means that it knows us."""
    refused = greeting.refused
    if refused is not None and refused.code is FailureCode.VENDOR_CREDENTIALS:
        words = f"refuses the credentials: {refused.vendor_code} {refused.vendor_message or ''}".strip()[:WORDS]
        return Finding(name, Mark.BAD, words, f"correct VIDEOGATE_{name.upper()}_* (and the clock, where it is off)")
    if not greeting.answered and (refused is None or refused.code in _TELLS_NOTHING):
        why = f"could not tell: it answered {greeting.status}"
        words = " ".join((refused.vendor_message or "").split())[:WORDS] if refused else "in no form it documents"
        return Finding(name, Mark.UNSURE, f"{why}, {words}", "try again later; see the base URL")
    return Finding(name, Mark.GOOD, "takes the credentials")


def clock(name: str, ahead: float | None) -> Finding:
    """How far our clock is from a vendor's."""
    check = f"{name}'s clock"
    if ahead is None:
        return Finding(check, Mark.UNSURE, "its answer tells no time")
    off = f"ours is {abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead'}"
    if abs(ahead) > SKEW:
        return Finding(check, Mark.BAD, off, "set this machine's clock (NTP): signed calls fail otherwise")
    return Finding(check, Mark.GOOD, off)


# Refusals that may come before the credentials are looked at.
_TELLS_NOTHING = frozenset({FailureCode.RATE_LIMITED, FailureCode.VENDOR_ERROR})
