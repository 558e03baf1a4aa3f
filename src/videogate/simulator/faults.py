"""Faults that can be switched on: what a vendor, or the way to it, can do to a client."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

OPERATIONS = frozenset({"submit", "poll", "result", "list", "delete", "cancel"})
_SUBMIT, _POLL, _RESULT = frozenset({"submit"}), frozenset({"poll"}), frozenset({"result"})

# Each mode, and the operations it makes sense for.
MODES = {
    # The vendor's own answers instead of the right one.
    "throttle": OPERATIONS,  # 429; `retry_after` adds the header
    "refuse": OPERATIONS,  # 401, as for a wrong key
    "moderate_submit": _SUBMIT,
    "error_before": OPERATIONS,  # 500
    "error_after": OPERATIONS,  # 500, but done
    "no_id": _SUBMIT,  # accepted, with an answer that does not say as what
    "junk": OPERATIONS,  # 200, and JSON that breaks off
    # The way to the vendor.
    "drop_before": OPERATIONS,  # closed without a byte of an answer
    "drop_after": OPERATIONS,  # the same, but done
    "half": OPERATIONS,  # done; the answer breaks off in the middle
    "hang": OPERATIONS,  # done, never answered
    "late": _SUBMIT,  # closed without a byte of an answer, and done `delay` seconds later
    "slow": OPERATIONS,  # the right answer, `delay` seconds late
    "html": OPERATIONS,  # a proxy's 502
    "html_200": OPERATIONS,  # a proxy's page, as if all were well
    "redirect": OPERATIONS,  # 307 to `location`
    # What becomes of a job: asked for at submit, in its own time; at a poll, at once.
    "moderate": _SUBMIT | _POLL,
    "fail": _SUBMIT | _POLL,
    "wait": _SUBMIT,  # it stays in the queue `delay` seconds longer
    "unknown_word": _POLL,  # a status that no document knows
    # Results.
    "truncate": _RESULT,  # shorter than its Content-Length
    "not_mp4": _RESULT,  # a web page
    "expire": _RESULT,  # a dead link
}
# Modes whose call takes effect before it goes wrong, unless `after_accept` says otherwise.
_EFFECTIVE = frozenset({"error_after", "no_id", "junk", "drop_after", "half", "hang", "truncate"})
# Modes that a vendor's own code carries out, on the job.
BY_VENDOR = frozenset({"moderate", "fail", "wait", "unknown_word"})


@dataclass
class Fault:
    """One fault.

    Attributes:
        vendor, op, mode: where it strikes and what it does; see MODES.
        times: how often it strikes; None is until cleared.
        after_accept: whether the call takes effect nonetheless; None is as the mode says.
        delay: how late `slow` and `late` are, and how long a job must `wait`, in seconds.
        location: where `redirect` points.
        retry_after: seconds that `throttle` names in the header; None sends no header.
    """

    vendor: str
    op: str
    mode: str
    times: int | None = 1
    after_accept: bool | None = None
    delay: float = 1.0
    location: str = "http://127.0.0.1:1/elsewhere"
    retry_after: float | None = None

    @property
    def effective(self) -> bool:
        """Whether the call does what it was to do before the fault shows."""
        return self.mode in _EFFECTIVE if self.after_accept is None else self.after_accept


class Faults:
    """The faults that are switched on, in the order they came. `vendors`: the names there are."""

    def __init__(self, vendors: Collection[str]) -> None:
        self._vendors = vendors
        self._faults: list[Fault] = []

    def add(self, wanted: Any) -> None:
        """Switch one on. Raises ValueError, saying what is wrong with it."""
        try:
            fault = Fault(**wanted)
        except TypeError as error:
            raise ValueError(str(error)) from None
        if fault.vendor not in self._vendors:
            raise ValueError(f"vendor is one of {sorted(self._vendors)}")
        if fault.op not in OPERATIONS:
            raise ValueError(f"op is one of {sorted(OPERATIONS)}")
        modes = sorted(mode for mode, operations in MODES.items() if fault.op in operations)
        if fault.mode not in modes:
            raise ValueError(f"mode is, for {fault.op}, one of {modes}")
        if fault.times is not None and (not isinstance(fault.times, int) or fault.times < 1):
            raise ValueError("times is a positive integer, or null for always")
        self._faults.append(fault)

    def clear(self) -> None:
        """Switch all off."""
        self._faults.clear()

    def all(self) -> list[dict[str, Any]]:
        """What is switched on, with the times that are left."""
        return [asdict(fault) for fault in self._faults]

    def take(self, vendor: str, op: str) -> Fault | None:
        """The fault that strikes this call, if one does; counted down."""
        for fault in self._faults:
            if (fault.vendor, fault.op) == (vendor, op):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._faults.remove(fault)
                return fault
        return None
