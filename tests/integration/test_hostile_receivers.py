"""The hostile links once more, as receivers of webhooks: what is posted never comes to the canary inside."""

import asyncio

import pytest

from integration.test_hostile_links import KINDS, OUTSIDE, Web, fetcher, via, web, words
from videogate.media.fetch import SafeFetcher
from videogate.task.errors import InvalidRequest, Unavailable

__all__ = ["fetcher", "web"]  # pytest finds them here


async def posted(fetcher: SafeFetcher, web: Web, url: str) -> int | None:
    """The status that a post to a link brings; None if it is refused."""
    web.forget()
    try:
        return await fetcher.post(url, b"{}", {"webhook-id": "wh_1"})
    except (InvalidRequest, Unavailable):
        return None


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_posted_inside(kind: str, fetcher: SafeFetcher, web: Web) -> None:
    """Every link is refused or answered by the site outside with a redirect or an error, which is the end of it."""
    found = {url: await posted(fetcher, web, url) for url in KINDS[kind](web.port)}
    await asyncio.sleep(0.05)  # what was connected is accepted by now

    assert {url: status for url, status in found.items() if status is not None and status < 300} == {}
    assert web.inside == []
    assert web.connected <= {(OUTSIDE, web.port)}
    assert all(head.startswith("post ") for head in web.heads)


async def test_what_is_outside_is_posted_to(fetcher: SafeFetcher, web: Web) -> None:
    """By number and by name; a redirect is told and not followed."""
    for host in words(f"{OUTSIDE} outside.test OUTSIDE.test two.test"):
        assert await posted(fetcher, web, f"http://{host}:{web.port}/film") == 200
    assert await posted(fetcher, web, via(f"http://{OUTSIDE}:{web.port}/film", web.port)) == 302

    assert len(web.heads) == 5
