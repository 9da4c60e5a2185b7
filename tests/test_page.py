"""The page as its reader meets it, in a real Chromium: it asks for nothing, runs only its own."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from contextlib import contextmanager
from pathlib import Path

import pytest
from page_store import NASTY, SCORES, filled
from records_factory import make
from words import hear_ctrl_c

from quintain.cli import main
from quintain.records.store import Store
from quintain.report import command
from quintain.report.leaderboard import leaderboard
from quintain.report.page import build

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
WAIT = 120_000  # ms; ends at once when the thing is there

FOCUSED = """() => {
  const node = document.activeElement;
  if (node === document.body) return 'BODY';
  const shown = node.matches('.chip input, .choice input') ? node.nextElementSibling : node;
  if (getComputedStyle(shown).outlineStyle === 'none') return null;
  return node.closest('#filters, #matrix, #datasets')?.id || node.tagName;
}"""
"""Where the focus is, or null where it cannot be seen."""

browser_only = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def file(store):
    return command.write_page(store)


@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        flags = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=WAIT)
        yield browser
        browser.close()


@contextmanager
def visits(chromium):
    """Opens files; fails at the end where one asked for anything or said anything."""
    contexts, asked, said = [], [], []

    def visit(file, width=1280, height=900, scheme="light"):
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(Path(file).as_uri())
        page.wait_for_selector("#footer:not(:empty)")
        return page

    yield visit
    for context in contexts:
        context.close()
    outside = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert (outside, said) == ([], [])


@pytest.fixture
def visit(chromium):
    with visits(chromium) as visit:
        yield visit


@pytest.fixture(scope="module")
def page(chromium, file):
    """The page for tests that leave its filters alone; loading it takes longer than they do."""
    with visits(chromium) as visit:
        yield visit(file)


@pytest.fixture
def keep(tmp_path):
    """Keeps a picture of the page where QUINTAIN_ARTEFACTS says."""
    folder = Path(os.environ.get("QUINTAIN_ARTEFACTS", tmp_path))

    def keep(page, name, full_page=False):
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"page-{name}.png", full_page=full_page)

    return keep


def open_all(page):
    for part in page.locator("#datasets > details").all():
        if part.get_attribute("open") is None:
            part.locator("summary").click()


def names(page):
    return page.locator("#matrix tbody th").all_inner_texts()


@browser_only
def test_the_first_screen_says_what_was_compared(page, store, keep):
    assert page.locator("#summary").inner_text().startswith("3 models × 5 datasets of 5 kinds")
    rows = {(r.dataset, r.model): r for r in leaderboard(store.all()).rows}
    row = rows["image_data", "cnn"]
    shown = page.locator("#matrix tbody tr", has_text="cnn").locator("td").all_inner_texts()
    half = (row.ci_high - row.ci_low) / 2
    words = [re.sub(r"\s+", " ", text) for text in shown]
    assert any(text.startswith(f"{row.mean:.4f} ± {half:.4f}") for text in words)
    best = page.locator("#matrix .best .mean").first
    assert int(best.evaluate("node => getComputedStyle(node).fontWeight")) >= 700
    keep(page, "light")


@browser_only
def test_words_ties_and_aggregates_are_those_of_the_board(page, store):
    board = leaderboard(store.all())
    ranks = page.locator("#matrix tbody tr:not(.reference) td:nth-child(2)").all_inner_texts()
    assert sorted(ranks) == sorted(f"{one.mean_rank:.2f}" for one in board.overall)
    assert page.locator("#aggregates tbody tr").count() == len(board.overall) == 3
    assert page.locator("#words li").count() == len(board.sentences) > 0
    letters = [text for text in page.locator("#matrix sup").all_inner_texts() if text]
    groups = [row.tie_group for row in board.rows if row.tie_group]
    assert sorted(letters) == sorted(chr(96 + group) for group in groups)


@browser_only
def test_filters_take_tables_away(visit, file):
    page = visit(file)
    assert page.locator("#datasets > details").count() == 5
    for modality in ("image", "text", "video"):
        page.get_by_text(modality, exact=True).first.click()
    assert page.locator("#datasets > details").count() == 2
    assert "image_data" not in page.locator("#matrix thead").inner_text()
    page.get_by_text("forecast", exact=True).first.click()
    assert page.locator("#datasets summary .dataset").all_inner_texts() == ["speech_data"]
    page.reload()
    assert page.locator("#datasets > details").count() == 1, "a reload keeps what was chosen"
    page.get_by_text("classify", exact=True).first.click()
    assert "leave nothing" in page.locator("#matrix").inner_text()


@browser_only
def test_headings_sort_and_say_so(page):
    head = page.locator("#matrix thead th", has_text="image_data")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert names(page) == ["cnn", "lstm", NASTY, "best reference"]
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(page) == [NASTY, "lstm", "cnn", "best reference"]


@browser_only
def test_costs_can_be_chosen(page):
    heads = page.locator("#matrix thead")
    assert "energy Wh" not in heads.inner_text()
    page.locator("#filters").get_by_text("energy Wh").click()
    assert "energy Wh" in heads.inner_text() and "sum" in heads.inner_text()
    cells = page.locator("#matrix tbody tr", has_text="cnn").locator("td").all_inner_texts()
    assert cells[-1] == "5.00", "1 Wh on each of five datasets"


@browser_only
def test_a_plot_tells_what_is_under_the_pointer_and_the_arrow_keys(page):
    plot = page.locator("figure", has_text="Validation while training").locator(".plot svg").first
    plot.scroll_into_view_if_needed()
    mark = plot.locator(".mark").last.bounding_box()
    page.mouse.move(mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2)
    tip = page.locator("#tip")
    tip.wait_for(state="visible")
    assert re.search(r"0\.\d+ \[0\.\d+, 0\.\d+\] at 20\.0 steps", tip.inner_text())
    page.mouse.move(1, 1)
    tip.wait_for(state="hidden")
    plot.focus()
    plot.press("ArrowRight")
    tip.wait_for(state="visible")
    first = tip.inner_text()
    plot.press("ArrowRight")
    assert tip.inner_text() != first
    plot.press("Escape")
    tip.wait_for(state="hidden")


@browser_only
def test_dark_by_the_system_and_by_the_switch(visit, file, keep):
    ground = "getComputedStyle(document.body).backgroundColor"
    page = visit(file, scheme="dark")
    dark = page.evaluate(ground)
    keep(page, "dark")
    page.locator("#theme").click()
    assert page.evaluate(ground) == "rgb(255, 255, 255)" != dark
    page = visit(file, scheme="light")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page.locator("#theme").click()
    page.locator("#theme").click()
    assert page.evaluate(ground) == dark


@browser_only
def test_a_phone_scrolls_tables_and_not_the_page(visit, file, keep):
    page = visit(file, width=360, height=740)
    open_all(page)
    page.locator("#datasets > details:last-child figure svg").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    box = page.locator("#matrix .scroll")
    assert box.evaluate("node => node.scrollWidth > node.clientWidth")
    keep(page, "phone", full_page=True)


@browser_only
def test_the_keyboard_reaches_everything(visit, file):
    page = visit(file)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "results"
    stops = []
    while not stops or stops[-1] != "BODY":  # behind the last one
        page.keyboard.press("Tab")
        stops.append(page.evaluate(FOCUSED))
        assert stops[-1] and len(stops) < 200, "what has the focus shows it by an outline"
    assert {"filters", "matrix", "datasets"} <= set(stops)
    page.locator("#datasets summary").nth(1).focus()
    page.keyboard.press("Enter")
    page.locator("#datasets > details:nth-child(2)[open] figure").first.wait_for()


@browser_only
def test_names_that_are_markup_are_shown_as_text(page):
    open_all(page)
    assert page.title() == "Quintain leaderboard"
    assert page.locator("script").count() == 2
    assert NASTY in names(page) and NASTY in page.locator("#datasets .dataset").all_inner_texts()
    assert page.locator(".samples .source").first.inner_text() == NASTY


@browser_only
def test_figures_have_words_and_samples_are_shown(page):
    open_all(page)
    titles = set(page.locator("figcaption").all_inner_texts())
    wanted = {"Validation while training", "Quality against cost", "Time to target"}
    assert wanted | {"Confusion on test", "Forecast of test sample 7, load"} <= titles
    page.locator("#datasets > details:last-child figure svg").first.wait_for()
    plots = page.locator("figure .plot svg")
    assert all(len(plots.nth(i).get_attribute("aria-label")) > 30 for i in range(plots.count()))
    pictures = page.locator(".samples img")
    assert pictures.count() == 3 and all(pictures.nth(i).get_attribute("alt") for i in range(3))
    assert pictures.first.evaluate("node => node.complete && node.naturalWidth") == 8
    assert page.get_by_text("dashed: reference rows").count()


@browser_only
def test_a_sound_is_heard(page):
    open_all(page)
    sounds = page.locator(".samples audio")
    assert sounds.count() == 1 and "sound of test sample 7" in sounds.get_attribute("aria-label")
    length = """node => new Promise((done, failed) => {
        node.onloadedmetadata = () => done(node.duration); node.onerror = failed; node.load(); })"""
    assert sounds.evaluate(length) == pytest.approx(0.1, abs=0.01)


@browser_only
def test_a_figure_and_its_data_are_saved(page, tmp_path):
    part = page.locator("figure", has_text="Quality against cost").first

    def saved(kind):
        with page.expect_download() as waiting:
            part.get_by_role("button", name=f"as {kind}").click()
        target = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(target)
        return target

    drawing = ElementTree.fromstring(saved("SVG").read_text())
    fills = {node.get("fill") for node in drawing.iter("{http://www.w3.org/2000/svg}path")}
    assert drawing.tag.endswith("svg") and "rgb(0, 114, 178)" in fills
    assert saved("PNG").read_bytes().startswith(b"\x89PNG")
    lines = list(csv.DictReader(io.StringIO(saved("CSV").read_text())))
    assert {line["model"] for line in lines} == set(SCORES)
    assert {line["on_front"] for line in lines if line["model"] == "cnn"} == {"true"}


@browser_only
def test_a_page_that_loads_itself_again_says_so(tmp_path, visit):
    (tmp_path / "p.html").write_text(build.page(Store(tmp_path), refresh=True))
    assert "loaded again every 10 s" in visit(tmp_path / "p.html").locator("#summary").inner_text()


def test_a_watched_page_is_built_again_as_records_come(tmp_path):
    store, page = Store(tmp_path), tmp_path / "leaderboard.html"
    store.write(make())
    words = ["leaderboard", f"store={tmp_path}", "--watch"]
    with subprocess.Popen([sys.executable, "-m", "quintain", *words], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True,
                              preexec_fn=hear_ctrl_c) as watching:  # fmt: skip
        try:
            assert watching.stdout.readline().strip() == str(page)
            assert 'http-equiv="refresh"' in page.read_text()
            store.write(make(dataset="new_data"))
            end = time.monotonic() + WAIT / 1000
            while "new_data" not in page.read_text() and time.monotonic() < end:
                time.sleep(0.1)
            assert "new_data" in page.read_text()
            watching.send_signal(signal.SIGINT)
            assert watching.wait(WAIT / 1000) == 0
        finally:
            watching.kill()
    assert 'http-equiv="refresh"' not in page.read_text() and "new_data" in page.read_text()


def test_the_policy_lets_nothing_else_run(file):
    text = file.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy and "img-src data:;" in policy
    assert file.stat().st_size < 6_000_000


def test_no_script_reads_data_as_markup():
    for name in build.SCRIPTS:
        text = build._read(f"{name}.js")
        assert text.count("\n") <= 300
        unsafe = r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\("
        assert not re.search(unsafe, text)


def test_the_page_has_the_numbers_of_the_json(file, store):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', file.read_text())
    shown = json.loads(found[1])
    rows = [row for table in shown["tables"] for row in table["rows"]]
    board = leaderboard(store.all())
    same = ("dataset", "model", "mean", "ci_low", "ci_high", "n", "rank", "params", "train_seconds")
    assert [[row[name] for name in same] for row in rows] == [
        [getattr(row, name) for name in same] for row in board.rows
    ]
    cnn = next(row for row in rows if (row["dataset"], row["model"]) == ("image_data", "cnn"))
    assert cnn["scores"] == [0.9, 0.92, 0.94] and cnn["confusion"]["counts"][0] == [24, 6, 0]
    assert cnn["curves"][0] == [[10, 0.5, 0.5], [20, 1.0, 0.9]] and cnn["costs"]["energy_wh"] == 1.0
    assert len(shown["media"]) == 2, "the same picture, and the sound, are on the page once"


def test_a_large_store_gives_up_pictures_before_numbers(monkeypatch, store):
    whole = build.page_data(store)
    monkeypatch.setattr(build, "MOST", len(build.as_script(whole).encode()) - 200)
    less = build.fitted(build.page_data(store))
    assert less["media"] == {} and "samples" in less["left_out"]
    assert [r["mean"] for t in less["tables"] for r in t["rows"]] == [
        r["mean"] for t in whole["tables"] for r in t["rows"]]  # fmt: skip


def test_an_empty_store_and_a_page_that_cannot_be_written(tmp_path, capsys):
    assert "The store has no finished results" in build.page(Store(tmp_path))
    (tmp_path / "results").mkdir()
    words = [f"store={tmp_path / 'results'}", "--output", str(tmp_path / "results")]
    assert main(["leaderboard", *words, "--open", "--format", "csv"]) == 2
    assert "--open and --watch show the HTML page" in capsys.readouterr().err


def test_open_asks_the_browser_for_the_page(tmp_path, monkeypatch, capsys):
    Store(tmp_path).write(make())
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    assert main(["leaderboard", f"store={tmp_path}", "--open"]) == 0
    assert opened == [(tmp_path / "leaderboard.html").as_uri()]
    assert capsys.readouterr().out.strip() == str(tmp_path / "leaderboard.html")


ODD = ["\ud800", {"\ud800": 1}, [["a"], []], [[float("nan")]], 7, None, [[None], [1e300]]]


@browser_only
def test_samples_that_make_no_sense_spoil_no_page(tmp_path, visit):
    store = filled(tmp_path)
    for number, folder in enumerate((tmp_path / "samples").iterdir()):
        odd = ODD[number % len(ODD)]
        shown = {"kind": odd, "values": odd, "text": odd, "file": "a" * 300}
        (known,) = json.loads((folder / "samples.json").read_text())
        said = {"truth": odd, "prediction": odd, "targets": odd, "input": known["input"] | shown}
        (folder / "samples.json").write_text(json.dumps([known | said]))
    page = visit(command.write_page(store))
    open_all(page)
    assert page.locator("#datasets > details").count() == 5


def test_a_record_that_comes_while_the_page_is_made_is_not_missed(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.write(make())

    def made(store, *, refresh=False):
        if not built:
            store.write(make(dataset="late"))
        built.append(refresh)
        if len(built) == 2:
            raise KeyboardInterrupt
        return ""

    built = []
    monkeypatch.setattr(command, "page", made)
    monkeypatch.setattr(command, "LOOK", 0.01)
    assert main(["leaderboard", f"store={tmp_path}", "--watch"]) == 0
    assert built == [True, True, False]
