"""What a simulator can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of one simulator; times in seconds.

    Attributes:
        only: serve one vendor, at the root, as its own SDK expects; None serves all under `/<vendor>`.
        key: the one credential that every vendor accepts.
        ledger: a file to which every accepted job is appended, and synced, before it is answered; it also says which of
            them were cancelled.
        queue_seconds, render_seconds: how long a job waits, and how long it then takes.
        link_seconds: how long a result can be fetched after it was made.
        record_seconds: how long a job is remembered after it was accepted.
        seed: makes ids and links the same in every run; None makes them unguessable.
        strict: enforce the values that the vendor itself names, where other servers of its format take more.
        late_validation: accept first and validate fields later, where a vendor may; a bad request's job then fails.
        rate_limits: enforce the documented rates, and the documented numbers of jobs at once.
        crowded: what happens to a job over the number at once: it waits its turn, or is refused.
        check_paths: refuse a model on another model's path.
    """

    only: str | None = None
    key: str = "simulator"
    ledger: Path | None = None
    queue_seconds: float = 0.3
    render_seconds: float = 2.0
    link_seconds: float = 86_400.0
    record_seconds: float = 86_400.0
    seed: int | None = None
    strict: bool = False
    late_validation: bool = False
    rate_limits: bool = True
    crowded: Literal["wait", "refuse"] = "wait"
    check_paths: bool = True
