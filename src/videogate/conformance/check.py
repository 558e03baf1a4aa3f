"""One check: a claim about a server, and how one looks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from videogate.conformance.session import Session

# The sections of the format in the order in which they are looked at: deletes come when no video is needed any more.
GROUPS: Mapping[str, str] = {
    "create": "Create forms",
    "answer": "Answer shape",
    "lifecycle": "Lifecycle",
    "content": "Content",
    "list": "List",
    "models": "Models",
    "errors": "Errors",
    "access": "Keys",
    "retries": "Retries",
    "delete": "Delete",
    "headers": "Headers of every answer",
}


@dataclass(frozen=True, slots=True)
class Check:
    """A claim about a server.

    Attributes:
        id: its group, a dot, a name.
        claim: what holds for a server of the format, in one sentence.
        needed_by: which clients rely on it, or where it is written down.
        look: returns if the claim holds; raises Failed or Skipped if not.
        must: clients break without it; else it is good manners.
        videos: how many it makes of its own; they are deleted at once.
        surplus: how many more a server makes of which the claim is wrong.
        shared: which of the session's videos it needs.
    """

    id: str
    claim: str
    needed_by: str
    look: Callable[[Session], None]
    must: bool = True
    videos: int = 0
    surplus: int = 0
    shared: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The section of the format that it belongs to."""
        return self.id.partition(".")[0]

    @property
    def level(self) -> str:
        """`must` or `should`."""
        return "must" if self.must else "should"
