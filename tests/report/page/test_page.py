"""The page in a real Chromium: it loads nothing, and runs only its own script."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from helpers.commands import enable_ctrl_c
from helpers.page_browser import WAIT, browser_only, launch_chromium, open_all, page_opener
from helpers.page_store import MARKUP, SCORES, make_page_store
from helpers.record_factory import make_record

from quintain.cli import page as page_command
from quintain.cli.main import main
from quintain.records.store import Store
from quintain.report.leaderboard import build_leaderboard
from quintain.report.page import build

FOCUSED = """() => {
  const node = document.activeElement;
  if (node === document.body) return 'BODY';
  const shown = node.matches('.chip input, .choice input') ? node.nextElementSibling : node;
  if (getComputedStyle(shown).outlineStyle === 'none') return null;
  return node.closest('#filters, #matrix, #datasets')?.id || node.tagName;
}"""
"""Where the focus is, or null if it is not visible."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_page_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def file(store):
    return page_command.write_page(store)


@pytest.fixture(scope="module")
def chromium():
    with launch_chromium() as browser:
        yield browser


@pytest.fixture
def visit(chromium):
    with page_opener(chromium) as visit:
        yield visit


@pytest.fixture(scope="module")
def page(chromium, file):
    """The page for tests that do not change its filters; loading it takes longer than they do."""
    with page_opener(chromium) as visit:
        yield visit(file)


@pytest.fixture
def save_screenshot(tmp_path):
    """Save a screenshot of the page in the folder of QUINTAIN_ARTEFACTS."""
    folder = Path(os.environ.get("QUINTAIN_ARTEFACTS", tmp_path))

    def save(page, name, full_page=False):
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"page-{name}.png", full_page=full_page)

    return save


def model_names(page):
    return page.locator("#matrix tbody th").all_inner_texts()


@browser_only
def test_the_first_screen_shows_counts_and_the_best_model(page, store, save_screenshot):
    assert page.locator("#summary").inner_text().startswith("3 models × 5 datasets of 5 kinds")
    rows = {(r.dataset, r.model): r for r in build_leaderboard(store.all()).rows}
    row = rows["image_data", "cnn"]
    shown = page.locator("#matrix tbody tr", has_text="cnn").locator("td").all_inner_texts()
    half = (row.ci_high - row.ci_low) / 2
    texts = [re.sub(r"\s+", " ", text) for text in shown]
    assert any(text.startswith(f"{row.mean:.4f} ± {half:.4f}") for text in texts)
    best = page.locator("#matrix .best .mean").first
    assert int(best.evaluate("node => getComputedStyle(node).fontWeight")) >= 700
    save_screenshot(page, "light")


@browser_only
def test_sentences_ties_and_aggregates_are_those_of_the_leaderboard(page, store):
    board = build_leaderboard(store.all())
    ranks = page.locator("#matrix tbody tr:not(.baseline) td:nth-child(2)").all_inner_texts()
    assert sorted(ranks) == sorted(f"{model.mean_rank:.2f}" for model in board.overall)
    assert page.locator("#aggregates tbody tr").count() == len(board.overall) == 3
    assert page.locator("#in-words li").count() == len(board.sentences) > 0
    letters = [text for text in page.locator("#matrix sup").all_inner_texts() if text]
    assert sorted(letters) == sorted(row.letters for row in board.rows if row.letters)


@browser_only
def test_filters_hide_tables(visit, file):
    page = visit(file)
    assert page.locator("#datasets > details").count() == 5
    for modality in ("image", "text", "video"):
        page.get_by_text(modality, exact=True).first.click()
    assert page.locator("#datasets > details").count() == 2
    assert "image_data" not in page.locator("#matrix thead").inner_text()
    page.get_by_text("forecast", exact=True).first.click()
    assert page.locator("#datasets summary .dataset").all_inner_texts() == ["speech_data"]
    page.reload()
    assert page.locator("#datasets > details").count() == 1, "a reload keeps the choices"
    page.get_by_text("classify", exact=True).first.click()
    assert "leave nothing" in page.locator("#matrix").inner_text()


@browser_only
def test_headings_sort_and_announce_it(page):
    head = page.locator("#matrix thead th", has_text="image_data")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert model_names(page) == ["cnn", "lstm", MARKUP, "best baseline"]
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert model_names(page) == [MARKUP, "lstm", "cnn", "best baseline"]


@browser_only
def test_cost_columns_can_be_shown(page):
    heads = page.locator("#matrix thead")
    assert "energy Wh" not in heads.inner_text()
    page.locator("#filters").get_by_text("energy Wh").click()
    assert "energy Wh" in heads.inner_text() and "sum" in heads.inner_text()
    cells = page.locator("#matrix tbody tr", has_text="cnn").locator("td").all_inner_texts()
    assert cells[-1] == "5.00", "1 Wh on each of five datasets"


@browser_only
def test_figures_show_values_under_the_pointer_and_with_arrow_keys(page):
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
def test_dark_theme_follows_the_system_and_the_switch(visit, file, save_screenshot):
    background = "getComputedStyle(document.body).backgroundColor"
    page = visit(file, scheme="dark")
    dark = page.evaluate(background)
    save_screenshot(page, "dark")
    page.locator("#theme").click()
    assert page.evaluate(background) == "rgb(255, 255, 255)" != dark
    page = visit(file, scheme="light")
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    page.locator("#theme").click()
    page.locator("#theme").click()
    assert page.evaluate(background) == dark


@browser_only
def test_on_a_phone_only_tables_scroll_horizontally(visit, file, save_screenshot):
    page = visit(file, width=360, height=740)
    open_all(page)
    page.locator("#datasets > details:last-child figure svg").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    box = page.locator("#matrix .scroll")
    assert box.evaluate("node => node.scrollWidth > node.clientWidth")
    save_screenshot(page, "phone", full_page=True)


@browser_only
def test_the_keyboard_reaches_all_controls(visit, file):
    page = visit(file)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "results"
    stops = []
    while not stops or stops[-1] != "BODY":  # after the last control
        page.keyboard.press("Tab")
        stops.append(page.evaluate(FOCUSED))
        assert stops[-1] and len(stops) < 200, "the focus is visible by an outline"
    assert {"filters", "matrix", "datasets"} <= set(stops)
    page.locator("#datasets summary").nth(1).focus()
    page.keyboard.press("Enter")
    page.locator("#datasets > details:nth-child(2)[open] figure").first.wait_for()


@browser_only
def test_markup_in_names_is_shown_as_text(page):
    open_all(page)
    assert page.title() == "Quintain leaderboard"
    assert page.locator("script").count() == 2
    assert (
        MARKUP in model_names(page)
        and MARKUP in page.locator("#datasets .dataset").all_inner_texts()
    )
    assert page.locator(".samples .source").first.inner_text() == MARKUP


@browser_only
def test_figures_have_descriptions_and_samples_are_shown(page):
    open_all(page)
    titles = set(page.locator("figcaption").all_inner_texts())
    expected = {"Validation while training", "Quality against cost", "Time to target"}
    assert expected | {"Confusion on test", "Forecast of test sample 7, load"} <= titles
    page.locator("#datasets > details:last-child figure svg").first.wait_for()
    plots = page.locator("figure .plot svg")
    assert all(len(plots.nth(i).get_attribute("aria-label")) > 30 for i in range(plots.count()))
    images = page.locator(".samples img")
    assert images.count() == 3 and all(images.nth(i).get_attribute("alt") for i in range(3))
    assert images.first.evaluate("node => node.complete && node.naturalWidth") == 8
    assert page.get_by_text("dashed: baselines").count()


@browser_only
def test_a_recording_can_be_played(page):
    open_all(page)
    audio = page.locator(".samples audio")
    assert audio.count() == 1
    assert "recording of test sample 7" in audio.get_attribute("aria-label")
    duration = """node => new Promise((done, failed) => {
        node.onloadedmetadata = () => done(node.duration); node.onerror = failed; node.load(); })"""
    assert audio.evaluate(duration) == pytest.approx(0.1, abs=0.01)


@browser_only
def test_a_figure_and_its_data_can_be_saved(page, tmp_path):
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
def test_a_page_that_reloads_itself_says_so(tmp_path, visit):
    (tmp_path / "p.html").write_text(build.build_page(Store(tmp_path), refresh=True))
    assert "reloaded every 10 s" in visit(tmp_path / "p.html").locator("#summary").inner_text()


def test_a_watched_page_is_rebuilt_for_new_records(tmp_path):
    store, page = Store(tmp_path), tmp_path / "leaderboard.html"
    store.write(make_record())
    command = ["leaderboard", f"store={tmp_path}", "--watch"]
    with subprocess.Popen([sys.executable, "-m", "quintain", *command], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True,
                              preexec_fn=enable_ctrl_c) as watching:  # fmt: skip
        try:
            assert watching.stdout.readline().strip() == str(page)
            assert 'http-equiv="refresh"' in page.read_text()
            store.write(make_record(dataset="new_data"))
            end = time.monotonic() + WAIT / 1000
            while "new_data" not in page.read_text() and time.monotonic() < end:
                time.sleep(0.1)
            assert "new_data" in page.read_text()
            watching.send_signal(signal.SIGINT)
            assert watching.wait(WAIT / 1000) == 0
        finally:
            watching.kill()
    assert 'http-equiv="refresh"' not in page.read_text() and "new_data" in page.read_text()


def test_the_policy_allows_only_the_pages_own_script(file):
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


def test_the_page_has_the_numbers_of_the_leaderboard(file, store):
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', file.read_text())
    shown = json.loads(match[1])
    rows = [row for table in shown["tables"] for row in table["rows"]]
    board = build_leaderboard(store.all())
    same = ("dataset", "model", "mean", "ci_low", "ci_high", "n", "rank", "params", "train_seconds")
    assert [[row[name] for name in same] for row in rows] == [
        [getattr(row, name) for name in same] for row in board.rows
    ]
    cnn = next(row for row in rows if (row["dataset"], row["model"]) == ("image_data", "cnn"))
    assert cnn["scores"] == [0.9, 0.92, 0.94] and cnn["confusion"]["counts"][0] == [24, 6, 0]
    assert cnn["curves"][0] == [[10, 0.5, 0.5], [20, 1.0, 0.9]] and cnn["costs"]["energy_wh"] == 1.0
    assert len(shown["media"]) == 2, "equal images and the recording are on the page once"


def test_a_large_store_loses_samples_before_numbers(monkeypatch, store):
    whole = build.collect_page_data(store)
    monkeypatch.setattr(build, "MAX_DATA_BYTES", len(build.to_script_json(whole).encode()) - 200)
    less = build.fit_to_limit(build.collect_page_data(store))
    assert less["media"] == {} and "samples" in less["left_out"]
    assert [r["mean"] for t in less["tables"] for r in t["rows"]] == [
        r["mean"] for t in whole["tables"] for r in t["rows"]]  # fmt: skip


def test_an_empty_store_and_a_format_that_is_not_a_page(tmp_path, capsys):
    assert "The store has no finished results" in build.build_page(Store(tmp_path))
    (tmp_path / "results").mkdir()
    arguments = [f"store={tmp_path / 'results'}", "--output", str(tmp_path / "results")]
    assert main(["leaderboard", *arguments, "--open", "--format", "csv"]) == 2
    assert "--open and --watch show the HTML page" in capsys.readouterr().err


def test_open_shows_the_page_in_the_browser(tmp_path, monkeypatch, capsys):
    Store(tmp_path).write(make_record())
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    assert main(["leaderboard", f"store={tmp_path}", "--open"]) == 0
    assert opened == [(tmp_path / "leaderboard.html").as_uri()]
    assert capsys.readouterr().out.strip() == str(tmp_path / "leaderboard.html")


MALFORMED = ["\ud800", {"\ud800": 1}, [["a"], []], [[float("nan")]], 7, None, [[None], [1e300]]]


@browser_only
def test_malformed_samples_do_not_break_the_page(tmp_path, visit):
    store = make_page_store(tmp_path)
    for number, folder in enumerate((tmp_path / "samples").iterdir()):
        value = MALFORMED[number % len(MALFORMED)]
        (sample,) = json.loads((folder / "samples.json").read_text())
        for name in ("truth", "prediction", "targets"):
            sample[name] = value
        sample["input"] |= {"kind": value, "values": value, "text": value, "file": "a" * 300}
        (folder / "samples.json").write_text(json.dumps([sample]))
    page = visit(page_command.write_page(store))
    open_all(page)
    assert page.locator("#datasets > details").count() == 5


def test_a_record_written_while_the_page_is_built_is_not_missed(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.write(make_record())

    def build_page(store, *, refresh=False):
        if not built:
            store.write(make_record(dataset="late"))
        built.append(refresh)
        if len(built) == 2:
            raise KeyboardInterrupt
        return ""

    built = []
    monkeypatch.setattr(page_command, "build_page", build_page)
    monkeypatch.setattr(page_command, "POLL", 0.01)
    assert main(["leaderboard", f"store={tmp_path}", "--watch"]) == 0
    assert built == [True, True, False]
