"""The Compose files, as far as they can be judged without Docker."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from composefile import PLAIN, SCALE, TOP, VARIABLE, load, scaled, seconds, texts
from videogate import simulator, vendors
from videogate.cli.serve import GRACE
from videogate.engine.poller import DRAIN_OTHERS
from videogate.engine.send import LEASE
from videogate.engine.tell import DRAIN
from videogate.settings import PREFIX, Settings

FILES = {
    "compose.yaml": load(TOP / "compose.yaml"),
    "docker/compose.yaml": load(PLAIN),
    "docker/compose.scale.yaml": load(SCALE),
}
SCHEMA = json.loads((Path(__file__).parent / "compose-spec.json").read_text("utf-8"))
DEPLOYMENT = (TOP / "docs" / "deployment.md").read_text("utf-8")
PROFILES: dict[str, set[str]] = {"": {"gateway"}, "demo": {"gateway", "simulator", "demo-gateway", "demo"}}
PIN = re.compile(r"[\w./-]+:\d[\w.-]*")


def started(model: dict[str, Any], profile: str) -> set[str]:
    """The services that `up` starts."""
    return {
        name
        for name, service in model["services"].items()
        if not service.get("profiles") or profile in service["profiles"]
    }


@pytest.mark.parametrize("model", [*FILES.values(), scaled()], ids=[*FILES, "both"])
def test_compose_can_read_it(model: dict[str, Any]) -> None:
    """Each file, and the pair as one, is of the published schema."""
    plain = json.loads(json.dumps(model, default=lambda _reset: []))

    assert [error.message for error in Draft7Validator(SCHEMA).iter_errors(plain)] == []


def test_the_schema_is_one_that_refuses() -> None:
    """A misspelt attribute is found."""
    assert list(Draft7Validator(SCHEMA).iter_errors({"services": {"gateway": {"imagge": "videogate"}}}))


def test_the_top_of_the_checkout_means_the_folder() -> None:
    """`docker compose up` where .env is starts what docker/compose.yaml says, under the same name."""
    top = FILES["compose.yaml"]

    assert top == {"name": FILES["docker/compose.yaml"]["name"], "include": ["docker/compose.yaml"]}


@pytest.mark.parametrize(("profile", "services"), PROFILES.items(), ids=["plain", "demo"])
def test_a_profile_starts_what_it_should(profile: str, services: set[str]) -> None:
    """Without a profile the gateway alone; with `demo` the simulator, its gateway and the client beside it."""
    assert started(load(PLAIN), profile) == services


def test_no_env_is_no_failure() -> None:
    """A new checkout has no .env: the gateway starts, and lets nobody in until a key is made."""
    gateway = load(PLAIN)["services"]["gateway"]

    assert gateway["env_file"] == [{"path": "../.env", "required": False}]
    assert gateway["command"] == ["videogate", "serve", "--keyless"]


def test_the_demo_uses_simulated_vendors_only() -> None:
    """Its gateway is pointed at the simulator for every vendor there is, and reads nobody's keys."""
    services = load(PLAIN)["services"]
    given = services["demo-gateway"]["environment"]

    assert {name: value for name, value in given.items() if not name.endswith(("_POLL_INTERVAL", "_API_KEYS"))} == (
        simulator.environment("http://simulator:9000")
    )
    assert {name for name, service in services.items() if "env_file" in service} == {"gateway"}


def test_every_variable_is_a_setting() -> None:
    """What a file sets with our prefix is a setting or a vendor's, and none is misspelt."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for vendor, kind in vendors.discover().items():
        known |= {f"{PREFIX}{vendor}_{field}".upper() for field in kind.Config.model_fields}
    given = {
        name
        for model in (FILES["docker/compose.yaml"], scaled())
        for service in model["services"].values()
        for name in service.get("environment", {})
        if name.startswith(PREFIX)
    }

    assert given - known == set()


def test_what_is_filled_in_is_told_of() -> None:
    """Each `${NAME}` of the files that is no setting of ours stands on the deployment page."""
    names = {found["name"] for model in FILES.values() for text in texts(model) for found in VARIABLE.finditer(text)}

    assert {name for name in names if not name.startswith(PREFIX) and f"`{name}`" not in DEPLOYMENT} == set()


def test_no_file_has_a_secret() -> None:
    """Passwords and keys come from .env and have no default; the demo's are those of the simulator."""
    model = scaled()
    secret = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|API_KEY")
    for name in model["services"].keys() - PROFILES["demo"] | {"gateway"}:
        for variable, value in model["services"][name].get("environment", {}).items():
            if secret.search(variable):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), (name, variable)


def test_images_are_pinned_and_built_here() -> None:
    """Ours is built from this checkout; the others have a version."""
    for name, service in scaled()["services"].items():
        if "build" in service:
            assert service["image"] == "videogate"
            assert (PLAIN.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        else:
            assert PIN.fullmatch(service["image"]), name


def test_ours_run_on_a_read_only_root() -> None:
    """No service of ours can write outside /tmp and its volume, or gain a right."""
    for service in load(PLAIN)["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert [each.partition(":")[0] for each in service["tmpfs"]] == ["/tmp"]


def test_a_drain_is_not_cut_off() -> None:
    """A container is killed only after the longest that a gateway takes to end."""
    longest = GRACE + DRAIN_OTHERS + LEASE + DRAIN

    assert seconds(load(PLAIN)["services"]["gateway"]["stop_grace_period"]) >= longest


def test_only_the_proxy_is_reached_when_there_are_two() -> None:
    """Gateways, database and storage publish no port; the proxy does, for this machine unless told otherwise."""
    published = {name: service["ports"] for name, service in scaled()["services"].items() if service.get("ports")}

    assert published.pop("demo-gateway")[0].startswith("127.0.0.1:")
    assert published == {"proxy": ["${PUBLISH:-127.0.0.1:8000}:8000"]}


def test_two_gateways_start_after_what_they_need() -> None:
    """Two replicas wait for a database that answers and a bucket that is there; the proxy waits for them."""
    services = scaled()["services"]

    assert services["gateway"]["deploy"]["replicas"] == 2
    assert services["gateway"]["depends_on"] == {
        "database": {"condition": "service_healthy"},
        "storage": {"condition": "service_healthy"},
    }
    assert services["proxy"]["depends_on"] == {"gateway": {"condition": "service_healthy"}}
    assert "-bucket=videogate" in services["storage"]["command"]
    assert services["gateway"]["environment"]["VIDEOGATE_MEDIA_URL"].endswith(":-s3://videogate/kept}")


def test_what_is_mounted_is_there_and_every_volume_is_declared() -> None:
    """A file that is mounted exists beside the Compose files; a named volume stands under `volumes`."""
    model = scaled()
    for service in model["services"].values():
        for source in (each.partition(":")[0] for each in service.get("volumes", [])):
            assert (PLAIN.parent / source).is_file() if source.startswith(".") else source in model["volumes"]
