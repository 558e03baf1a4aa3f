"""The contract of a vendor.

A vendor file is a pair of translations, an order into a call and a reply into a value, and holds no I/O at all: the
concrete methods of `Vendor` send the call, read the outcome and keep the credentials on the vendor's own host. They
are not for overriding. What a vendor adds are its facts (class attributes) and the abstract methods.

A vendor module has exactly one subclass of `Vendor`, whose `name` is the module's name.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from time import time
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from videogate.task.errors import (
    Failure,
    FailureCode,
    NotUnderstood,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unavailable,
)
from videogate.task.model import Artifact, Character, Observation, Receipt, Role, Sight
from videogate.vendorkit import outcome
from videogate.vendorkit.client import (
    POLL_SECONDS,
    SUBMIT_SECONDS,
    Call,
    Download,
    FilePart,
    Prepared,
    Reply,
    VendorClient,
)
from videogate.vendorkit.config import VendorConfig
from videogate.vendorkit.facts import Limits, Model, Terms
from videogate.vendorkit.order import Order
from videogate.vendorkit.tracing import Found, Lost, Sighting, Tracing

T = TypeVar("T")

PAGES = 20  # of one search, at most
NO_JOB = "0"  # what no vendor calls a job of its own


@dataclass(frozen=True, slots=True)
class Notice:
    """A vendor's call of the URL that it was given: `url` as given, `headers` in lower case, the body's bytes."""

    url: str
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A documented error body, read: what it means to us, and whether the vendor asks to be tried again later."""

    failure: Failure
    later: bool = False


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a look at a job that does not exist shows: the HTTP status, whether the answer is the vendor's word on that
    job, its refusal if it is one, and how many seconds its clock is ahead of ours (None: it tells no time).
    """

    status: int
    answered: bool
    refused: Failure | None
    ahead: float | None


class Vendor(ABC):
    """One vendor: facts and four translations.

    Facts:
        name: the file's name, the word in `VIDEOGATE_<NAME>_*` and in `tests/exchanges/<name>/`.
        Config: the settings model.
        models: what can be asked for, by the vendor's own model names.
        limits: the documented rates.
        provider: its name in traces, as OpenTelemetry's conventions for generative AI have it, else one of that form.
        terms: lifetimes, cancelling and billing, in words.
        codes: the vendor's error codes, or how they begin, with what each means to us.
        picture_options: metadata keys whose value is a picture's link, with the role it plays. The engine takes them
            out of `options` and checks them like any other picture.
        option_words: metadata keys that say a resolution or length in the vendor's own words: the field (`resolution`
            or `seconds`), and what each word means.
        cancels: whether a job can be cancelled at all; until when is for the vendor to say, each time.
        tracing: how a submit whose answer was lost can be found again.
        takes_callbacks: whether it calls a URL when a job changes; it then gets `Order.callback_url`.
        option_groups: the names of the vendor's own nesting (such as `parameters`); what callers nest so is flattened.
        characters: whether it keeps characters, which requests name by id.
    """

    name: ClassVar[str]
    Config: ClassVar[type[VendorConfig]]
    models: Mapping[str, Model]
    limits: ClassVar[Limits] = Limits()
    provider: ClassVar[str]
    terms: ClassVar[Terms]
    codes: ClassVar[Iterable[tuple[str, FailureCode]]]
    picture_options: ClassVar[Mapping[str, Role]] = {}
    option_words: ClassVar[Mapping[str, tuple[str, Mapping[str, str]]]] = {}
    cancels: ClassVar[bool] = False
    tracing: ClassVar[Tracing] = Tracing()
    takes_callbacks: ClassVar[bool] = False
    option_groups: ClassVar[frozenset[str]] = frozenset()
    characters: bool = False

    def __init__(self, config: Any, client: VendorClient, clock: Callable[[], float] = time) -> None:
        self.config = config
        self.client = client
        self.clock = clock
        self.models = self.offered()

    # What a vendor says. Pure: no I/O, no clock, no state; a signature alone may read `self.clock`.

    @abstractmethod
    def offered(self) -> Mapping[str, Model]:
        """The models of this vendor under the present settings, by name."""

    @abstractmethod
    def authorize(self, prepared: Prepared) -> Mapping[str, str]:
        """The headers that prove who we are, for exactly this request (method, URL and body bytes)."""

    @abstractmethod
    def submit_call(self, order: Order) -> Call:
        """The request that creates the job.

        Raises InvalidRequest for what cannot be expressed to this vendor. Sends nothing.
        """

    @abstractmethod
    def read_receipt(self, reply: Reply, sent: Prepared) -> Receipt:
        """The job's id from a 2xx reply to what was `sent`; in `handle` what else a poll must repeat of that.

        Raises NotUnderstood if there is none: the outcome is then unknown, since a job may exist.
        """

    @abstractmethod
    def poll_call(self, receipt: Receipt) -> Call:
        """The request that looks at one job."""

    @abstractmethod
    def read_observation(self, reply: Reply) -> Observation:
        """What a reply to `poll_call` shows.

        Called for every status: some upstreams answer with a failed job's record under a 4xx or 5xx. Only the
        vendor's documented terminal words may become SUCCEEDED, FAILED or MISSING. Raises NotUnderstood for anything
        but a job's record, for a word that is not documented and for a success without a result.
        """

    def cancel_call(self, receipt: Receipt) -> Call:
        """The request that cancels one job. For vendors of `cancels`; no others are asked."""
        raise NotImplementedError

    def read_cancel(self, reply: Reply) -> bool:
        """True if a reply to `cancel_call` says that the job is cancelled, False if it says that it no longer can be.

        Called for every status; either answer counts under the documented one alone, since a caller whose job counts as
        cancelled is told that it is not billed. Raises NotUnderstood for anything else.
        """
        raise NotImplementedError

    @classmethod
    def handle(cls, model: str, way: str) -> Mapping[str, str]:
        """What `read_receipt` keeps beside the id for a job of this model and way, for one found without a receipt."""
        return {}

    def search_call(self, lost: Lost, page: str) -> Call:
        """The request for what may show a lost submit's job; `page` is empty, then what `read_search` gave.

        For vendors of a `tracing`; no others are asked.
        """
        raise NotImplementedError

    def read_search(self, reply: Reply, lost: Lost) -> Found:
        """The jobs that a reply to `search_call` shows, newest first where there are many.

        Called for every status. A definite "no such job" is an empty page. Raises NotUnderstood for anything else
        that is no such list.
        """
        raise NotImplementedError

    def read_record(self, reply: Reply, sighting: Sighting) -> Sighting:
        """The sighting with what the job's own record, a reply to `poll_call`, adds to it.

        Raises NotUnderstood for anything but a record.
        """
        return sighting

    def vouches(self, notice: Notice) -> bool:
        """Whether a notice carries the vendor's signature. For vendors of `takes_callbacks`; no others are asked."""
        return False

    def character_call(self, name: str, film: FilePart) -> Call:
        """The request that makes a character of a film. For vendors of `characters`; no others are asked."""
        raise NotImplementedError

    def find_character_call(self, character_id: str) -> Call:
        """The request for one character. For vendors of `characters`."""
        raise NotImplementedError

    def read_character(self, reply: Reply) -> Character:
        """The character in a reply to either. Raises NotUnderstood for anything else."""
        raise NotImplementedError

    @abstractmethod
    def read_refusal(self, reply: Reply) -> Refusal | None:
        """The vendor's documented error body, whatever the HTTP status; None if the reply is not one of those."""

    # What the engine calls. Not for overriding.

    @property
    def account(self) -> str:
        """Whose jobs these are: the vendor at a host. One id of a job is unique within it."""
        return f"{self.name}@{urlsplit(self.config.base_url).netloc}"

    def prepare(self, order: Order) -> Prepared:
        """Build the whole request of a submit without sending a byte. Raises InvalidRequest."""
        return self.client.prepare(self.submit_call(order))

    async def submit(self, prepared: Prepared) -> Receipt:
        """Send a prepared submit once, over a connection of its own. There are no retries below this line.

        Returns the receipt of a created job. Raises:
            NotDelivered: surely not a byte of it was acted on; the caller may submit again.
            Throttled: refused for now, nothing created; the caller may submit again later.
            Refused: refused for good, nothing created.
            OutcomeUnknown: anything else. It may have been paid for; it must never be sent again.
        """
        reply = await self.client.submit(prepared, self.authorize)
        refusal = self.read_refusal(reply)
        match outcome.of_submit(reply.status, refused=refusal is not None, later=refusal is not None and refusal.later):
            case outcome.Submitted.ACCEPTED:
                return self._receipt(reply, prepared)
            case outcome.Submitted.THROTTLED:
                raise self._throttled(reply, refusal)
            case outcome.Submitted.REJECTED if refusal is not None:
                raise Refused(self._redacted(refusal.failure))
            case _:
                raise OutcomeUnknown(f"{self.name} answered {reply.status} in an unknown form", evidence=reply.excerpt)

    async def poll(self, receipt: Receipt) -> Observation:
        """Look at a job once. May be repeated freely.

        Raises Throttled, Unavailable or NotUnderstood; none of them says anything about the job.
        """
        seen = await self._ask(self.poll_call(receipt), self.read_observation)
        return replace(seen, failure=self._redacted(seen.failure)) if seen.failure else seen

    async def greet(self) -> Greeting:
        """Ask for a job that does not exist: it costs nothing, creates nothing, and proves the credentials.

        Raises Unavailable if the vendor cannot be reached.
        """
        reply = await self.client.call(self.poll_call(Receipt(NO_JOB)), self.authorize, op="greet")
        now = self.clock()
        refusal = self.read_refusal(reply)
        try:
            answered = self.read_observation(reply).sight is Sight.MISSING or refusal is None
        except NotUnderstood:
            answered = False
        return Greeting(
            status=reply.status,
            answered=answered,
            refused=self._redacted(refusal.failure) if refusal else None,
            ahead=None if reply.date is None else reply.date - now,
        )

    async def cancel(self, receipt: Receipt) -> bool:
        """Ask once for a job to be cancelled. May be repeated freely.

        Returns True if it is cancelled, False if it no longer can be: it runs or is over, be it by an earlier cancel.
        Raises Throttled, Unavailable or NotUnderstood; the job may be cancelled or not, and only a poll shows it.
        """
        return await self._ask(self.cancel_call(receipt), self.read_cancel, op="cancel")

    async def search(self, lost: Lost, *, since: float) -> list[Sighting]:
        """Jobs that may be a lost submit's, none of a page that is wholly older than `since`. May be repeated freely.

        Raises Throttled, Unavailable or NotUnderstood; none of them says anything about the job.
        """
        seen: list[Sighting] = []
        page = ""
        for _ in range(PAGES):
            call = self.search_call(lost, page)
            found = await self._ask(call, lambda reply: self.read_search(reply, lost), op="search")
            seen += found.sightings
            oldest = min((each.created_at for each in found.sightings if each.created_at is not None), default=since)
            page = found.next_page
            if not page or oldest < since:
                return seen
        raise Unavailable(f"{self.name} has more jobs than {PAGES} pages can show")

    async def look_closer(self, sighting: Sighting) -> Sighting:
        """A sighting with what the job's own record shows besides. Raises as `search` does."""
        call = self.poll_call(sighting.receipt)
        return await self._ask(call, lambda reply: self.read_record(reply, sighting), op="search")

    async def make_character(self, name: str, film: FilePart) -> Character:
        """Make a character; it costs nothing. Raises as `find_character` does."""
        return await self._ask(self.character_call(name, film), self._character, seconds=SUBMIT_SECONDS, op="character")

    async def find_character(self, character_id: str) -> Character:
        """One character. Raises Refused, and what says nothing about it: Throttled, Unavailable or NotUnderstood."""
        return await self._ask(self.find_character_call(character_id), self._character, op="character")

    def open(self, artifact: Artifact) -> AbstractAsyncContextManager[Download]:
        """Open a result for reading, in constant memory; leaving the context closes the connection.

        Raises LinkExpired when the link is dead, Throttled when its server asks to come back later, Unavailable for
        everything else that may pass.
        """
        return self.client.open(artifact.url, self.authorize, self.config.hosts)

    async def _ask(
        self, call: Call, read: Callable[[Reply], T], *, seconds: float = POLL_SECONDS, op: str = "poll"
    ) -> T:
        reply = await self.client.call(call, self.authorize, seconds, op=op)
        refusal = self.read_refusal(reply)
        if refusal is not None and refusal.later:
            raise self._throttled(reply, refusal)
        try:
            return read(reply)
        except NotUnderstood as error:
            # A job's own record counts whatever the status around it; without one, a failing status says nothing.
            if outcome.is_trouble(reply.status):
                raise Unavailable(f"{self.name} answered {reply.status}") from error
            raise

    def _character(self, reply: Reply) -> Character:
        refusal = self.read_refusal(reply)
        if refusal is not None and not outcome.is_trouble(reply.status):
            raise Refused(self._redacted(refusal.failure))
        return self.read_character(reply)

    def _receipt(self, reply: Reply, sent: Prepared) -> Receipt:
        try:
            return self.read_receipt(reply, sent)
        except Exception as error:
            raise OutcomeUnknown(f"{self.name} accepted without an id we can read", evidence=reply.excerpt) from error

    def _redacted(self, failure: Failure) -> Failure:
        """A failure whose texts are safe: some servers repeat the key that they refuse."""
        words = failure.vendor_message
        return replace(
            failure,
            message=self.client.redact(failure.message),
            vendor_code=failure.vendor_code and self.client.redact(failure.vendor_code),
            vendor_message=words and self.client.redact(words),
        )

    def _throttled(self, reply: Reply, refusal: Refusal | None) -> Throttled:
        code = refusal.failure.vendor_code if refusal else None
        words = self._redacted(refusal.failure).vendor_message if refusal else None
        return Throttled(
            f"{self.name} asks to come back later: {words or reply.status}",
            vendor_code=code,
            retry_after=reply.retry_after,
        )
