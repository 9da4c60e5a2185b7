"""Records with numbers near the limits of floats and 64 bits, as in a bundle of unknown origin."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from helpers.record_factory import record_values

from quintain.gate.gate_result import compare_records
from quintain.gate.output import format_junit, format_markdown
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.report.compare.view import print_comparison
from quintain.report.formats.render import FORMATS, render_leaderboard
from quintain.report.terminal.console import make_console
from quintain.report.terminal.records_list import print_records

SCORE = ("quality", "scores", "accuracy")
FIELDS: list[tuple[Any, ...]] = [
    (*SCORE, "test"),
    (*SCORE, "val"),
    ("quality", "curve", 0, "val", "accuracy"),
    ("quality", "curve", 1, "seconds"),
    ("cost", "samples_per_second"),
    ("cost", "seconds", "training"),
    ("cost", "latency_ms", "1", "p50"),
    ("cost", "flops_per_sample"),
    ("cost", "mfu"),
    ("cost", "energy_kwh"),
    ("cost", "params"),
    ("cost", "steps"),
    ("cost", "samples"),
    ("data", "sizes", "test"),
]


def make_values() -> list[dict[str, Any]]:
    values = []
    for dataset in ("digits", "letters"):
        for model in ("a", "b"):
            for seed in (1, 2):
                score = 0.5 + 0.1 * seed * (model == "a")
                one = record_values(
                    dataset=dataset, model=model, seed=seed, score=score, changed={}
                )
                one["cost"] |= {"flops_per_sample": 1e6, "mfu": 0.1, "energy_kwh": 1e-5}
                values.append(one)
        values.append(record_values(dataset=dataset, model="naive", seed=0, score=0.1,
                                    baseline=True, changed={}))  # fmt: skip
    return values


def set_field(values: dict[str, Any], path: tuple[Any, ...], number: float) -> None:
    for name in path[:-1]:
        values = values[name]
    if path[-1] in values:  # baselines have no operations and no energy
        values[path[-1]] = number


@pytest.mark.parametrize("path", FIELDS, ids=lambda path: ".".join(map(str, path)))
def test_extreme_numbers_break_neither_board_nor_page_nor_gate(
    path: tuple[Any, ...], tmp_path: Path
) -> None:
    ordinary = [Record.model_validate(values) for values in make_values()]
    is_count = path[-1] in ("params", "steps", "samples") or path[0] == "data"
    for number in (2**63 - 1, 0) if is_count else (1e308, 5e-324):
        values = make_values()
        for one in values[:1] + values[6:8]:  # one seed here, two seeds there
            set_field(one, path, number)
        records = [Record.model_validate(one) for one in values]
        store, out = Store(tmp_path / str(number)), io.StringIO()
        for record in records:
            store.write(record)
        texts = [render_leaderboard(store, format) for format in FORMATS if format != "html"]
        assert "<html" in render_leaderboard(store, "html")
        print_records(store.all(), make_console(out))
        print_comparison(["a", "b"], lambda store=store: store, "table", make_console(out))
        for pair in ((records, ordinary), (ordinary, records)):
            result = compare_records(*pair)
            texts.append(format_markdown(result))
            assert format_junit(result)
        texts.append(out.getvalue())
        words = [word for text in texts for word in text.replace(",", " ").split()]
        assert max(len(word) for word in words if word[0].isdigit()) < 40
