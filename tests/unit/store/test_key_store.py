"""API keys and the server's secret."""

import asyncio
from pathlib import Path

import pytest

from unit.store.support import NOW, Desk, opened
from videogate.store.keys import KeyStore, key_digest


@pytest.fixture
def keys(desk: Desk) -> KeyStore:
    return KeyStore(desk.database)


async def test_the_servers_secret_is_made_once(tmp_path: Path, url: str | None) -> None:
    """All who ask at the first start, and every later start, get one and the same secret."""
    async with opened(tmp_path, url) as desk:
        found = await asyncio.gather(*(KeyStore(desk.database).server_secret() for _ in range(20)))
    async with opened(tmp_path, url) as desk:
        again = await KeyStore(desk.database).server_secret()

    assert set(found) == {again}
    assert len(again) >= 32


async def test_a_key_is_found_by_its_digest_and_id(keys: KeyStore) -> None:
    """A new key opens by its digest under the server's secret, and is listed with its settings."""
    key, value = await keys.create("laptop", "openai", NOW)

    assert await keys.find(key_digest(await keys.server_secret(), value)) == key
    assert await keys.by_id(key.id) == key
    assert (key.name, key.dialect, key.revoked) == ("laptop", "openai", False)
    assert await keys.all() == [key]


async def test_the_key_itself_is_kept_nowhere(keys: KeyStore, desk: Desk) -> None:
    """The database holds no part of a key, and its digest differs under another secret."""
    _, value = await keys.create("laptop", None, NOW)

    stored = "|".join(str(column) for row in desk.sql("SELECT * FROM api_key") for column in row)
    assert value not in stored
    assert value.removeprefix("vg-") not in stored
    assert key_digest(b"one", value) != key_digest(b"two", value)


async def test_a_revoked_key_is_gone_but_listed(keys: KeyStore) -> None:
    """Revoking stops one key, once; the others go on."""
    key, value = await keys.create("laptop", None, NOW)
    other, _ = await keys.create("desktop", None, NOW + 1)

    assert await keys.revoke(key.id, NOW)
    assert not await keys.revoke(key.id, NOW)
    assert not await keys.revoke("key_none", NOW)
    assert await keys.find(key_digest(await keys.server_secret(), value)) is None
    assert await keys.by_id(key.id) is None
    assert await keys.by_id(other.id) == other
    assert [(each.id, each.revoked) for each in await keys.all()] == [(key.id, True), (other.id, False)]
