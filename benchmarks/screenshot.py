"""Write the screenshot in README: the top of a store's HTML page, in a headless Chromium, as a PNG.

python benchmarks/screenshot.py --store results
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path

from _common import ROOT, parse_arguments

WIDTH, HEIGHT = 1280, 1000  # CSS pixels
MAX_SIZE = 300_000  # bytes


def main() -> None:
    options = parse_arguments(__doc__, store="results", dataset="spoken_words")
    from quintain.records.store import Store
    from quintain.report.page.build import build_page

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "leaderboard.html"
        file.write_text(build_page(Store(Path(options.store))), encoding="utf-8")
        png = reduce_colours(take_screenshot(file, options.dataset))
    if len(png) > MAX_SIZE:
        raise SystemExit(f"the screenshot has {len(png):,} bytes, expected at most {MAX_SIZE:,}")
    target = ROOT / "docs" / "leaderboard.png"
    target.write_bytes(png)
    print(f"wrote {target.relative_to(ROOT)}, {len(png):,} bytes")


def take_screenshot(file: Path, dataset: str) -> bytes:
    """Return the visible part of the page as a PNG, with the section of this dataset open."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(file.as_uri())
        for section in page.locator("#datasets > details").all():
            is_shown = section.locator("summary .dataset").first.inner_text() == dataset
            if is_shown != (section.get_attribute("open") is not None):
                section.locator("summary").first.click()
        page.locator("#datasets > [open] figure svg").first.wait_for()
        page.evaluate("scrollTo(0, 0)")
        png = page.screenshot()
        browser.close()
    return png


def reduce_colours(png: bytes) -> bytes:
    """Return the image with 256 colours, which are nearly all that it has."""
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
