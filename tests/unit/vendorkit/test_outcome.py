"""The whole table of what an answer to a submit means for the money."""

import ssl

import aiohttp
import httpx
import pytest

from videogate.vendorkit.client import CONNECT_SECONDS, NETWORK_ERRORS, SUBMIT_SECONDS
from videogate.vendorkit.outcome import NEVER_SENT, Submitted, is_trouble, of_error, of_submit

A, R, T, U = Submitted.ACCEPTED, Submitted.REJECTED, Submitted.THROTTLED, Submitted.UNKNOWN

# Status: without the vendor's error body, with it, with one that asks to be tried again.
TABLE = {
    **dict.fromkeys((200, 201, 202, 204, 206, 299), (A, R, T)),
    **dict.fromkeys((400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 429, 451, 499), (U, R, T)),
    **dict.fromkeys((408, 409, 425), (U, U, U)),
    **dict.fromkeys((500, 501, 502, 503, 504, 511, 520, 529, 599), (U, U, U)),
}


@pytest.mark.parametrize(("status", "meant"), TABLE.items())
def test_every_status_with_every_kind_of_body(status: int, meant: tuple[Submitted, Submitted, Submitted]) -> None:
    """Only the vendor's own word refuses, and only under a status that leaves nothing open."""
    assert (
        of_submit(status, refused=False, later=False),
        of_submit(status, refused=True, later=False),
        of_submit(status, refused=True, later=True),
    ) == meant


def test_no_status_alone_refuses_or_throttles() -> None:
    """Without the vendor's word a submit is accepted or unknown, and accepted by a 2xx alone."""
    found = {status for status in range(100, 600) if of_submit(status, refused=False, later=False) is not U}

    assert found == set(range(200, 300))
    assert {of_submit(status, refused=False, later=False) for status in found} == {A}


@pytest.mark.parametrize("kind", NEVER_SENT)
def test_what_comes_before_the_first_byte_was_not_delivered(kind: type[Exception]) -> None:
    """The only errors after which a submit may be sent again; the client lets each of them through to here."""
    assert of_error(kind("x")) is Submitted.NOT_DELIVERED
    assert issubclass(kind, NETWORK_ERRORS)


# Cousins of those above that say nothing about what left, and errors of the layers below that httpx did not translate.
LEAVES_OPEN: list[BaseException] = [
    httpx.NetworkError("x"),
    httpx.TimeoutException("x"),
    httpx.TransportError("x"),
    httpx.ReadTimeout("x"),
    httpx.WriteError("x"),
    httpx.RemoteProtocolError("x"),
    aiohttp.ServerDisconnectedError(),
    TimeoutError(),
    ssl.SSLError("x"),
    ConnectionResetError(),
    BrokenPipeError(),
    ConnectionRefusedError(),
    ValueError("x"),
    RuntimeError("x"),
]


@pytest.mark.parametrize("error", LEAVES_OPEN, ids=lambda error: type(error).__name__)
def test_every_other_error_leaves_the_outcome_open(error: BaseException) -> None:
    """Whatever it sounds like: a class that is not in the table proves nothing."""
    assert of_error(error) is Submitted.UNKNOWN


def test_connecting_ends_before_the_bound_on_the_whole_submit() -> None:
    """A TCP connect and a TLS handshake that both stall are told apart from a lost answer by their own bounds."""
    assert 2 * CONNECT_SECONDS < SUBMIT_SECONDS


def test_trouble_is_what_may_pass() -> None:
    """A poll is repeated after these as after a dead connection."""
    assert {status for status in range(100, 600) if is_trouble(status)} == {408, 409, 425, 429, *range(500, 600)}
