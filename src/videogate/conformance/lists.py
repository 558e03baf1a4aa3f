"""List and models: what there is, page by page."""

from collections.abc import Iterator
from typing import Any

import httpx

from videogate.conformance.answer import FIELDS, shown, whole_number
from videogate.conformance.check import Check
from videogate.conformance.client import of
from videogate.conformance.findings import Failed, body, brief, envelope, expect
from videogate.conformance.session import JSON, UNICODE, WATCHED, Session, unknown

OURS = (WATCHED, JSON, UNICODE)  # in the order in which they are made
MOST_PAGES = 60


def page(session: Session, **query: str | int) -> dict[str, Any]:
    """One page of the list. Raises Failed if it is none."""
    answer = session.client.get("/videos", query)
    expect(answer.status_code == httpx.codes.OK, brief(answer))
    found = body(answer)
    entries = found.get("data")
    expect(isinstance(entries, list) and all(isinstance(each, dict) for each in entries), f"data: {brief(answer)}")
    return found


def ids(found: dict[str, Any]) -> list[str]:
    """The ids of a page."""
    return [str(each.get("id")) for each in found["data"]]


def _ours(session: Session) -> list[str]:
    """The ids of the shared videos, the oldest first. Raises Skipped if one could not be made."""
    return [session.made(name) for name in OURS]


def _shape(session: Session) -> None:
    _ours(session)
    found = page(session)
    expect(found.get("object") == "list", shown(found, "object"))
    listed = ids(found)
    expect(listed, "the list is empty")
    expect((found.get("first_id"), found.get("last_id")) == (listed[0], listed[-1]), "first_id or last_id is another")
    expect(isinstance(found.get("has_more"), bool), shown(found, "has_more"))


def _newest_first(session: Session) -> None:
    ours = _ours(session)
    listed = [each for each in ids(page(session)) if each in ours]
    expect({*listed} == {*ours}, f"{len(listed)} of the {len(ours)} newest are on the first page")
    expect(listed[-1] == ours[0], "the oldest of them is not the last")


def _ascending(session: Session) -> None:
    oldest, *later = _ours(session)
    listed = ids(page(session, order="asc", after=oldest))
    expect({*later} <= {*listed}, f"{len({*later} & {*listed})} of {len(later)} later ones are listed")
    expect(oldest not in listed, "the one after which it should go on is listed again")


def _limit(session: Session) -> None:
    _ours(session)
    for limit in (1, 2):
        found = page(session, limit=limit)
        expect(len(found["data"]) == limit, f"limit={limit}: {len(found['data'])} videos")
        expect(found.get("has_more") is True, f"limit={limit}: {shown(found, 'has_more')}")


def _pages(session: Session) -> None:
    ours = _ours(session)
    seen: list[str] = []
    for found in _walk(session):
        seen += ids(found)
        if ours[0] in seen:
            break
    expect({*ours} <= {*seen}, f"{len({*seen} & {*ours})} of {len(ours)} were seen on {len(seen)} places")
    expect(len(seen) == len(set(seen)), "a video was on two pages")


def _walk(session: Session) -> Iterator[dict[str, Any]]:
    """Pages of two, as SDKs turn them: on from last_id until has_more is false."""
    after: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        found = page(session, limit=2, **after)
        yield found
        if not found["data"] or not found.get("has_more") or not found.get("last_id"):
            return
        after = {"after": found["last_id"]}


def _end(session: Session) -> None:
    newest = ids(page(session, limit=1))[-1] if _ours(session) else ""
    found = page(session, order="asc", after=newest)
    expect(not found["data"], f"{len(found['data'])} videos after the last")
    for name, value in (("has_more", False), ("first_id", None), ("last_id", None)):
        expect(name in found and found[name] is value, shown(found, name))


def _entry(session: Session) -> None:
    ended = _ours(session)[0]  # nothing of it changes between two looks
    (entry, *_) = [each for each in page(session)["data"] if each.get("id") == ended] or [{}]
    expect(entry, "the video is not on the first page")
    single = body(session.client.get(of(ended)))
    for name in sorted(FIELDS):
        expect((name in entry) == (name in single), f"{shown(entry, name)} in the list, {shown(single, name)} alone")
        expect(entry.get(name) == single.get(name), f"{shown(entry, name)} in the list, {shown(single, name)} alone")


def _bad_query(session: Session) -> None:
    for name, value in (("limit", "many"), ("order", "sideways")):
        envelope(session.client.get("/videos", {name: value}), 400, param=name)


def _bad_cursor(session: Session) -> None:
    envelope(session.client.get("/videos", {"after": unknown(session.made(WATCHED))}), 400, 404)


def _models(session: Session) -> None:
    answer = session.client.get("/models")
    expect(answer.status_code == httpx.codes.OK, brief(answer))
    found = body(answer)
    entries = found.get("data")
    if found.get("object") != "list" or not isinstance(entries, list):
        raise Failed(brief(answer))
    for each in entries:
        expect(isinstance(each, dict) and isinstance(each.get("id"), str), f"{each}")
        expect(each.get("object") == "model", f"{each['id']}: {shown(each, 'object')}")
        expect(whole_number(each.get("created")), f"{each['id']}: {shown(each, 'created')}")
        expect(isinstance(each.get("owned_by"), str), f"{each['id']}: {shown(each, 'owned_by')}")


def _one_model(session: Session) -> None:
    answer = session.client.get(f"/models/{session.model}")
    expect(answer.status_code == httpx.codes.OK, brief(answer))
    found = body(answer)
    expect((found.get("id"), found.get("object")) == (session.model, "model"), brief(answer))


def _no_model(session: Session) -> None:
    envelope(session.client.get("/models/no-such-model"), 404)


CHECKS = (
    *(
        Check(f"list.{name}", claim, needed_by, look, must=must, shared=OURS)
        for name, claim, needed_by, look, must in (
            (
                "shape",
                "A list is an object with data, first_id, last_id and has_more.",
                "OpenAI's SDKs stop at the first page without them.",
                _shape,
                True,
            ),
            ("newest-first", "The newest come first, unless told otherwise.", "All servers.", _newest_first, True),
            ("ascending", "`order=asc` with `after` goes on to the newer ones.", "The reference.", _ascending, True),
            ("limit", "`limit` is the length of a page, and has_more tells of the rest.", "SDKs.", _limit, True),
            ("pages", "From page to page by last_id every video comes once.", "The SDKs' own paging.", _pages, True),
            (
                "end",
                "After the last comes an empty page: has_more is false, first_id and last_id are null.",
                "OpenAI's SDKs end there.",
                _end,
                True,
            ),
            ("entry", "An entry is what a GET of the video shows.", "Clients that read lists.", _entry, True),
            ("bad-query", "A bad limit or order is a 400 that names it.", "Who debugs a client.", _bad_query, False),
            (
                "bad-cursor",
                "An `after` that nobody has is an error, not the first page again.",
                "A client that pages for ever.",
                _bad_cursor,
                False,
            ),
        )
    ),
    Check(
        "models.list",
        "`/models` is a list of models in the format.",
        "Model pickers; `models.list()`.",
        _models,
        must=False,
    ),
    Check("models.one", "`/models/ID` is one of them.", "`models.retrieve()`.", _one_model, must=False),
    Check("models.unknown", "A model that is not there is a 404 in the envelope.", "SDKs.", _no_model, must=False),
)
