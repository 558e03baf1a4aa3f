"""API keys and this server's own secret."""

from dataclasses import dataclass
from hmac import digest
from secrets import token_hex, token_urlsafe
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from videogate.store.database import Database, one_at_a_time
from videogate.store.rows import micros
from videogate.store.tables import api_key, secret

_SECRET = "server"  # noqa: S105 (the row's name)


@dataclass(frozen=True, slots=True)
class Key:
    """One API key, without the key. `dialect` is the dialect that its callers read, if it is set; `callbacks` tells
    whether its requests may name a receiver of their own.
    """

    id: str
    name: str
    dialect: str | None
    revoked: bool
    callbacks: bool = False


class KeyStore:
    """Keys made by `videogate keys create`. Only a digest is stored; it says nothing without the server's secret."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def server_secret(self) -> bytes:
        """This deployment's secret, made at the first start. Signs links and digests keys."""
        return (await self._database.write(_server_secret)).encode()

    async def find(self, digest: str) -> Key | None:
        """The key of this digest, if there is one that was not revoked."""
        return await self._live(api_key.c.digest == digest)

    async def by_id(self, key_id: str) -> Key | None:
        """The key of this id, if there is one that was not revoked."""
        return await self._live(api_key.c.id == key_id)

    async def _live(self, which: ColumnElement[bool]) -> Key | None:
        query = select(api_key).where(which, api_key.c.revoked_at.is_(None))
        row = await self._database.read(lambda connection: connection.execute(query).mappings().one_or_none())
        return _to_key(row) if row else None

    async def all(self) -> list[Key]:
        """Every key, oldest first."""
        query = select(api_key).order_by(api_key.c.created_at)
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [_to_key(row) for row in rows]

    async def create(self, name: str, dialect: str | None, now: float, *, callbacks: bool = False) -> tuple[Key, str]:
        """Make a key. The second value is the key itself: it is shown once and kept nowhere."""
        key = Key("key_" + token_hex(8), name, dialect, revoked=False, callbacks=callbacks)
        value = "vg-" + token_urlsafe(32)
        digest = key_digest(await self.server_secret(), value)
        row = {
            "id": key.id,
            "name": name,
            "digest": digest,
            "dialect": dialect,
            "callbacks": callbacks,
            "created_at": micros(now),
        }
        await self._database.write(lambda connection: connection.execute(insert(api_key).values(row)) and None)
        return key, value

    async def revoke(self, key_id: str, now: float) -> bool:
        """Stop a key. False if there is no such live key."""
        change = (
            update(api_key).where(api_key.c.id == key_id, api_key.c.revoked_at.is_(None)).values(revoked_at=micros(now))
        )
        return await self._database.write(lambda connection: connection.execute(change).rowcount == 1)


def key_digest(server_secret: bytes, key: str) -> str:
    """What is stored and looked up in a key's place."""
    return digest(server_secret, key.encode(), "sha256").hex()


def configured_id(server_secret: bytes, key: str) -> str:
    """The id of a key of the settings, which has no row."""
    return "env_" + key_digest(server_secret, key)[:24]


def _server_secret(connection: Connection) -> str:
    query = select(secret.c.value).where(secret.c.name == _SECRET)
    value: str | None = connection.execute(query).scalar_one_or_none()
    if value is None:
        one_at_a_time(connection, _SECRET)
        value = connection.execute(query).scalar_one_or_none()
    if value is None:
        value = token_hex(32)
        connection.execute(insert(secret).values(name=_SECRET, value=value))
    return value


def _to_key(row: Any) -> Key:
    return Key(row["id"], row["name"], row["dialect"], row["revoked_at"] is not None, row["callbacks"])
