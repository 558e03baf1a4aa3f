"""`videogate conformance`: our gateway passes in full, and another's faults show."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from acceptance import other_gateway
from acceptance.conftest import KEY, OTHER, World
from acceptance.other_gateway import OtherGateway
from forked import Server
from videogate.cli import app
from videogate.conformance import CHECKS, GROUPS, Session, Target, chosen, run, videos

pytestmark = pytest.mark.databases("sqlite")

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real command."""
    process = [sys.executable, "-m", "videogate", "conformance", *arguments]
    return subprocess.run(process, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)


def at_a_terminal(*arguments: str, typed: str = "") -> Result:
    """Run the command in this process, with something typed in."""
    return CliRunner().invoke(app, ["conformance", *arguments], input=typed)


def outcomes(report: dict[str, Any], outcome: str, level: str = "must should") -> dict[str, str]:
    """What was seen, by id, of the checks with this outcome and level."""
    checks = report["checks"]
    return {each["id"]: each["seen"] for each in checks if each["outcome"] == outcome and each["level"] in level}


@pytest.fixture
def other() -> Iterator[tuple[OtherGateway, str]]:
    """Another gateway, running, and its base URL."""
    gateway = OtherGateway()
    with other_gateway.serving(gateway) as url:
        yield gateway, f"{url}/v1"


def test_our_gateway_passes_every_check(gateway: str) -> None:
    """Nothing fails and nothing is skipped, no more is made than was announced, and all of it is deleted."""
    done = command(f"{gateway}/v1", "--key", KEY, "--second-key", OTHER, "--huge", "--yes", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert {**outcomes(report, "failed"), **outcomes(report, "skipped")} == {}
    assert (report["ok"], report["passed"]) == (True, len(CHECKS))
    assert report["videos_made"] == videos(CHECKS)[0]
    assert report["videos_left"] == []


def test_another_gateway_breaks_exactly_where_it_is_wrong(other: tuple[OtherGateway, str]) -> None:
    """Every `must` that it breaks fails and no other, each with what was seen; the exit code is 1."""
    gateway, url = other
    keys = ("--key", other_gateway.KEYS[0], "--second-key", other_gateway.KEYS[1])

    done = command(url, *keys, "--yes", "--json")

    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    broken = outcomes(report, "failed", "must")
    assert broken.keys() == other_gateway.BREAKS, broken
    assert broken["create.status"].startswith("201 ")
    assert broken["lifecycle.words"] == "status processing, succeeded"
    assert broken["content.early"] == 'not 400 or 404: 409 {"detail":"not ready"}'
    assert report["ok"] is False
    assert report["videos_made"] == gateway.made <= videos(CHECKS)[1]


def test_what_an_upstream_of_the_format_does_is_no_fault(shared: tuple[World, Server]) -> None:
    """A server that speaks OpenAI's documents and nothing more breaks no `must`: none of them is our own invention."""
    session = Session(Target(f"{shared[0].vendors.url}/sora/v1", "simulator", patience=30))
    try:
        results = [*run(CHECKS, session)]
    finally:
        session.close()

    assert {each.check.id: each.seen for each in results if each.fatal} == {}


def test_the_table_shows_claims_and_what_was_seen_and_no_secret(other: tuple[OtherGateway, str]) -> None:
    """People get a mark, the claim, what was seen and a summary; neither key nor link is in it."""
    keys = ("--key", other_gateway.KEYS[0], "--second-key", other_gateway.KEYS[1])

    done = command(other[1], *keys, "--yes", "--only", "access", "--only", "models")

    assert done.returncode == 1
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert [line for line in lines if line in GROUPS.values()] == [GROUPS["models"], GROUPS["access"]]
    assert any(line.startswith("✔  models.list") for line in lines)
    (at,) = [number for number, line in enumerate(lines) if line.startswith("✘  access.no-key")]
    assert lines[at].endswith("Without a key every route is a 401 in the envelope.")
    assert lines[at + 1] == 'seen: no error object: 401 {"detail":"no"}'
    assert lines[-1] == "1 passed; 8 failed, 5 of them a must; 0 skipped"
    assert not any(key in done.stdout + done.stderr for key in other_gateway.KEYS)


def test_nothing_is_made_before_somebody_agrees(other: tuple[OtherGateway, str]) -> None:
    """It says how many videos it will make and asks; a no, or nobody to ask, makes none. The exit code is 2."""
    gateway, url = other
    for answer in ("n\n", ""):
        done = at_a_terminal(url, "--key", other_gateway.KEYS[0], typed=answer)

        assert done.exit_code == 2
        assert f"This makes {videos(CHECKS)[0]} videos of 4 s with the model other-video-1" in done.stderr
    assert gateway.made == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("http://127.0.0.1:1/v1", "--key", "x"), "nothing answers at http://127.0.0.1:1/v1"),
        (("127.0.0.1/v1", "--key", "x"), "BASE_URL must begin with http:// or https://"),
        (("http://127.0.0.1:1/v1", "--key", "x", "--only", "prices"), "there is no group prices; there are create"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    """A server that is not there or a bad argument is no verdict: exit code 2, one line."""
    done = at_a_terminal(*arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"videogate: {said}")
    assert len(done.stderr.splitlines()) == 1


def test_every_check_is_documented_once() -> None:
    """Ids are unique and in a group, and the page has each with its level, claim and who needs it."""
    assert {name: count for name, count in Counter(check.id for check in CHECKS).items() if count > 1} == {}
    assert {check.group for check in CHECKS} == GROUPS.keys()
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert rows == [f"| `{each.id}` | {each.level} | {each.claim} | {each.needed_by} |" for each in CHECKS]


def test_a_group_needs_only_its_own_videos() -> None:
    """What is announced follows from what was picked: models need none, content the one that is waited for."""
    assert videos(chosen(["models"])) == (0, 0)
    assert videos(chosen(["content"])) == (1, 1)
    assert videos(chosen([])) == videos(CHECKS)
