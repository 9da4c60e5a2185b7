"""Opens the leaderboard page in a real Chromium, for tests."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
WAIT = 120_000  # ms; waiting ends as soon as the element is there

browser_only = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@contextmanager
def launch_chromium():
    """Yield a browser of Playwright; skip the test if it is not installed."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        flags = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=WAIT)
        yield browser
        browser.close()


@contextmanager
def page_opener(chromium):
    """Open files; at the end, fail if a page requested or logged anything."""
    contexts, requests, messages = [], [], []

    def visit(file, width=1280, height=900, scheme="light"):
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(Path(file).as_uri())
        page.wait_for_selector("#footer:not(:empty)")
        return page

    yield visit
    for context in contexts:
        context.close()
    outside = [url for url in requests if not url.startswith(("file:", "data:", "blob:"))]
    assert (outside, messages) == ([], [])


def open_all(page):
    for part in page.locator("#datasets > details").all():
        if part.get_attribute("open") is None:
            part.locator("summary").click()
