"""Typical mistakes on the command line: a message names them, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.commands import write_file
from helpers.record_factory import make_record, make_valid_record

import quintain
from quintain.cli.main import main
from quintain.records.bundles.exporter import export_bundle
from quintain.records.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for record in (make_valid_record(model="lstm"), make_valid_record(model="mlp")):
        Store(tmp_path / "good").write(record)
    return tmp_path / "good"


def error_output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments]) == 2
    return capsys.readouterr().err


def test_two_stores_in_one_command_are_refused(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["other"], ["store=other"]):
        err = error_output(capsys, "leaderboard", str(store), *arguments)
        assert "expected one store" in err and "other" in err


def test_a_folder_without_records_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for arguments in (["leaderboard"], ["records"], ["export", "--to", str(tmp_path / "x.qb")]):
        assert "is not a store" in error_output(capsys, *arguments, f"store={tmp_path}")
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_an_output_that_is_a_folder_is_refused(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = store.parent / "page"
    page.mkdir()
    before = sorted(store.parent.rglob("*"))
    err = error_output(capsys, "leaderboard", str(store), "--format", "html", "--output", str(page))
    assert "cannot be written" in err
    assert sorted(store.parent.rglob("*")) == before


def test_a_missing_side_of_a_comparison_is_named(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.parent)
    assert "there is no store bad" in error_output(capsys, "compare", "good", "bad")
    (store.parent / "results").mkdir()
    assert "there is no store bad" in error_output(capsys, "compare", "bad", "good")


def test_an_override_or_the_same_name_twice_is_no_comparison(store: Path, capsys) -> None:
    assert "store=x is no side of a comparison" in error_output(
        capsys, "compare", "lstm", "store=x"
    )
    assert "compare takes two different sides, got lstm twice" in error_output(
        capsys, "compare", "lstm", "lstm"
    )


def test_an_output_name_without_a_known_format_is_refused(store: Path, capsys) -> None:
    err = error_output(capsys, "leaderboard", str(store), "--output", str(store.parent / "b.xyz"))
    assert "the suffix .xyz is unknown" in err and not (store.parent / "b.xyz").exists()


def test_only_failed_needs_a_sweep(store: Path, capsys) -> None:
    assert "--only failed needs a sweep" in error_output(
        capsys, "sweep", "--only", "failed", f"store={store}"
    )


def test_status_takes_a_bare_word_as_the_store(store: Path, capsys) -> None:
    assert f"{store}" in error_output(capsys, "status", str(store))  # it has no plan


def test_an_empty_file_of_regressed_cells_is_refused(store: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "worse.txt").write_text("")
    sides = ["--baseline", str(store), "--candidate", str(store)]
    assert "names no cell" in error_output(
        capsys, "gate", *sides, "--only", str(tmp_path / "worse.txt")
    )


def test_an_unreadable_yaml_is_named_with_its_line(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(tmp_path))
    file = write_file(tmp_path / "conf" / "model" / "peak.yaml", "_target_: a.B\n  width: 3\n")
    err = error_output(capsys, "sweep", "model=peak", "--dry-run", f"store={tmp_path / 's'}")
    assert f"{file}, line 2: mapping values are not allowed here" in err


def test_a_plugin_in_the_default_folder_needs_plugins_dir(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path / "quintain_plugins" / "conf" / "model" / "mine.yaml", "_target_: a.B\n")
    err = error_output(capsys, "check", "model=mine")
    assert "model=mine: it is in quintain_plugins; add plugins_dir=quintain_plugins" in err
    write_file(tmp_path / "mine" / "conf" / "model" / "other.yaml", "_target_: a.B\n")
    assert "it is in mine; add plugins_dir=mine" in error_output(capsys, "check", "model=other")


def test_all_missing_settings_come_at_once_with_an_example(capsys) -> None:
    err = error_output(capsys, "sweep", "dataset=text_csv", "model=mlp")
    assert "dataset.path has to be given" in err and "dataset.text has to be given" in err
    assert "dataset.text=review dataset.label=stars" in err


def test_a_message_about_a_damaged_record_has_no_web_address(store: Path, capsys, caplog) -> None:
    file = Store(store).files()[0]
    file.write_text('{"schema": 2, "key": 3}')
    assert main(["records", str(store)]) == 0
    assert "is not a valid record (" in caplog.text and "pydantic.dev" not in caplog.text


def test_records_lists_the_settings_of_each_record(store: Path, capsys) -> None:
    Store(store).write(make_valid_record(model="gru", changed={"optimizer.lr": 0.5}))
    assert main(["records", str(store)]) == 0
    assert "optimizer.lr=0.5" in "".join(capsys.readouterr().out.split())


def test_a_margin_of_an_unknown_score_is_refused(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = ["--baseline", str(store), "--candidate", str(store)]
    err = error_output(capsys, "gate", *sides, "--margin", "acuracy=0.1", "--margin", "bleu=1")
    assert "did you mean accuracy?" in err and "--margin bleu" in err


def test_a_margin_may_belong_to_cells_that_are_not_run_again(store: Path) -> None:
    Store(store).write(make_valid_record(dataset="sunspots", task="forecast"))
    only = store.parent / "only.txt"
    only.write_text("quintain sweep dataset=digits model=lstm budget=small hardware=cpu\n")
    sides = ["--baseline", str(store), "--candidate", str(store), "--only", str(only)]
    assert main(["gate", *sides, "--margin", "mae=0.1", "--margin", "accuracy=0.1"]) != 2


def test_an_empty_remote_store_has_an_empty_leaderboard(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", "store=memory://nothing"]) == 0
    assert "no finished results" in capsys.readouterr().out


def test_load_reads_a_bundle_like_a_store(store: Path) -> None:
    file = store.parent / "team.qb"
    export_bundle(Store(store).all(), Store(store), file)
    assert quintain.load(file).equals(quintain.load(store))
    assert make_record().key not in set(quintain.load(str(file))["key"])
