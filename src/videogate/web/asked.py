"""A request whose headers are looked up by name: a dozen of them for each call."""

from collections.abc import Iterator

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

_KEPT = "videogate.headers"  # where a scope has them


class _ByName(Headers):
    """Headers that are found at once. The framework's own compare every name and decode what they find, each time."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        # Of two of a name the first counts, as with the framework's.
        self._by_name = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(self.raw)}

    def __getitem__(self, key: str) -> str:
        return self._by_name[key.lower()]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]  # wider than ours
        return self._by_name.get(key.lower(), default)


class Asked(Request):
    """A request, for as many objects as are made for it."""

    @property
    def headers(self) -> Headers:
        """The headers, by names in any case."""
        found = self.scope.get(_KEPT)
        if found is None:
            found = self.scope[_KEPT] = _ByName(self.scope)
        return found
