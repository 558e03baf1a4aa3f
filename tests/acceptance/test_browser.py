"""A real Chromium before a running gateway: it plays, seeks and downloads a video, and shows pictures of it."""

import re
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Response

from acceptance.browsers import open_browser, open_playwright
from acceptance.conftest import KEY, ended

pytestmark = pytest.mark.databases("sqlite")

# Two megabytes: twice what a browser reads of a video before it is told to play it.
SIZE, SECONDS = "1440x2560", 60
NEAR_END = SECONDS - 1
PAGE = """
<!doctype html>
<title>A page of somebody else</title>
<video id="video" width="270" muted></video>
<a id="link">The video</a>
"""
SHOWN = """({
  at: video.currentTime,
  size: `${video.videoWidth}x${video.videoHeight}`,
  seconds: video.duration,
  ready: video.readyState,
  frames: video.getVideoPlaybackQuality().totalVideoFrames,
  error: video.error && video.error.message,
})"""
PICTURE = """async ([path, key]) => {
  const answer = await fetch(path, {headers: {authorization: `Bearer ${key}`}});
  if (!answer.ok) throw new Error(await answer.text());
  const image = new Image();
  image.src = URL.createObjectURL(await answer.blob());
  await image.decode();
  return [image.naturalWidth, image.naturalHeight];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that plays videos."""
    with open_playwright() as chromium, open_browser(chromium) as opened:
        yield opened


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of PAGE: for a browser another site than the gateway's."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "index.html").write_text(PAGE, "utf-8")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder)) as server:
        Thread(target=server.serve_forever, name="site").start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    """PAGE in a browser that has seen nothing yet."""
    with browser.new_page() as opened:
        opened.goto(site)
        yield opened


@pytest.fixture(scope="module")
def finished(gateway: str) -> dict[str, Any]:
    """A finished video that is worth seeking in."""
    with httpx.Client(base_url=gateway, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
        return made(client, SIZE, SECONDS)


def made(client: httpx.Client, size: str, seconds: int) -> dict[str, Any]:
    """A finished video of this size and length."""
    wanted = {"model": "sora-2", "prompt": "a lighthouse", "size": size, "seconds": seconds}
    video = ended(client, client.post("/v1/videos", json=wanted).raise_for_status().json()["id"])
    assert (video["size"], video["seconds"]) == (size, str(seconds)), video
    return video


def shown(page: Page, when: str) -> dict[str, Any]:
    """Wait until something is true of the page, or its player gives up; return what the player shows then."""
    page.wait_for_function(f"video.error || ({when})")
    found: dict[str, Any] = page.evaluate(SHOWN)
    assert found["error"] is None, found
    return found


def without_cache(page: Page) -> None:
    """Let the page have every byte from the gateway: Chromium's cache cuts parts out of whole answers itself."""
    protocol = page.context.new_cdp_session(page)
    protocol.send("Network.enable")
    protocol.send("Network.setCacheDisabled", {"cacheDisabled": True})


def part(answer: Response) -> tuple[int, int, int]:
    """The first byte, the last byte and the whole length that an answer names; zeros if it is not a part."""
    named = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("content-range", ""))
    first, last, length = map(int, named.groups()) if named else (0, 0, 0)
    return first, last, length


def test_a_browser_plays_the_link(page: Page, finished: dict[str, Any]) -> None:
    """A player of another site plays the `url` alone: its size and its length, picture after picture."""
    page.evaluate("url => { video.src = url; video.play(); }", finished["url"])

    begun = shown(page, "video.currentTime > 0")
    later = shown(page, f"video.currentTime > {begun['at']} + 0.5")

    assert later["size"] == finished["size"]
    assert later["seconds"] == pytest.approx(float(finished["seconds"]), abs=0.2)
    assert later["frames"] > begun["frames"]


def test_a_browser_seeks_by_asking_for_a_part(page: Page, finished: dict[str, Any]) -> None:
    """Sent near the end, a player that has read only the beginning is answered 206 from there, and plays to the end."""
    whole = int(httpx.head(finished["url"]).headers["content-length"])
    without_cache(page)
    page.evaluate("url => { video.preload = 'metadata'; video.src = url; }", finished["url"])
    assert shown(page, "video.readyState >= 1")["at"] == 0

    with page.expect_response(lambda answer: part(answer)[0] > whole / 2) as answered:
        page.evaluate("at => { video.onseeked = () => { window.sought = true; }; video.currentTime = at; }", NEAR_END)
        sought = shown(page, "window.sought")

    assert answered.value.status == 206
    assert part(answered.value)[2] == whole
    assert sought["at"] == pytest.approx(NEAR_END, abs=0.2)
    assert sought["ready"] >= 2  # it has the picture
    page.evaluate("() => { video.play(); }")
    assert shown(page, "video.ended")["at"] == pytest.approx(SECONDS, abs=0.2)


def test_a_browser_downloads_the_link(page: Page, finished: dict[str, Any]) -> None:
    """A click on a link of another site saves the video under its id, byte for byte as any client gets it."""
    page.evaluate("url => { link.href = url; }", finished["url"])

    with page.expect_download() as started:
        page.locator("#link").click()

    download = started.value
    assert download.suggested_filename == f"{finished['id']}.mp4"
    saved = sha256(Path(download.path()).read_bytes())
    assert saved.hexdigest() == sha256(httpx.get(finished["url"]).content).hexdigest()


def test_a_browser_shows_the_pictures(browser: Browser, gateway: str, api: httpx.Client) -> None:
    """A page of the gateway's own site that has a key can show the thumbnail and the spritesheet of a video."""
    video = made(api, "360x640", 4)["id"]

    with browser.new_page() as page:
        page.goto(f"{gateway}/health/live")
        for variant in ("thumbnail", "spritesheet"):
            width, height = page.evaluate(PICTURE, [f"/v1/videos/{video}/content?variant={variant}", KEY])
            assert 0 < width < height, variant
