"""Slips of users: what is named wrongly is said, and nothing is done by half."""

from __future__ import annotations

from pathlib import Path

import pytest
from records_factory import genuine, make
from words import write

import quintain
from quintain.cli import main
from quintain.records.bundles.export import export
from quintain.records.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for record in (genuine(model="lstm"), genuine(model="mlp")):
        Store(tmp_path / "good").write(record)
    return tmp_path / "good"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words]) == 2
    return capsys.readouterr().err


def test_two_stores_are_not_taken_for_one(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["other"], ["store=other"]):
        err = said(capsys, "leaderboard", str(store), *words)
        assert "one store at a time" in err and "other" in err


def test_a_folder_that_is_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for words in (["leaderboard"], ["records"], ["export", "--to", str(tmp_path / "x.qb")]):
        assert "is no store" in said(capsys, *words, f"store={tmp_path}")
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_an_output_that_is_a_folder(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = store.parent / "page"
    page.mkdir()
    before = sorted(store.parent.rglob("*"))
    err = said(capsys, "leaderboard", str(store), "--format", "html", "--output", str(page))
    assert "cannot be written" in err
    assert sorted(store.parent.rglob("*")) == before


def test_one_side_of_a_comparison_is_not_there(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.parent)
    assert "there is no store bad" in said(capsys, "compare", "good", "bad")
    (store.parent / "results").mkdir()
    assert "there is no store bad" in said(capsys, "compare", "bad", "good")


def test_what_is_no_side_of_a_comparison(store: Path, capsys) -> None:
    assert "store=x is no side of a comparison" in said(capsys, "compare", "lstm", "store=x")
    assert "compare takes two: lstm and lstm are one" in said(capsys, "compare", "lstm", "lstm")


def test_a_name_that_says_no_format(store: Path, capsys) -> None:
    err = said(capsys, "leaderboard", str(store), "--output", str(store.parent / "b.xyz"))
    assert (
        "a name that ends in .xyz says no format" in err and not (store.parent / "b.xyz").exists()
    )


def test_only_failed_of_no_sweep(store: Path, capsys) -> None:
    assert "--only failed of which sweep?" in said(
        capsys, "sweep", "--only", "failed", f"store={store}"
    )


def test_a_bare_word_is_the_store_of_a_status(store: Path, capsys) -> None:
    assert f"{store}" in said(capsys, "status", str(store))  # it has no plan


def test_an_empty_list_of_worse_cells(store: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "worse.txt").write_text("")
    sides = ["--baseline", str(store), "--candidate", str(store)]
    assert "names no cell" in said(capsys, "gate", *sides, "--only", str(tmp_path / "worse.txt"))


def test_a_yaml_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    file = write(tmp_path / "conf" / "model" / "peak.yaml", "_target_: a.B\n  width: 3\n")
    err = said(capsys, "sweep", "model=peak", "--dry-run", f"store={tmp_path / 's'}")
    assert f"{file}, line 2: mapping values are not allowed here" in err


def test_a_plugin_of_the_usual_folder_says_how_it_is_used(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "quintain_plugins" / "conf" / "model" / "mine.yaml", "_target_: a.B\n")
    err = said(capsys, "check", "model=mine")
    assert "model=mine: it stands in quintain_plugins; add plugins_dir=quintain_plugins" in err


def test_a_margin_of_what_is_no_score(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = ["--baseline", str(store), "--candidate", str(store)]
    err = said(capsys, "gate", *sides, "--margin", "acuracy=0.1", "--margin", "bleu=1")
    assert "did you mean accuracy?" in err and "--margin bleu" in err


def test_margins_may_be_of_cells_that_are_not_run_again(store: Path) -> None:
    Store(store).write(genuine(dataset="sunspots", task="forecast"))
    only = store.parent / "only.txt"
    only.write_text("quintain sweep dataset=digits model=lstm budget=small hardware=cpu\n")
    sides = ["--baseline", str(store), "--candidate", str(store), "--only", str(only)]
    assert main(["gate", *sides, "--margin", "mae=0.1", "--margin", "accuracy=0.1"]) != 2


def test_a_remote_store_with_nothing_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", "store=memory://nothing"]) == 0
    assert "no finished results" in capsys.readouterr().out


def test_a_bundle_is_loaded_as_a_store_is(store: Path) -> None:
    file = store.parent / "team.qb"
    export(Store(store).all(), Store(store), file)
    assert quintain.load(file).equals(quintain.load(store))
    assert make().key not in set(quintain.load(str(file))["key"])
