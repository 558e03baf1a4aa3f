"""Which Chromium the tests of a browser use, and what becomes of them where there is none."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser, BrowserType, Error, sync_playwright

SWITCH = "VIDEOGATE_TEST_BROWSER"  # 1: without a browser the tests fail
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "chromium-headless-shell")
H264 = 'video/mp4; codecs="avc1.42E01E"'
# A page and a gateway on this machine; no other host exists for the browser.
ARGUMENTS = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"]


@contextmanager
def open_playwright() -> Iterator[BrowserType]:
    """What launches browsers. It holds this thread's event loop as long as it is open: keep that short."""
    try:
        playwright = sync_playwright().start()
    except Exception as error:  # noqa: BLE001 (it names no kind: a library of its own program may be missing)
        no_browser([f"playwright does not start: {error}"])
    try:
        yield playwright.chromium
    finally:
        playwright.stop()


@contextmanager
def open_browser(chromium: BrowserType) -> Iterator[Browser]:
    """The first browser that starts and plays H.264."""
    troubles = []
    for name, options in ways().items():
        try:
            opened = chromium.launch(**options, args=ARGUMENTS)
        except Error as error:
            troubles.append(f"{name}: {error.message.splitlines()[0]}")
            continue
        if plays(opened):
            break
        opened.close()
        troubles.append(f"{name}: plays no H.264")
    else:
        no_browser(troubles)
    try:
        yield opened
    finally:
        opened.close()


def ways() -> dict[str, dict[str, Any]]:
    """How to launch a browser: one on the PATH, playwright's own, Chrome where its installer puts it."""
    found = {path: {"executable_path": path} for name in NAMES if (path := shutil.which(name))}
    return {**found, "playwright's own": {}, "Chrome": {"channel": "chrome"}}


def plays(browser: Browser) -> bool:
    """Whether a browser plays H.264."""
    with browser.new_page() as page:
        return bool(page.evaluate("kind => document.createElement('video').canPlayType(kind)", H264))


def no_browser(troubles: list[str]) -> NoReturn:
    """Skip the tests, or fail where SWITCH asks for a browser."""
    missing = f"no Chromium that plays videos: apt-get install chromium libatomic1, or Chrome ({'; '.join(troubles)})"
    if os.environ.get(SWITCH) == "1":
        pytest.fail(missing)
    pytest.skip(missing)
