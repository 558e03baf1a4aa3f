"""Ranges, signed links, keys: what web decides without a server."""

import errno
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from unit.store.support import NOW, Desk, opened
from videogate.store.keys import KeyStore
from videogate.task.errors import Busy
from videogate.web.auth import FRESH, Caller, Keys, key_of
from videogate.web.body import read_body
from videogate.web.links import Links
from videogate.web.ranges import Unsatisfiable, parse_range

ALICE = Caller("key_alice")


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("", None),
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 100)),
        ("bytes=0-100", (0, 100)),
        ("bytes=0-999999", (0, 100)),
        ("bytes=0-", (0, 100)),
        ("bytes=99-", (99, 100)),
        ("bytes=99-99", (99, 100)),
        ("bytes=-1", (99, 100)),
        ("bytes=-100", (0, 100)),
        ("bytes=-500", (0, 100)),
        (" bytes=5-9 ", (5, 10)),
        ("bytes=007-009", (7, 10)),
        ("bytes=9-5", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes", None),
        ("bytes=0-1,3-4", None),
        ("bytes=0-1, -1", None),
        ("bytes=a-b", None),
        ("bytes= 0-1", None),
        ("bytes=0 - 1", None),
        ("bytes=1.5-2", None),
        ("bytes=+0-1", None),
        ("bytes=0x0-1", None),
        ("bytes=--1", None),
        ("items=0-1", None),
        ("bytes=" + "9" * 10_000 + "-", None),
        ("bytes=٠-١", None),
    ],
)
def test_ranges(header: str | None, part: tuple[int, int] | None) -> None:
    """One well-formed range is taken, cut to the content; anything else means the whole."""
    assert parse_range(header, 100) == part


@pytest.mark.parametrize(
    ("header", "length"), [("bytes=100-", 100), ("bytes=100-200", 100), ("bytes=-0", 100), ("bytes=0-", 0)]
)
def test_a_range_outside_is_told(header: str, length: int) -> None:
    """A range that no byte lies in cannot be satisfied."""
    with pytest.raises(Unsatisfiable):
        parse_range(header, length)


@given(st.text("bytes=-0123456789, ", max_size=30), st.integers(0, 200))
def test_a_range_never_leaves_the_content(header: str, length: int) -> None:
    """Whatever the header says, what comes out is a non-empty part of the content, or the whole."""
    try:
        part = parse_range(header, length)
    except Unsatisfiable:
        return
    assert part is None or 0 <= part[0] < part[1] <= length


# Links.


class Clock:
    """Seconds that only the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def links(clock: Clock) -> Links:
    return Links(b"secret", "https://gate.test", 3600, clock)


def request(host: str = "here.test:8000") -> Request:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/v1/videos",
        "query_string": b"",
        "headers": [(b"host", host.encode())],
        "server": ("127.0.0.1", 8000),
    }
    return Request(scope)


def query_of(link: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}


def test_a_link_opens_its_video(links: Links) -> None:
    """A link that was made opens that video in its maker's name, at the public address."""
    link = links.make(request(), ALICE, "video_1")

    assert link.startswith("https://gate.test/v1/videos/video_1/content?")
    assert links.check(query_of(link), "video_1") == ALICE


def test_without_a_public_address_a_link_leads_to_the_same_host(clock: Clock) -> None:
    """The host that a caller reached is the one in its links."""
    link = Links(b"secret", "", 60, clock).make(request(), ALICE, "video_1")

    assert link.startswith("http://here.test:8000/v1/videos/video_1/content?")


@pytest.mark.parametrize("seconds", [1, 2, 3, 60, 3600])
def test_a_link_works_for_its_time_and_then_ends(clock: Clock, seconds: int) -> None:
    """A link works at least as long as promised and not more than a quarter longer (or a second)."""
    links = Links(b"secret", "https://gate.test", seconds, clock)
    query = query_of(links.make(request(), ALICE, "video_1"))

    clock.now = NOW + seconds
    assert links.check(query, "video_1") == ALICE
    clock.now = NOW + seconds + max(1, seconds // 4) + 1
    assert links.check(query, "video_1") is None


def test_links_of_a_while_are_equal(links: Links, clock: Clock) -> None:
    """Two reads of one task shortly after each other show the same link."""
    clock.now = NOW - NOW % 900
    first = links.make(request(), ALICE, "video_1")
    clock.now += 899

    assert links.make(request(), ALICE, "video_1") == first


@pytest.mark.parametrize(
    "change",
    [
        {"key": "key_bob"},
        {"expires": "99999999999"},
        {"expires": ""},
        {"expires": "9" * 400},
        {"expires": "²"},
        {"expires": "-1"},
        {"signature": ""},
        {"signature": "0" * 64},
        {"signature": "ü"},
        {"key": ""},
    ],
)
def test_a_forged_link_opens_nothing(links: Links, change: dict[str, str]) -> None:
    """Every part of a link is signed."""
    query = query_of(links.make(request(), ALICE, "video_1"))

    assert links.check({**query, **change}, "video_1") is None


def test_a_link_opens_no_other_video(links: Links, clock: Clock) -> None:
    """Nor does it under another server's secret, nor with a part missing."""
    query = query_of(links.make(request(), ALICE, "video_1"))

    assert links.check(query, "video_2") is None
    assert Links(b"other", "https://gate.test", 3600, clock).check(query, "video_1") is None
    for name in query:
        assert links.check({key: value for key, value in query.items() if key != name}, "video_1") is None


def test_the_signature_grows_with_nothing_of_the_key(links: Links) -> None:
    """A link shows who signed, never a secret."""
    assert "secret" not in links.make(request(), ALICE, "video_1")


# Keys.


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"authorization": "Bearer sk-1"}, "sk-1"),
        ({"authorization": "bearer   sk-1 "}, "sk-1"),
        ({"authorization": "BEARER sk-1"}, "sk-1"),
        ({"api-key": "sk-2"}, "sk-2"),
        ({"api-key": " sk-2 "}, "sk-2"),
        ({"authorization": "Bearer sk-1", "api-key": "sk-2"}, "sk-1"),
        ({"authorization": "Basic abc", "api-key": "sk-2"}, "sk-2"),
        ({"authorization": "Bearer ", "api-key": "sk-2"}, "sk-2"),
        ({"authorization": "Bearer "}, None),
        ({"authorization": "Bearer"}, None),
        ({"authorization": "sk-1"}, None),
        ({"authorization": "Basic abc"}, None),
        ({"api-key": "  "}, None),
        ({}, None),
    ],
)
def test_where_a_key_is_found(headers: dict[str, str], key: str | None) -> None:
    """A key comes as a bearer or as Azure's header."""
    assert key_of(headers) == key


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened(tmp_path) as made:
        yield made


async def keys_of(desk: Desk, clock: Clock, *configured: str) -> tuple[KeyStore, Keys]:
    store = KeyStore(desk.database)
    return store, Keys(store, await store.server_secret(), configured, clock)


async def test_configured_keys_are_told_apart(desk: Desk, clock: Clock) -> None:
    """Each key of the settings is a caller of its own, the same after a restart; nothing else is let in."""
    _, keys = await keys_of(desk, clock, "sk-a", "sk-b")
    _, again = await keys_of(desk, clock, "sk-b", "sk-a")
    alice, bob = await keys.caller("sk-a"), await keys.caller("sk-b")

    assert alice is not None
    assert bob is not None
    assert alice.id != bob.id
    assert await again.caller("sk-a") == alice
    assert await keys.live(alice.id)
    assert "sk-a" not in alice.id
    for wrong in ("sk-", "sk-a ", "SK-A", "sk-ab", "", alice.id):
        assert await keys.caller(wrong) is None


async def test_a_made_key_brings_its_dialect(desk: Desk, clock: Clock) -> None:
    """A key from the database is known with its setting, by value and by id."""
    store, keys = await keys_of(desk, clock)
    key, value = await store.create("laptop", "openai", NOW)

    assert await keys.caller(value) == Caller(key.id, "openai")
    assert await keys.live(key.id)


async def test_a_revoked_key_stops_within_seconds(desk: Desk, clock: Clock) -> None:
    """A look-up is trusted for a moment only: then a revoked key and the links it signed stop."""
    store, keys = await keys_of(desk, clock)
    key, value = await store.create("laptop", None, NOW)
    assert await keys.caller(value)
    assert await keys.live(key.id)
    await store.revoke(key.id, NOW)

    clock.now += FRESH
    assert await keys.caller(value) is None
    assert not await keys.live(key.id)


async def test_a_new_key_works_within_seconds(desk: Desk, clock: Clock) -> None:
    """That a key was unknown a moment ago is not held against it for long."""
    store, keys = await keys_of(desk, clock)
    assert not await keys.live("key_0")
    desk.sql("INSERT INTO api_key (id, name, digest, created_at) VALUES ('key_0', 'n', 'd', 0)")
    clock.now += FRESH

    assert await keys.live("key_0")
    assert [key.id for key in await store.all()] == ["key_0"]


async def test_what_strangers_send_does_not_pile_up(desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown keys are remembered up to a bound."""
    monkeypatch.setattr("videogate.web.auth.MOST", 10)
    _, keys = await keys_of(desk, clock)
    for number in range(50):
        assert await keys.caller(f"sk-{number}") is None

    assert len(keys._seen) <= 10


async def test_an_upload_without_room_on_the_disk_is_our_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large upload that the temporary folder does not take is answered like any passing trouble of ours."""
    part = b'--x\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + bytes(2 * 1024 * 1024)

    async def receive() -> Message:
        return {"type": "http.request", "body": part + b"\r\n--x--\r\n", "more_body": False}

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)

    with pytest.raises(Busy):
        async with read_body(request):
            pass
