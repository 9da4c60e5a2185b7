"""The page of a store as README shows it: its first screen in a headless Chromium, as a PNG.

python benchmarks/picture.py --store results
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path

from _common import ROOT, arguments

WIDTH, HEIGHT = 1280, 1000  # CSS pixels
MOST = 300_000  # bytes


def main() -> None:
    asked = arguments(__doc__, store="results", dataset="spoken_words")
    from quintain.records.store import Store
    from quintain.report.page.build import page

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "leaderboard.html"
        file.write_text(page(Store(Path(asked.store))), encoding="utf-8")
        picture = small(shot(file, asked.dataset))
    if len(picture) > MOST:
        raise SystemExit(f"the picture has {len(picture):,} bytes, at most {MOST:,} were expected")
    target = ROOT / "docs" / "leaderboard.png"
    target.write_bytes(picture)
    print(f"wrote {target.relative_to(ROOT)}, {len(picture):,} bytes")


def shot(file: Path, dataset: str) -> bytes:
    """The first screen, with this dataset's part open."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        view = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        view.goto(file.as_uri())
        for part in view.locator("#datasets > details").all():
            wanted = part.locator("summary .dataset").first.inner_text() == dataset
            if wanted != (part.get_attribute("open") is not None):
                part.locator("summary").first.click()
        view.locator("#datasets > [open] figure svg").first.wait_for()
        view.evaluate("scrollTo(0, 0)")
        picture = view.screenshot()
        browser.close()
    return picture


def small(picture: bytes) -> bytes:
    """The same picture in 256 colours, which it hardly has more of."""
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(256).save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
