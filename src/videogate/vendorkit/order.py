"""What a vendor is asked to make."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from videogate.task.errors import InvalidRequest
from videogate.task.model import Fitted, Receipt, Rework, Role
from videogate.vendorkit.client import FilePart
from videogate.vendorkit.facts import Model


@dataclass(frozen=True, slots=True)
class OrderPicture:
    """A picture as a vendor may send it on: its link if the caller gave one, else a file of known type.

    `read` returns the file's bytes; it is None exactly when there is a link and no file.
    """

    role: Role
    url: str | None = None
    mime: str | None = None
    read: Callable[[], bytes] | None = None

    def base64(self) -> str:
        """The file as base64. Raises InvalidRequest if there is only a link."""
        if self.read is None:
            raise InvalidRequest("A picture must be a file here.", param="input_reference")
        return b64encode(self.read()).decode()

    def link(self) -> str:
        """The link, or the file as a data URL."""
        return self.url or f"data:{self.mime};base64,{self.base64()}"


@dataclass(frozen=True, slots=True)
class OrderSource:
    """The video that an order begins with, in the one form that the way is `told`; or a file, where it takes one."""

    rework: Rework
    receipt: Receipt | None = None  # of the job that made it
    link: str | None = None
    film: FilePart | None = None

    @property
    def job(self) -> str:
        """The vendor's id of the job that made it; empty for a file or a link."""
        return self.receipt.vendor_task_id if self.receipt else ""

    @property
    def result(self) -> str | None:
        """The vendor's id of the video itself."""
        return self.receipt.result if self.receipt else None


@dataclass(frozen=True, slots=True)
class Order:
    """One submit, fitted and checked against the model's facts.

    `client_ref` is our id of this very attempt, for vendors that keep one. `options` are the caller's metadata, with
    picture links, sizes and lengths already taken out of it and every key known to the model. `model` is the way that
    was chosen among those of its name. `asked_size` and
    `asked_seconds` are the caller's own texts, for upstreams that decide themselves. `callback_url` is where a vendor
    may tell us that something changed; None where we cannot be reached. `source` is there exactly for ways that begin
    with a video.
    """

    client_ref: str
    model: Model
    prompt: str
    fitted: Fitted
    asked_size: str | None = None
    asked_seconds: str | None = None
    callback_url: str | None = None
    pictures: tuple[OrderPicture, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    source: OrderSource | None = None

    def picture(self, role: Role) -> OrderPicture | None:
        """The first picture of this role."""
        return next((picture for picture in self.pictures if picture.role is role), None)
