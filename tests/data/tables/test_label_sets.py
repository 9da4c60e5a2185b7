"""Several labels in each row of a table: how they are read, noted, and spread over splits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.preprocessing import MultiLabelBinarizer

from quintain.contracts import Split
from quintain.data.tables.label_sets import (
    joined_labels_note,
    label_names,
    label_set_notes,
    rarest_labels,
    read_flags,
    read_label_sets,
    to_indicators,
)
from quintain.data.tables.table import Table, read_table
from quintain.data.user_files.splits import split_by_key
from quintain.errors import DataError


def write_table(folder: Path, text: str, name: str = "t.csv") -> Table:
    (folder / name).write_text(text, encoding="utf-8")
    return read_table(str(folder / name))


@pytest.mark.parametrize(
    ("separator", "cells"),
    [
        ("|", ["a|b", "b", "", " b | a |a"]),
        ("bar", ["a|b", "b", "", " b | a |a"]),
        ("space", ["a b", "b", "", "b  a a"]),
        ("comma", ['"a,b"', "b", "", '"b, a,"']),
        ("comma", ["\"['a', 'b']\"", "['b']", "[]", "\"['b', 'a']\""]),
    ],
)
def test_labels_are_split_at_the_separator(
    separator: str, cells: list[str], tmp_path: Path
) -> None:
    rows = [f"{k},{cell}" for k, cell in enumerate(cells)]
    table = write_table(tmp_path, "n,tags\n" + "\n".join(rows) + "\n")
    assert read_label_sets(table, "tags", separator) == [("a", "b"), ("b",), (), ("b", "a")]


def test_lists_of_json_lines_are_labels(tmp_path: Path) -> None:
    lines = [json.dumps({"tags": tags}) for tags in (["a", "b, c"], None, [])]
    table = write_table(tmp_path, "\n".join(lines) + "\n", "t.jsonl")
    assert read_label_sets(table, "tags", "comma") == [("a", "b, c"), (), ()]
    table = write_table(tmp_path, '{"tags": ["a"]}\n{"tags": 3}\n', "u.jsonl")
    with pytest.raises(DataError, match="expected a list of labels; line 2 has 3"):
        read_label_sets(table, "tags", "comma")


def test_columns_of_flags_are_labels(tmp_path: Path) -> None:
    table = write_table(tmp_path, "x,y,z\n1,0,yes\n0,0.0,no\n1,1,\n")
    assert read_flags(table, ["x", "y", "z"]) == [("x", "z"), (), None]
    table = write_table(tmp_path, "x,y\n1,0\n2,0\n1,maybe\n")
    with pytest.raises(DataError) as error:
        read_flags(table, ["x", "y"])
    assert "'x': a column of a label has 0 and 1 (or true and false); line 3 has '2'" in str(
        error.value
    )
    assert "'y': expected numbers; line 4 has 'maybe'" in str(error.value)


def test_indicators_equal_scikit_learns_binarizer() -> None:
    sets = [("b", "a"), (), ("c",), ("a", "c", "b")]
    names = label_names(sets)
    expected = MultiLabelBinarizer().fit(sets).transform(sets)
    assert names == ("a", "b", "c")
    assert torch.equal(to_indicators(sets, names), torch.as_tensor(expected).float())


def test_every_label_with_enough_samples_is_in_every_split() -> None:
    random = np.random.default_rng(0)
    frequency = {"often": 0.5, "usual": 0.3, "rare": 0.015, "once": 0}
    sets = [tuple(n for n, f in frequency.items() if random.random() < f) for _ in range(400)]
    sets[7] = (*sets[7], "once")
    keys = [str(k) for k in range(400)]
    strata = rarest_labels(sets, keys)
    assert "once" not in strata and strata.count("rare") == sum("rare" in s for s in sets) == 5
    rows = split_by_key(keys, strata)
    for indices in rows.values():
        found = {name for k in indices for name in sets[k]}
        assert {"often", "usual", "rare"} <= found


def test_few_samples_are_not_stratified() -> None:
    assert rarest_labels([("a",), ("b",), ("a", "b"), ()], ["1", "2", "3", "4"]) == [""] * 4


def test_notes_name_labels_that_a_split_lacks() -> None:
    splits: dict[Split, list[tuple[str, ...]]] = {
        "train": [("a", "b"), ("a",), ()], "val": [("a",)], "test": [("b", "c")]
    }  # fmt: skip
    notes = label_set_notes(splits, ("a", "b", "c"))
    assert notes == [
        "3 labels: 'a', 'b', 'c'; 1.2 a sample on average, at most 2",
        "samples without any label: 1 of 5",
        "labels that train lacks, so they cannot be learnt: 'c'",
        "labels that val lacks, so they are not scored: 'b', 'c'",
        "labels that test lacks, so they are not scored: 'a'",
    ]


def test_joined_labels_are_noted() -> None:
    labels = ["comedy", "drama", "comedy|drama", "drama|war", "war", "comedy|war", "a;b"]
    (note,) = joined_labels_note(labels)
    assert "'comedy|drama' look like several labels" in note and "separator=bar" in note
    assert joined_labels_note(["Paris, France", "Rome, Italy", "Bonn"]) == []
