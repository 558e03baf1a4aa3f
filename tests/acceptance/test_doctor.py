"""`videogate doctor` beside real servers: it finds what is wrong, pays for nothing and tells no secret."""

import json
from subprocess import CompletedProcess
from typing import Any

import pytest

from acceptance.conftest import KEY, World
from forked import run_videogate
from videogate import simulator
from videogate.settings import PREFIX

VENDORS = ("sora", "wanxiang", "kling", "jimeng", "vidu")
WRONG = "wrong-canary-5e1d"


def doctor(world: World, *arguments: str, **settings: str) -> CompletedProcess[str]:
    """Run it on this world's data and vendors."""
    own = {"API_KEYS": KEY, **settings}
    variables = simulator.environment(world.vendors.url) | {f"{PREFIX}{name}": value for name, value in own.items()}
    return run_videogate("doctor", *arguments, folder=world.folder, variables=world.variables | variables)


def findings(answer: CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """What `--json` said, by check."""
    return {each["check"]: each for each in json.loads(answer.stdout)}


def test_a_healthy_gateway_is_all_ticks_while_it_runs(world: World) -> None:
    """Beside a running server each check passes, every vendor's among them, nothing is paid for, nothing is left."""
    with world.gateway():
        answer = doctor(world)

    assert answer.returncode == 0, answer.stdout + answer.stderr
    lines = answer.stdout.splitlines()
    assert all(line.startswith("✔ ") for line in lines), answer.stdout
    checks = ["settings", "callers' keys", "data directory", "database", "storage"]
    for check in [*checks, *(name for vendor in VENDORS for name in (vendor, f"{vendor}'s clock"))]:
        assert any(line.startswith(f"✔ {check} ") for line in lines), check
    assert not world.paid()
    assert not [file for file in (world.folder / "data" / "media").rglob("*") if file.is_file() and file.name != "lock"]
    assert KEY not in answer.stdout + answer.stderr


def test_before_the_first_start_it_makes_nothing(world: World) -> None:
    """Where no gateway ever ran it says so, and leaves no folder and no database."""
    answer = doctor(world, "--json")

    assert answer.returncode == 0, answer.stdout + answer.stderr
    found = findings(answer)
    assert {found[check]["mark"] for check in ("data directory", "database", "storage")} == {"unsure"}
    assert not (world.folder / "data").exists()


def test_wrong_credentials_are_each_vendors_own_finding(world: World) -> None:
    """Each vendor that refuses its key is a ✘ in that vendor's words, the exit code is 1, and no secret is shown."""
    names = [name for name in simulator.environment(world.vendors.url) if name.endswith("_KEY")]

    answer = doctor(world, "--json", **{name.removeprefix(PREFIX): WRONG for name in names})

    assert answer.returncode == 1
    found = findings(answer)
    assert {vendor: found[vendor]["mark"] for vendor in VENDORS} == dict.fromkeys(VENDORS, "bad"), answer.stdout
    assert all("refuses the credentials" in found[vendor]["found"] for vendor in VENDORS)
    assert WRONG not in answer.stdout + answer.stderr


@pytest.mark.databases("sqlite")
def test_what_is_broken_is_named_and_the_rest_still_looked_at(world: World) -> None:
    """A damaged database, no room, no key, a vendor that is away and a slip in a name: each has its line."""
    data = world.folder / "data"
    data.mkdir()
    (data / "gateway.db").write_bytes(b"this is no database" * 100)
    broken = {"API_KEYS": "", "DISK_FLOOR": str(2**60), "VIDU_BASE_URL": "http://127.0.0.1:9", "DATADIR": "x"}

    found = findings(doctor(world, "--json", **broken))

    marks = {check: each["mark"] for check, each in found.items()}
    expected = {"database": "bad", "data directory": "bad", "vidu": "bad", "settings": "unsure", "sora": "good"}
    assert {check: marks[check] for check in expected} == expected, found
    assert "VIDEOGATE_DATADIR" in found["settings"]["found"]
    assert (data / "gateway.db").read_bytes() == b"this is no database" * 100


@pytest.mark.databases("postgresql")
def test_a_server_that_is_away_is_named(world: World) -> None:
    """A PostgreSQL that does not answer has its line, with the server's name, the reason and no password."""
    found = findings(doctor(world, "--json", DATABASE_URL="postgresql://videogate:canary-77@127.0.0.1:9/videogate"))

    assert found["database"]["mark"] == "bad"
    assert found["database"]["found"].startswith("postgresql://127.0.0.1:9/videogate: ")
    assert "VIDEOGATE_DATABASE_URL" in found["database"]["advice"]
    assert "canary-77" not in str(found)


def test_a_setting_that_cannot_be_read_is_a_finding(world: World) -> None:
    """It names the variable, and the exit code is 1."""
    answer = doctor(world, PORT="many")

    assert answer.returncode == 1
    assert answer.stdout.startswith("✘ settings")
    assert "VIDEOGATE_PORT" in answer.stdout
