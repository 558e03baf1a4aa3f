"""Signed links to a video's content: they work without a header, for a while, and stop with their key."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from hmac import compare_digest
from urllib.parse import quote_plus

from starlette.requests import Request

from videogate.engine.signing import sign
from videogate.web.auth import Caller


class Links:
    """Makes and checks links.

    Args:
        server_secret: the signing key.
        public_url: base of the links; empty: the host that the request came to.
        seconds: how long a link works at least. Links of one quarter of it are equal, so that clients can cache.
        clock: seconds since the epoch.
    """

    def __init__(self, server_secret: bytes, public_url: str, seconds: int, clock: Callable[[], float]) -> None:
        self._secret = server_secret
        self._public_url = public_url
        self._seconds = seconds
        self._clock = clock

    def make(self, request: Request, caller: Caller, video_id: str, variant: str = "video") -> str:
        """The link to a video, or to a picture of it, for its owner to hand out."""
        base = self._public_url or _host(request)
        return self._link(base, caller.id, video_id, variant)

    def public(self, key: str, video_id: str) -> str | None:
        """The link to a video of this key's for somebody outside; None where nobody can reach us."""
        return self._link(self._public_url, key, video_id, "video") if self._public_url else None

    def _link(self, base: str, key: str, video_id: str, variant: str) -> str:
        step = max(1, self._seconds // 4)
        expires = (int(self._clock()) // step + 1) * step + self._seconds
        signature = self._sign(key, video_id, variant, str(expires))
        link = f"{base}/v1/videos/{video_id}/content?key={quote_plus(key)}&expires={expires}&signature={signature}"
        return link if variant == "video" else f"{link}&variant={quote_plus(variant)}"

    def check(self, query: Mapping[str, str], video_id: str, variant: str = "video") -> Caller | None:
        """In whose name a link opens this; None if it is not signed for it, expired or forged."""
        key, expires, signature = (query.get(name, "") for name in ("key", "expires", "signature"))
        good = compare_digest(self._sign(key, video_id, variant, expires).encode(), signature.encode())
        if not good or not expires.isdigit() or int(expires) < self._clock():
            return None
        return Caller(key)

    def _sign(self, key: str, video_id: str, variant: str, expires: str) -> str:
        return sign(self._secret, "content", key, video_id, variant, expires)


def _host(request: Request) -> str:
    """The scheme and the host that a request came to, as a URL."""
    scope = request.scope
    return _base(scope["scheme"], request.headers.get("host"), scope.get("server"), scope.get("root_path", ""))


@lru_cache(256)  # callers come to few hosts, and to read one takes longer than to sign the link
def _base(scheme: str, host: str | None, server: tuple[str, int] | None, root_path: str) -> str:
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    where = {"scheme": scheme, "server": server, "root_path": root_path, "path": "/", "headers": headers}
    return str(Request({"type": "http", **where}).base_url).rstrip("/")
