"""API key to caller."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request

from videogate.engine import figures
from videogate.store.keys import KeyStore, configured_id, key_digest
from videogate.task.errors import NotAuthenticated

FRESH = 5.0  # seconds that a look-up is trusted: a revoked key stops within it
MOST = 10_000  # look-ups kept


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `id` owns tasks; `dialect` is the key's setting, if it has one.

    `callbacks` tells whether its requests may name a receiver of their own.
    """

    id: str
    dialect: str | None = None
    callbacks: bool = False


class Keys:
    """Knows the keys of the settings and those in the database.

    Args:
        store: the database's keys.
        server_secret: digests and signatures are made with it.
        configured: the keys of the settings.
        clock: monotonic seconds.
        callbacks: whether requests with the keys of the settings may name a receiver of their own.
    """

    def __init__(
        self,
        store: KeyStore,
        server_secret: bytes,
        configured: tuple[str, ...],
        clock: Callable[[], float],
        *,
        callbacks: bool = False,
    ) -> None:
        self._store = store
        self._secret = server_secret
        self._clock = clock
        self._configured = {
            key_digest(server_secret, key): Caller(configured_id(server_secret, key), callbacks=callbacks)
            for key in configured
        }
        self._configured_ids = {caller.id: caller for caller in self._configured.values()}
        self._seen: dict[str, tuple[float, Caller | None]] = {}

    async def caller(self, key: str) -> Caller | None:
        """Whose key this is. The digest is looked up, so that time says nothing about the key."""
        digest = key_digest(self._secret, key)
        if known := self._configured.get(digest):
            return known
        return await self._fresh(digest, by_id=False)

    async def live(self, key_id: str) -> bool:
        """Whether the key of this id still counts, for links signed in its name."""
        return await self._by_id(key_id) is not None

    async def may_call_back(self, key_id: str) -> bool:
        """Whether requests with the key of this id may name a receiver of their own."""
        caller = await self._by_id(key_id)
        return caller is not None and caller.callbacks

    async def _by_id(self, key_id: str) -> Caller | None:
        return self._configured_ids.get(key_id) or await self._fresh(key_id, by_id=True)

    async def _fresh(self, name: str, *, by_id: bool) -> Caller | None:
        now = self._clock()
        at, caller = self._seen.get(name, (-FRESH, None))
        if now - at < FRESH:
            return caller
        key = await (self._store.by_id(name) if by_id else self._store.find(name))
        caller = Caller(key.id, key.dialect, key.callbacks) if key else None
        if len(self._seen) >= MOST:
            self._seen.clear()
        self._seen[name] = (now, caller)
        return caller


def key_of(headers: Mapping[str, str]) -> str | None:
    """The API key of a request, from `Authorization: Bearer` or Azure's `api-key`."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return headers.get("api-key", "").strip() or None


async def authenticate(request: Request, keys: Keys) -> Caller:
    """The caller of a request. Raises NotAuthenticated."""
    key = key_of(request.headers)
    caller = await keys.caller(key) if key else None
    if caller is None:
        figures.not_let_in("unknown_key" if key else "no_key")
        raise NotAuthenticated
    request.scope["state"]["key"] = caller.id
    return caller
