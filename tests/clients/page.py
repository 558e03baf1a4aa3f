"""Writes docs/clients.md from the tables that the tests go by: `make docs`."""

from collections.abc import Iterator
from pathlib import Path

from clients.roster import CLIENTS, Client
from clients.steps import STEPS, Step

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
NOTE = "<!-- Written by tests/clients/page.py (`make docs`) from the tables of the tests; edit those. -->"
INTRO = """\
Each of these clients, as its makers publish it, does one list of steps against a running gateway with simulated vendors
behind it. What it got, what came to the vendors and what was paid is compared by the test, not by the client.
`make clients` runs them all, each in an environment of its own below `.clients/`; `make test` and CI run the newest."""


def page() -> str:
    """The whole page."""
    lines = [NOTE, "", "# Clients", "", *INTRO.splitlines(), "", *_versions(), ""]
    for group in dict.fromkeys(step.group for step in STEPS.values()):
        lines += [f"## {group}", "", *_table({name: step for name, step in STEPS.items() if step.group == group}), ""]
    lines += ["## In what they differ", ""]
    for client in CLIENTS.values():
        lines += [*_differences(client), ""]
    return "\n".join(lines).rstrip() + "\n"


def _versions() -> Iterator[str]:
    yield from ("| client | version | run by |", "|---|---|---|")
    for client in CLIENTS.values():
        run = "`make test`, `make clients`" if client.everyday else "`make clients`"
        yield f"| {client.name} | {client.version} | {run} |"


def _table(steps: dict[str, Step]) -> Iterator[str]:
    yield f"| | what is checked | {' | '.join(client.name for client in CLIENTS.values())} |"
    yield f"|---|---|{'---|' * len(CLIENTS)}"
    for name, step in steps.items():
        marks = ("–" if name in client.cannot else "yes" for client in CLIENTS.values())
        yield f"| {step.title} | {step.claim} | {' | '.join(marks)} |"


def _differences(client: Client) -> Iterator[str]:
    yield from (f"### {client.name}", "")
    yield from (f"- {sentence}" for sentence in client.differs)
    yield from (f"- Not checked, {STEPS[step].title}: {reason}." for step, reason in client.cannot.items())


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
