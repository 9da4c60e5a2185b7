"""What the page claims, in a real Chromium: overall tables, marks, figures, print, phones."""

from __future__ import annotations

import csv
import io
import json
import random

import pytest
from helpers.page_browser import browser_only, launch_chromium, open_all, page_opener
from helpers.page_store import make_page_store
from helpers.record_factory import cost_values, data_values, make_record, quality_values

from quintain.cli import page as page_command
from quintain.records.store import Store
from quintain.report.leaderboard import build_leaderboard

pytestmark = browser_only

ROUGH = {"noise_floor": {"ok": False, "note": "steps vary by 30 %"}}
MODELS = ("cnn", "gru", "lstm", "rnn", "transformer", "mlp", "cnn_lstm", "cnn_transformer", "own")
TASKS = {"digits": "classify", "easy": "classify", "letters": "classify", "load": "forecast"}
BASELINES = {"digits": (0.2, 0.9), "easy": (0.2, 0.3), "letters": (0.2, 0.9), "load": (2.0, 1.5)}
"""Scores of a naive and a linear baseline; no model is as good as the linear one on digits."""


def make_store(folder) -> Store:
    """Nine models with three seeds on four datasets; the times of one model are rough."""
    store, draw = Store(folder), random.Random(7)
    for dataset, task in TASKS.items():
        for number, model in enumerate(MODELS):
            for seed in (1, 2, 3):
                step, noise = (0.001, 0.001) if dataset == "easy" else (0.04, 0.02)
                score = 0.5 + step * number + draw.gauss(0, noise)
                quality = quality_values(task, score)
                quality["curve"] = [
                    {"step": 10 * i, "seconds": 0.1 * i * (1 + number / 3), "train_loss": 1.0,
                     "val": {quality["main"]: score if i == 20 else 0.3 + i / 100}}
                    for i in range(1, 21)
                ]  # fmt: skip
                cost = cost_values() | {"params": 50_000 + 10 * number}
                trust = ROUGH if model == "gru" else {}
                record = make_record(dataset=dataset, task=task, model=model, seed=seed,
                                     quality=quality, cost=cost, trust=trust)  # fmt: skip
                store.write(record)
                if dataset == "digits" and seed == 1:
                    write_sample(store.samples(record.key))
        for name, score in zip(("naive", "linear"), BASELINES[dataset], strict=True):
            store.write(make_record(dataset=dataset, task=task, model=name, score=score, seed=0,
                                    baseline=True))  # fmt: skip
    return store


def write_sample(folder) -> None:
    folder.mkdir(parents=True)
    sample = {"index": 3, "truth": "seven", "prediction": "one",
              "input": {"kind": "text", "text": "a sentence"}}  # fmt: skip
    (folder / "samples.json").write_text(json.dumps([sample]))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def chromium():
    with launch_chromium() as browser:
        yield browser


@pytest.fixture
def visit(chromium):
    with page_opener(chromium) as visit:
        yield visit


def overall_rows(page) -> dict[str, list[str]]:
    lines = page.locator("#aggregates tbody tr").all()
    return {line.locator("th").inner_text(): line.locator("td").all_inner_texts() for line in lines}


def expected_rows(store: Store, datasets) -> dict[str, list[str]]:
    """Return the overall table of the leaderboard of these datasets alone."""
    records = [record for record in store.all() if record.names.dataset in datasets]
    rows = {}
    for model in build_leaderboard(records).overall:
        mark = "~" if model.has_rough_times else ""
        rows[model.model] = [
            f"{model.iqm:.3f} [{model.iqm_low:.3f}, {model.iqm_high:.3f}]",
            f"{model.mean_rank:.2f}",
            f"{mark}{100 * model.profile.share_within(1):.0f} %",
            f"{100 * (1 - model.profile.never):.0f} %",
        ]
    return rows


def test_filters_act_on_the_overall_table(visit, store):
    page = visit(page_command.write_page(store))
    assert overall_rows(page) == expected_rows(store, TASKS)
    page.locator("#filters").get_by_text("forecast", exact=True).click()
    assert overall_rows(page) == expected_rows(store, ("digits", "easy", "letters"))
    assert "over the 3 shown datasets" in page.locator("#aggregates caption").inner_text()
    page.locator("#filters").get_by_text("classify", exact=True).click()
    page.locator("#filters").get_by_text("forecast", exact=True).click()
    assert page.locator("#overall").is_hidden(), "one dataset has nothing to combine"


def test_the_rank_column_is_the_rank_and_no_model_wins_against_a_better_baseline(visit, store):
    page = visit(page_command.write_page(store))
    first = page.locator("#datasets > details").first
    ranks = first.locator("table tbody tr td:first-child").all_inner_texts()
    assert ranks == ["base", "1", "2", "3", "4", "5", "6", "7", "8", "9", "base"]
    assert first.locator("summary .winner").inner_text() == "no model beats linear 0.9000"
    assert first.locator("tr.best").count() == 0
    assert "no model beats linear" in first.locator("ul.note").inner_text()
    assert "no model beats linear on digits" in page.locator("#matrix caption").inner_text()
    heads = page.locator("#matrix thead th").all_inner_texts()
    best = {head.split("\n")[0]: page.locator(f"#matrix tbody td:nth-child({i})").locator(".best")
            for i, head in enumerate(heads, 1)}  # fmt: skip
    assert {name: cells.count() for name, cells in best.items() if name in TASKS} == {
        "digits": 0, "easy": 1, "letters": 0, "load": 1}  # fmt: skip


def test_rough_times_carry_their_mark_into_tables_and_figures(visit, store, tmp_path):
    page = visit(page_command.write_page(store))
    first = page.locator("#datasets > details").first
    row = first.locator("tbody tr", has=page.get_by_role("rowheader", name="gru"))
    assert "~12.5" in row.all_inner_texts()[0]
    assert "~50.0" in page.locator("#matrix tbody tr", has_text="gru").inner_text()
    part = first.locator("figure", has_text="Quality against cost")
    part.locator("svg .mark").first.wait_for()
    assert part.locator(".plot svg .mark.hollow").count() == 1
    assert "~gru" in part.locator(".legend").inner_text()
    with page.expect_download() as waiting:
        part.get_by_role("button", name="as CSV").click()
    waiting.value.save_as(tmp_path / "pareto.csv")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "pareto.csv").read_text())))
    assert {line["model"] for line in lines if line["rough_times"] == "true"} == {"~gru"}
    curves = first.locator("figure", has_text="Validation while training")
    assert "~gru" not in curves.locator(".legend").inner_text(), "steps are exact"
    curves.get_by_text("seconds", exact=True).first.click()
    assert "~gru" in curves.locator(".legend").inner_text()
    page.locator("#aggregates .legend").wait_for()
    assert "~gru" in page.locator("#aggregates .legend").inner_text()
    assert "~" in overall_rows(page)["gru"][2]


def test_equal_parameters_are_no_cost_to_compare(visit, store, tmp_path):
    """They differ by 80 of 50,000 here, and by a factor of 30 there."""
    page = visit(page_command.write_page(store))
    options = page.locator("figure", has_text="Quality against cost").first.locator(".choice label")
    assert options.all_inner_texts() == ["training s", "latency ms"]
    page = visit(page_command.write_page(make_page_store(tmp_path)))
    options = page.locator("figure", has_text="Quality against cost").first.locator(".choice label")
    assert options.all_inner_texts()[0] == "parameters"


def test_lines_of_nine_models_are_all_different(visit, store):
    page = visit(page_command.write_page(store))
    for figure in (page.locator("#aggregates figure"), page.locator("#datasets figure").first):
        figure.locator("polyline").first.wait_for(state="attached")
        lines = figure.locator("polyline").all()
        looks = [(line.get_attribute("class"), line.get_attribute("stroke-dasharray"))
                 for line in lines]  # fmt: skip
        assert len(looks) == len(set(looks)) == len(MODELS)


def test_no_coordinate_is_nan_or_infinite(visit, tmp_path):
    """Scores and times near the largest number, differences below the precision, constant ones."""
    store = Store(tmp_path)
    scores = {"a": (1e308, 1.7e308), "b": (-1.7e308, 1e308), "c": (1000.0, 1000.0000000000001),
              "d": (0.0, 5e-324), "e": (0.5, None)}  # fmt: skip
    for dataset, models in {"wild": "abcde", "flat": "cc", "tiny": "d", "huge": "a"}.items():
        for model in models:
            for seed, score in enumerate(scores[model], 1):
                cost = cost_values() | {"samples_per_second": 1e308, "energy_kwh": 1e305}
                quality = quality_values("forecast", score)
                quality["curve"][1]["seconds"] = 1e300 if model == "a" else 1.0
                store.write(make_record(dataset=dataset, task="forecast", model=model, seed=seed,
                                        quality=quality, cost=cost,
                                        data=data_values("forecast")))  # fmt: skip
        store.write(make_record(dataset=dataset, task="forecast", model="naive", score=1e308,
                                baseline=True))  # fmt: skip
    page = visit(page_command.write_page(store))
    open_all(page)
    page.locator("#datasets > details:last-child figure svg").first.wait_for()
    for choice in page.locator(".choice label").all():
        choice.click()
    bad = page.evaluate("""() => [...document.querySelectorAll('svg, svg *')].flatMap((node) =>
        [...node.attributes].filter(({ name }) => !/aria|class/.test(name))
          .filter(({ value }) => /NaN|Infinity|undefined/.test(value))
          .map(({ name, value }) => `${node.tagName} ${name}=${value.slice(0, 80)}`))""")
    assert bad == []
    assert page.locator("figure svg").count() > 6
    texts = page.locator("body").inner_text()
    assert max(map(len, texts.split())) < 80, "no number of three hundred digits"


def test_no_word_is_broken_on_a_phone(visit, store):
    page = visit(page_command.write_page(store), width=360, height=740)
    open_all(page)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    broken = page.evaluate("""() => {
      const broken = [], main = document.querySelector('main');
      const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const node = walker.currentNode, range = document.createRange();
        for (const match of node.textContent.matchAll(/[\\w]{2,20}/g)) {
          range.setStart(node, match.index); range.setEnd(node, match.index + match[0].length);
          const boxes = [...range.getClientRects()].filter((box) => box.width);
          const tops = new Set(boxes.map((box) => Math.round(box.top)));
          if (tops.size > 1) broken.push(match[0]);
        }
      }
      return broken; }""")
    assert broken == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_print_shows_everything(visit, store):
    page = visit(page_command.write_page(store))
    assert page.locator("#datasets > details[open]").count() == 1
    counts = """() => ({closed: document.querySelectorAll('details:not([open])').length,
        figures: document.querySelectorAll('#datasets figure svg').length,
        hidden: [...document.querySelectorAll('.scroll')]
          .filter((node) => node.scrollWidth > node.clientWidth + 1)
          .filter((node) => getComputedStyle(node).overflowX !== 'visible').length})"""
    page.evaluate(f"addEventListener('beforeprint', () => {{ window.printed = ({counts})(); }})")
    page.pdf()
    assert page.evaluate("window.printed.closed") == 0
    assert page.evaluate("window.printed.figures") >= 3 * 3
    assert page.locator("#datasets > details[open]").count() == 1, "as before"
    page.emulate_media(media="print")
    assert page.evaluate(counts)["hidden"] == 0


def test_seeds_that_collapsed_are_flagged_and_notes_about_the_data_are_shown(visit, tmp_path):
    store = Store(tmp_path)
    data = data_values() | {"notes": ["test has 12 samples: scores move in steps of 0.08"]}
    for seed, score in ((1, 0.91), (2, 0.12), (3, 0.93)):
        store.write(make_record(seed=seed, score=score, data=data))
    store.write(make_record(model="majority", score=0.1, baseline=True, data=data))
    page = visit(page_command.write_page(store))
    section = page.locator("#datasets > details").first
    assert "two groups" in section.locator(".doubt").get_attribute("title")
    notes = section.locator("ul.note").inner_text()
    assert "0.1200 (seed 2) and 0.9100 to 0.9300 (seeds 1, 3)" in notes
    assert "data: test has 12 samples" in notes
    text = page_command.write_page(store).read_text()
    shown = json.loads(text.split('id="data">')[1].split("</script>")[0])
    assert shown["tables"][0]["rows"][0]["collapsed_seeds"] == [2]
