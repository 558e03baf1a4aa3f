"""Vendors' callbacks: they wake the next look, and are never more than a hint."""

import hmac
import socket

import httpx
import pytest

from acceptance.conftest import KEY, World, ended


def free_port() -> str:
    """A port that nobody listens on just now."""
    with socket.socket() as probing:
        probing.bind(("127.0.0.1", 0))
        return str(probing.getsockname()[1])


def given_path(world: World) -> str:
    """The path of the callback that the only attempt in the database was sent with."""
    ((secret,),) = world.rows("SELECT value FROM secret")
    ((client_ref,),) = world.rows("SELECT client_ref FROM attempt")
    token = hmac.new(secret.encode(), f"callback\nvidu\n{client_ref}".encode(), "sha256").hexdigest()[:32]
    return f"/callbacks/vidu/{client_ref}/{token}"


@pytest.mark.parametrize(("vendor", "model"), [("kling", "kling-v1"), ("vidu", "viduq1")])
def test_a_callback_brings_the_look_forward(world: World, vendor: str, model: str) -> None:
    """With a schedule that would look after a minute, the vendor's signed notice completes the video at once."""
    port = free_port()
    slow = {"PORT": port, "PUBLIC_URL": f"http://127.0.0.1:{port}", f"{vendor.upper()}_POLL_INTERVAL": "60"}
    with world.gateway(**slow) as server:
        with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
            video = client.post("/v1/videos", json={"model": model, "prompt": "x"}).json()["id"]

            assert ended(client, video, 20)["status"] == "succeeded"

        log = server.log.read_text("utf-8")
    assert '"event": "callback"' in log


def test_a_forged_callback_changes_nothing(world: World) -> None:
    """A wrong token is an unknown route; without the vendor's signature the right one is refused."""
    port = free_port()
    slow = {"PORT": port, "PUBLIC_URL": f"http://127.0.0.1:{port}", "VIDU_POLL_INTERVAL": "0.1"}
    with world.gateway(**slow) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        key = {"authorization": f"Bearer {KEY}"}
        video = client.post("/v1/videos", json={"model": "viduq1", "prompt": "x"}, headers=key).json()["id"]
        client.headers.update(key)
        assert ended(client, video, 30)["status"] == "succeeded"
        path = given_path(world)
        assert path.rpartition("/")[2] not in server.log.read_text("utf-8")

        forged = client.post(path, json={"state": "success"})
        guessed = client.post(path[:-4] + "0000", json={"state": "success"})
        strange = client.post(path[:-4] + "é\U0001f600", content=b"\xff")

        assert (forged.status_code, forged.json()["error"]["code"]) == (401, "invalid_signature")
        for answer in (guessed, strange):
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "route_not_found")
