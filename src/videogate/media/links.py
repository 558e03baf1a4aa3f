"""Which links may be opened for somebody else, by their text alone."""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from videogate.media.addresses import is_public
from videogate.task.errors import InvalidRequest
from videogate.vendorkit.client import origin

LONGEST = 2_048  # characters of a link

_PORTS = frozenset({None, 80, 443})
_FORBIDDEN = frozenset(' \\\t\r\n"<>^`{|}')
# A name or an address in a spelling that every reader takes for the same: no escapes, no zone, nothing around the [ ].
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]*)?", re.IGNORECASE)


class UnsafeLink(InvalidRequest):
    """A link that we do not open for others. `problem` goes on after "the link"."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The link {problem}.", code="unsafe_url")
        self.problem = problem


def check_link(url: str, *, allow_private: bool = False, hosts: Collection[str] = ()) -> None:
    """Judge a link by its text. Raises UnsafeLink. Its host's addresses are judged when it is opened."""
    problem = _problem(url, allow_private=allow_private) or _elsewhere(url, hosts)
    if problem:
        raise UnsafeLink(problem)


def _problem(url: str, *, allow_private: bool) -> str | None:
    if len(url) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if any(character in _FORBIDDEN or ord(character) < 33 or ord(character) > 126 for character in url):  # noqa: PLR2004
        return "holds characters that a URL has to escape"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        return "is not a URL"
    if parts.scheme not in {"http", "https"} or not host:
        return "must begin with http:// or https://"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or password"
    if not _AUTHORITY.fullmatch(parts.netloc):
        return "must name its host in letters, digits, dots and dashes"
    if allow_private:
        return None
    if port not in _PORTS:
        return "must use port 80 or 443"
    if _is_literal(host) and not is_public(host):
        return "leads to an address that is not public"
    return None


def _elsewhere(url: str, hosts: Collection[str]) -> str | None:
    host = (urlsplit(url).hostname or "").rstrip(".")
    if not hosts or any(host == each or host.endswith(f".{each}") for each in hosts):
        return None
    return f"leads to {host}, which is none of the hosts in the vendor's RESULT_HOSTS; if it is right, add it there"


def is_at(home: str, url: str) -> bool:
    """Whether a link is on this origin, spelled so that every reader agrees."""
    try:
        return origin(url) == home and _AUTHORITY.fullmatch(urlsplit(url).netloc) is not None
    except ValueError:
        return False  # what is wrong with it is said when it is checked


def _is_literal(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
