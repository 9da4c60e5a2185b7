"""Settings that differ from their defaults, from overrides to the leaderboard."""

import json
import re

import pytest
from helpers.commands import SHORT_RUN, compose_cell, compose_overrides, run_quintain, write_file

from quintain.plan.cell import Cell
from quintain.plan.cell_file import load_cell


@pytest.mark.parametrize(
    ("overrides", "expected"),
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
def test_non_default_settings(overrides, expected):
    (composition,) = compose_overrides(*overrides)
    assert composition.non_defaults == expected


def test_settings_of_a_suite_are_non_defaults_but_swept_ones_are_not():
    compositions = compose_overrides(
        "suite=reproduction/grid_lips", "seed=1", "dataset.word=letter,digit"
    )
    assert [composition.non_defaults.get("dataset.word") for composition in compositions] == [
        "letter",
        None,
    ]
    assert compositions[0].non_defaults["optimizer.lr"] == 0.004
    assert all(
        composition.non_defaults == {}
        for composition in compose_overrides("suite=quick", "model=mlp")
    )


def test_a_suite_that_sets_the_default_of_another_dataset(tmp_path, monkeypatch):
    """`ett` sets stem.channels=apart; the stem's own default is then reported."""
    values, ett = compose_cell("dataset=sunspots").config, compose_cell("dataset=ett").config
    default = values["stem"]["channels"]
    assert ett["stem"]["channels"] != default
    (tmp_path / "conf" / "suite").mkdir(parents=True)
    (tmp_path / "conf" / "suite" / "pins.yaml").write_text(
        f"# @package _global_\nstem:\n  channels: {default}\n"
    )
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    (composition,) = compose_overrides("suite=pins", "dataset=ett", "model=mlp")
    assert composition.non_defaults["stem.channels"] == default


def test_settings_of_a_group_of_the_user_are_non_defaults(tmp_path, monkeypatch):
    text = "# @package _global_\nmodel: {width: 3}\noptimizer: {lr: 0.5}\nbudget: {steps: 7}\n"
    write_file(tmp_path / "conf" / "experiment" / "fast.yaml", text)
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    (composition,) = compose_overrides("dataset=digits", "model=cnn", "+experiment=fast")
    expected = {"model.width": 3, "optimizer.lr": 0.5, "budget.steps": 7}
    assert composition.non_defaults == expected


def test_a_file_appears_by_its_name(tmp_path):
    table = write_file(tmp_path / "mine" / "sales.csv", "day,sold\n")
    cell = compose_cell("dataset=csv_series", f"dataset.path={table}", "dataset.target=sold")
    assert cell.non_defaults == {"dataset.path": "sales.csv", "dataset.target": "sold"}


def test_non_defaults_are_optional_and_not_part_of_the_key():
    cell = compose_cell("dataset=digits", "optimizer.lr=0.01", "hardware=cpu")
    values = json.loads(cell.to_json())
    del values["non_defaults"]
    loaded = load_cell(values)
    assert (loaded.key, loaded.non_defaults) == (cell.key, {})
    assert Cell.from_json(cell.to_json()).non_defaults == {"optimizer.lr": 0.01}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store of real runs: one table read for two tasks, another of the same name, an image."""
    folder = tmp_path_factory.mktemp("changed")
    rows = [f"{'good' if i % 2 else 'bad'} thing {i},{i % 2},{i % 7}" for i in range(60)]
    write_file(folder / "reviews.csv", "\n".join(["text,stars,price", *rows]))
    write_file(folder / "other" / "reviews.csv", "\n".join(["text,stars,price", *rows[:50]]))
    overrides = ("dataset=text_csv", "dataset.text=text", "model=mlp", "hardware=cpu", *SHORT_RUN)
    classify, regress = ("dataset.label=stars",), ("head=regress", "dataset.target=price")
    for changes in (
        ("dataset.path=reviews.csv", *classify),
        ("dataset.path=reviews.csv", *regress),
        ("dataset.path=other/reviews.csv", *classify, "optimizer.lr=0.01", "stem.dim=32"),
    ):
        code, _, err = run_quintain("sweep", *overrides, *changes, "launch.workers=1", cwd=folder)
        assert code == 0, err
    return folder


def test_the_leaderboard_shows_non_defaults(folder):
    overrides = (
        "launch.workers=1",
        "wandb.mode=disabled",
    )  # of the sweep: they change nothing here
    code, out, _ = run_quintain("leaderboard", "--format", "json", *overrides, cwd=folder)
    board = json.loads(out)
    assert code == 0 and board["notes"] == []
    rows = [row for row in board["rows"] if row["model"] == "mlp"]
    assert sorted(row["variant"] for row in rows) == ["", "", "optimizer.lr=0.01, stem.dim=32"]
    assert {row["task"] for row in rows} == {"classify", "regress"}
    for row in rows:
        assert "dataset.path=reviews.csv" in row["comparison"]
        assert "budget.steps=2" in row["comparison"]
        assert row["changed"]["dataset.path"] == "reviews.csv"
    assert len({row["comparison"] for row in rows}) == 3  # equal names, different content
    assert str(folder) not in out
    for file in (folder / "results" / "records").rglob("*.json"):
        assert str(folder) not in file.read_text()


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_terminal_width_cuts_a_number(folder, width):
    _, full, _ = run_quintain("leaderboard", cwd=folder, COLUMNS="1000")
    code, out, _ = run_quintain("leaderboard", cwd=folder, COLUMNS=str(width))
    assert code == 0
    assert max(map(len, out.splitlines())) <= width and "…" not in out
    # a sentence may be wrapped between a mean and its interval
    assert re.findall(r"(\S+)\s+± ", out) == re.findall(r"(\S+)\s+± ", full)
