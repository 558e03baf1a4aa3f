"""Finding a submit again whose answer was lost: what a vendor allows, what is looked for, what is seen."""

from dataclasses import dataclass
from enum import StrEnum

from videogate.task.model import Receipt


class Trace(StrEnum):
    """What a vendor's API tells about jobs whose id we do not have."""

    NOTHING = "nothing"
    # It keeps our id of the attempt: a job that shows it is ours, and if none does, none was made.
    REFERENCE = "reference"
    # It lists the account's jobs: one is ours if it is alike and nothing else can be.
    LIKENESS = "likeness"


@dataclass(frozen=True, slots=True)
class Tracing:
    """How a lost submit can be found. `seconds`: for how long after the submit the vendor can be asked."""

    by: Trace = Trace.NOTHING
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Lost:
    """A submit whose outcome is not known, as a vendor needs it to look for the job. Times are since the epoch."""

    client_ref: str
    model: str
    way: str
    prompt: str
    sent_at: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """A job that a vendor shows. None stands for what it does not show.

    `remix_of` is the job of the video that it is a remix of; empty if it is surely none.
    """

    receipt: Receipt
    client_ref: str | None = None
    model: str | None = None
    prompt: str | None = None
    created_at: float | None = None
    remix_of: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a search, and what to ask for the next with (empty: there is none)."""

    sightings: tuple[Sighting, ...] = ()
    next_page: str = ""
