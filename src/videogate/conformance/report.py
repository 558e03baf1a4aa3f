"""A run's results for people and for machines."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from videogate.conformance.check import GROUPS
from videogate.conformance.run import Outcome, Result
from videogate.conformance.session import Session

MARKS = {
    Outcome.PASSED: Text("✔", "green"),
    Outcome.FAILED: Text("✘", "bold red"),
    Outcome.SKIPPED: Text("–", "yellow"),
}


def table(results: Sequence[Result], left: Sequence[str]) -> RenderableType:
    """The results by group, under each that did not pass what was seen, and the videos that could not be deleted."""
    found = Table(box=None, show_header=False, padding=(0, 1))
    found.add_column(no_wrap=True)
    found.add_column(no_wrap=True)
    found.add_column(no_wrap=True, style="dim")
    found.add_column(overflow="fold")
    for group, members in groupby(results, lambda each: each.check.group):
        found.add_row("", Text(f"\n{GROUPS[group]}", "bold"), "", "")
        for each in members:
            found.add_row(MARKS[each.outcome], each.check.id, each.check.level, _claim(each))
    rest = [Text(f"{len(left)} videos could not be deleted: {', '.join(left)}", "yellow")] if left else []
    return Group(found, Text(f"\n{summary(results)}", "bold"), *rest)


def _claim(result: Result) -> Text:
    claim = Text(result.check.claim)
    if result.outcome is Outcome.FAILED:
        claim.append(f"\nseen: {result.seen}", "red").append(f"\nneeded by: {result.check.needed_by}", "dim")
    elif result.outcome is Outcome.SKIPPED:
        claim.append(f"\nskipped: {result.seen}", "yellow")
    return claim


def summary(results: Sequence[Result]) -> str:
    """One line: how many passed, how many did not."""
    counts = Counter(each.outcome for each in results)
    fatal = sum(each.fatal for each in results)
    failed = f"{counts[Outcome.FAILED]} failed" + (f", {fatal} of them a must" if counts[Outcome.FAILED] else "")
    return f"{counts[Outcome.PASSED]} passed; {failed}; {counts[Outcome.SKIPPED]} skipped"


def as_json(results: Sequence[Result], session: Session, left: Sequence[str]) -> dict[str, Any]:
    """The results for machines."""
    counts = Counter(each.outcome for each in results)
    return {
        "base_url": session.client.base_url,
        "model": session.model,
        "ok": not any(each.fatal for each in results),
        **{outcome.value: counts[outcome] for outcome in Outcome},
        "videos_made": len(session.created),
        "videos_left": [*left],
        "checks": [
            {
                "id": each.check.id,
                "group": each.check.group,
                "level": each.check.level,
                "claim": each.check.claim,
                "needed_by": each.check.needed_by,
                "outcome": each.outcome.value,
                "seen": each.seen or None,
            }
            for each in results
        ],
    }
