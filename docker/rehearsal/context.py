"""The build context: what of the checkout an image may be built from, by `.dockerignore`."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path


class Context:
    """A folder and the patterns that keep files out of it.

    Args:
        top: the folder.
        patterns: lines as of `.dockerignore`; the last that fits decides, and `!` lets in again.
    """

    def __init__(self, top: Path, patterns: str) -> None:
        self._top = top
        lines = (line.strip() for line in patterns.splitlines())
        self._rules = [
            (_regex(line.removeprefix("!").strip("/")), not line.startswith("!"))
            for line in lines
            if line and not line.startswith("#")
        ]

    def lets_in(self, path: str) -> bool:
        """Whether a file, by its path from the top, is part of the context."""
        kept_out = False
        for rule, out in self._rules:
            if rule.fullmatch(path):
                kept_out = out
        return not kept_out

    def files(self, source: str) -> list[str]:
        """The files of one source of a COPY; none if there is no such thing, or it is kept out."""
        start = self._top / source
        if start.is_file():
            return [source] if self.lets_in(source) else []
        found = (
            os.path.relpath(Path(folder) / name, self._top) for folder, _, names in os.walk(start) for name in names
        )
        return sorted(path for path in found if self.lets_in(path))

    def copy(self, sources: Sequence[str], target: Path, *, into: bool) -> int:
        """Copy as COPY does: a folder's files, or a file under its own name if `into`. Returns how many there were.

        Raises FileNotFoundError for a source that the context has not.
        """
        number = 0
        for source in sources:
            files = self.files(source)
            if not files:
                raise FileNotFoundError(f"COPY {source}: nothing of that name is in the build context")
            for path in files:
                place = target / os.path.relpath(path, source)
                if path == source:
                    place = target / Path(path).name if into else target
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self._top / path, place)
                number += 1
        return number


def _regex(pattern: str) -> re.Pattern[str]:
    """A pattern as Docker reads it; what it fits it fits with everything below."""
    parts = {"**/": r"(?:[^/]+/)*", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    words = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(parts.get(word, re.escape(word)) for word in words) + r"(?:/.*)?")
