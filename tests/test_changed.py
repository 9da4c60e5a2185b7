"""Which settings are off their defaults, from words to the leaderboard."""

import json
import re

import pytest
from words import QUIET, cell, composed, quintain, write

from quintain.compose.cells import Cell
from quintain.compose.thaw import thaw


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), {}),
        (("seed=3", "launch.workers=1", "data_dir=elsewhere"), {}),
        (("optimizer.lr=0.003", "budget.steps=300", "stem.sequence=rows"), {}),  # the defaults
        (("optimizer.lr=0.01", "budget.steps=7"), {"optimizer.lr": 0.01, "budget.steps": 7}),
        (("stem.sequence=pixels",), {"stem.sequence": "pixels"}),
        (("budget=standard",), {"budget": "standard"}),
        (("hardware=cpu", "hardware.threads=2"), {"hardware.threads": 2}),
        (("dataset=emoji_captions",), {}),  # its own settings of its stem are defaults
        (  # the stem's own default, but not the dataset's; `ett` lets the head follow the stem
            ("dataset=ett", "stem.channels=together"),
            {"stem.channels": "together", "head.channels": "together"},
        ),
    ],
)
def test_what_is_off_its_default(words, told):
    (one,) = composed(*words)
    assert one.changed == told


def test_a_suites_settings_count_and_its_grid_does_not():
    found = composed("suite=golden/grid_lips", "seed=1", "dataset.word=letter,digit")
    assert [one.changed.get("dataset.word") for one in found] == ["letter", None]
    assert found[0].changed["optimizer.lr"] == 0.004
    assert all(one.changed == {} for one in composed("suite=quick", "model=mlp"))


def test_a_suite_that_sets_what_is_the_default_of_another_dataset_counts(tmp_path, monkeypatch):
    """`ett` has stem.channels=apart, the stem itself together: told though plainly it is usual."""
    plain, ett = cell("dataset=sunspots").config, cell("dataset=ett").config
    usual = plain["stem"]["channels"]
    assert ett["stem"]["channels"] != usual
    (tmp_path / "conf" / "suite").mkdir(parents=True)
    (tmp_path / "conf" / "suite" / "pins.yaml").write_text(
        f"# @package _global_\nstem:\n  channels: {usual}\n"
    )
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    (one,) = composed("suite=pins", "dataset=ett", "model=mlp")
    assert one.changed["stem.channels"] == usual


def test_a_file_goes_by_its_name(tmp_path):
    table = write(tmp_path / "mine" / "sales.csv", "day,sold\n")
    made = cell("dataset=csv_series", f"dataset.path={table}", "dataset.target=sold")
    assert made.changed == {"dataset.path": "sales.csv", "dataset.target": "sold"}


def test_it_is_no_part_of_the_key_and_a_cell_without_it_is_read():
    made = cell("dataset=digits", "optimizer.lr=0.01", "hardware=cpu")
    plain = json.loads(made.to_json())
    del plain["changed"]
    older = thaw(plain)
    assert (older.key, older.changed) == (made.key, {})
    assert Cell.from_json(made.to_json()).changed == {"optimizer.lr": 0.01}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store of real runs: one table read for two tasks, another of the same name, an image."""
    folder = tmp_path_factory.mktemp("changed")
    rows = [f"{'good' if i % 2 else 'bad'} thing {i},{i % 2},{i % 7}" for i in range(60)]
    write(folder / "reviews.csv", "\n".join(["text,stars,price", *rows]))
    write(folder / "other" / "reviews.csv", "\n".join(["text,stars,price", *rows[:50]]))
    words = ("dataset=text_csv", "dataset.text=text", "model=mlp", "hardware=cpu", *QUIET)
    classify, regress = ("dataset.label=stars",), ("head=regress", "dataset.target=price")
    for more in (
        ("dataset.path=reviews.csv", *classify),
        ("dataset.path=reviews.csv", *regress),
        ("dataset.path=other/reviews.csv", *classify, "optimizer.lr=0.01", "stem.dim=32"),
    ):
        code, _, err = quintain("sweep", *words, *more, "launch.workers=1", cwd=folder)
        assert code == 0, err
    return folder


def test_the_leaderboard_shows_it_though_nothing_else_differs(folder):
    words = ("launch.workers=1", "wandb.mode=disabled")  # of the sweep: they change nothing here
    code, out, _ = quintain("leaderboard", "--format", "json", *words, cwd=folder)
    board = json.loads(out)
    assert code == 0 and board["notes"] == []
    rows = [row for row in board["rows"] if row["model"] == "mlp"]
    assert sorted(row["variant"] for row in rows) == ["", "", "optimizer.lr=0.01, stem.dim=32"]
    assert {row["task"] for row in rows} == {"classify", "regress"}
    for row in rows:
        assert "dataset.path=reviews.csv" in row["comparison"]
        assert "budget.steps=2" in row["comparison"]
        assert row["changed"]["dataset.path"] == "reviews.csv"
    assert len({row["comparison"] for row in rows}) == 3  # two contents of one name stay apart
    assert str(folder) not in out
    for file in (folder / "results" / "records").rglob("*.json"):
        assert str(folder) not in file.read_text()


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_width_cuts_a_number(folder, width):
    _, full, _ = quintain("leaderboard", cwd=folder, COLUMNS="1000")
    code, out, _ = quintain("leaderboard", cwd=folder, COLUMNS=str(width))
    assert code == 0
    assert max(map(len, out.splitlines())) <= width and "…" not in out
    assert re.findall(r"(\S+) ± ", out) == re.findall(r"(\S+) ± ", full)
