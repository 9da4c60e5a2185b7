"""Tables of kinds that Quintain is not made for are refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import media_files as media

from quintain.errors import DataError
from quintain.plugins.dataset.csv_series import CsvSeries
from quintain.plugins.dataset.image_captions import ImageCaptions
from quintain.plugins.dataset.image_table import ImageTable
from quintain.plugins.dataset.text_csv import TextCsv

OUTSIDE = r"tabular data.* outside Quintain; gradient boosting"


def test_independent_rows_of_numbers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "iris.csv"
    rows = [f"{k},{k % 7 / 2},{k % 5},{'abc'[k % 3]}" for k in range(60)]
    path.write_text("id,length,width,kind\n" + "\n".join(rows) + "\n")
    with pytest.raises(DataError, match=rf"'length' has only numbers, expected texts: .*{OUTSIDE}"):
        TextCsv(str(path), "length", "kind")
    with pytest.raises(ValueError, match=rf"label needs group.*{OUTSIDE}"):
        CsvSeries(str(path), label="kind")
    with pytest.raises(DataError, match=r"each of the 60 series has one step.*outside Quintain"):
        CsvSeries(str(path), label="kind", group="id")


def test_a_picture_with_a_question_is_named(tmp_path: Path) -> None:
    lines = ["image,question,answer"]
    for k in range(20):
        media.write_image(tmp_path / f"{k}.png", (5 * k, 40, 90), k, (8, 6))
        lines.append(f"{k}.png,what is it {k % 3}?,{('cat', 'dog')[k % 2]}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    for read in (
        lambda: ImageTable(str(tmp_path / "t.csv"), label="answer"),
        lambda: ImageCaptions(str(tmp_path / "t.csv"), text="answer"),
    ):
        with pytest.raises(DataError, match=r"'answer' answers column 'question'.*two inputs"):
            read()
    (tmp_path / "t.csv").write_text("\n".join(lines).replace("question", "note") + "\n")
    assert ImageTable(str(tmp_path / "t.csv"), label="answer").spec.classes == ("cat", "dog")
