"""A run: every check against one server."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import httpx

from videogate.conformance import (
    access,
    answer,
    content,
    create,
    errors,
    headers,
    lifecycle,
    lists,
    pictures,
    ranges,
    repeats,
)
from videogate.conformance.check import GROUPS, Check
from videogate.conformance.findings import Failed, Skipped
from videogate.conformance.session import Session

_MODULES = (create, pictures, answer, lifecycle, content, ranges, lists, errors, access, repeats, headers)

# Every check, in the order in which they are looked at.
CHECKS: tuple[Check, ...] = tuple(
    sorted((check for module in _MODULES for check in module.CHECKS), key=lambda check: [*GROUPS].index(check.group))
)


class Outcome(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """A check with what came of it. `seen` is what failed, or why it was skipped."""

    check: Check
    outcome: Outcome
    seen: str = ""

    @property
    def fatal(self) -> bool:
        """Whether clients break on it."""
        return self.outcome is Outcome.FAILED and self.check.must


def chosen(groups: Iterable[str]) -> tuple[Check, ...]:
    """The checks of these groups, all if there are none. Raises ValueError for a group that is not there."""
    wanted = {*groups} or {*GROUPS}
    if strange := sorted(wanted - GROUPS.keys()):
        raise ValueError(f"there is no group {', '.join(strange)}; there are {', '.join(GROUPS)}")
    return tuple(check for check in CHECKS if check.group in wanted)


def videos(checks: Iterable[Check]) -> tuple[int, int]:
    """How many videos these checks make at a server of the format, and how many at one where every claim is wrong."""
    kept = [*checks]
    right = len({name for check in kept for name in check.shared}) + sum(check.videos for check in kept)
    return right, right + sum(check.surplus for check in kept)


def run(checks: Iterable[Check], session: Session) -> Iterator[Result]:
    """The results, check by check. What a check made for itself is deleted before the next."""
    for check in checks:
        session.tell(check.id)
        outcome, seen = _look(check, session)
        session.tidy()
        yield Result(check, outcome, session.target.redact(seen))


def _look(check: Check, session: Session) -> tuple[Outcome, str]:
    try:
        check.look(session)
    except Failed as failed:
        return Outcome.FAILED, str(failed)
    except Skipped as skipped:
        return Outcome.SKIPPED, str(skipped)
    except httpx.HTTPError as error:
        return Outcome.FAILED, f"no answer: {type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 (whatever an answer does to a check is a finding about the answer)
        return Outcome.FAILED, f"an answer that cannot be read: {type(error).__name__}: {error}"
    return Outcome.PASSED, ""
