"""Dialects of delimited text, as programs and people write them."""

from __future__ import annotations

import bz2
import json
import lzma
import zipfile
from pathlib import Path

import pytest

from quintain.data.tables.table import read_table
from quintain.errors import DataError

ROWS = [(f"a {'fine' if k % 2 else 'poor'} film no. {k}", "pos" if k % 2 else "neg")
        for k in range(80)]  # fmt: skip
PLAIN = "".join(f"{text},{label}\n" for text, label in ROWS)
QUOTED = "".join(f'"{text}",{label}\n' for text, label in ROWS)


def read_texts(path: Path, content: str | bytes, **settings: object) -> list[str]:
    """Write a file and return its column of texts."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_table(path, **settings).column("text"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    [
        ("text,label\n" + QUOTED).replace("\n", "\r\n").encode("utf-8-sig"),
        ("text,label\n" + PLAIN).replace("\n", "\r").encode(),
        ("text,label\n" + QUOTED).encode("utf-16"),
        ("text,label\n" + QUOTED).encode("utf-32"),
        "sep=;\n" + ("text,label\n" + PLAIN).replace(",", ";"),
        '"sep=|"\r\n' + ("text,label\n" + PLAIN).replace(",", "|"),
        "# exported 2024-01-01\n# by tool, version 2\ntext,label\n" + QUOTED,
        "Reviews of 2024\n\ntext,label\n" + QUOTED,
        "text,label,\n" + QUOTED.replace("\n", ",\n"),
        bz2.compress(("text,label\n" + QUOTED).encode()),
        lzma.compress(("text,label\n" + QUOTED).encode()),
    ],
)
def test_dialects_and_encodings_lose_no_row(content: str | bytes, tmp_path: Path) -> None:
    assert read_texts(tmp_path / "t.csv", content) == [text for text, _ in ROWS]


def test_lines_before_the_header_are_noted_and_keep_the_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("# by a tool\n\nSales;;\ndate;sold;shop\n2024-01-01;1;a\n2024-01-02;2;a\n")
    table = read_table(path)
    assert list(table.columns) == ["date", "sold", "shop"]
    assert table.row_numbers == [5, 6]
    assert "t.csv: lines before the header left out: the first 3" in table.notes


def test_a_header_that_starts_with_a_number_sign_is_a_header(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("#date,value\n2024-01-01,1\n2024-01-02,2\n")
    assert list(read_table(tmp_path / "t.csv").columns) == ["#date", "value"]


def test_other_encodings_are_a_setting(tmp_path: Path) -> None:
    content = ("text,label\n" + QUOTED.replace("film", "fïlm")).encode("cp1252")
    with pytest.raises(DataError, match=r"line 2: byte 0xef is not UTF-8; .*dataset.encoding=cp12"):
        read_texts(tmp_path / "t.csv", content)
    assert "fïlm" in read_texts(tmp_path / "t.csv", content, encoding="cp1252")[0]
    with pytest.raises(ValueError, match="encoding must be one that Python knows"):
        read_texts(tmp_path / "t.csv", content, encoding="cp12520")


def test_backslashes_before_quotes_are_understood_and_noted(tmp_path: Path) -> None:
    rows = "".join(f'"he said \\"{text}\\", twice",{label}\n' for text, label in ROWS)
    assert read_texts(tmp_path / "t.csv", f"text,label\n{rows}")[1] == (
        'he said "a fine film no. 1", twice'
    )
    assert any("written as" in note for note in read_table(tmp_path / "t.csv").notes)


def test_two_stray_quotes_that_enclose_rows_are_refused_with_their_lines(tmp_path: Path) -> None:
    lines = ["text,label", *PLAIN.splitlines()]
    lines[10] = '"' + lines[10]
    lines[60] = lines[60].replace(",", '",')
    with pytest.raises(DataError, match="from line 11 to line 61; remove the odd quotes"):
        read_texts(tmp_path / "t.csv", "\n".join(lines) + "\n")
    in_quotes = ["text,label", *QUOTED.splitlines()]
    in_quotes[10] = in_quotes[10].replace('",', ",")
    with pytest.raises(DataError, match="line 11: "):
        read_texts(tmp_path / "t.csv", "\n".join(in_quotes) + "\n")


def test_stray_quotes_in_three_columns_are_refused_even_in_two_lines(tmp_path: Path) -> None:
    lines = ["a,b,c", "1,x,2", '1,"x,2', '1,y",2', "1,z,2"]
    with pytest.raises(DataError, match="from line 3 to line 4"):
        read_texts(tmp_path / "t.csv", "\n".join(lines) + "\n")


def test_texts_with_line_breaks_are_read_and_counted(tmp_path: Path) -> None:
    rows = "".join(f'"{text}\nsecond line, with ""quotes""",{label}\n' for text, label in ROWS)
    texts = read_texts(tmp_path / "t.csv", f"text,label\n{rows}")
    assert len(texts) == 80 and texts[0].endswith('second line, with "quotes"')
    notes = read_table(tmp_path / "t.csv").notes
    assert "t.csv: fields with line breaks: 80 rows (line 2, line 4, line 6, 77 more)" in notes


def test_a_poem_among_other_texts_with_line_breaks_is_no_row(tmp_path: Path) -> None:
    prose = "".join(f'"one {k}\ntwo",pos\n' for k in range(5))
    poem = '"Rose, red\nlily, white\nviolet",neg\n'
    texts = read_texts(tmp_path / "t.csv", f"text,label\n{prose}{poem}")
    assert texts[-1] == "Rose, red\nlily, white\nviolet"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\n" + QUOTED.replace(",neg", "", 1), "line 2 has 1"),
        ("text,label\n" + QUOTED.replace("no. 7", "no.\0 7"), "line 9: a NUL character"),
        ("2024-01-01,1.5\n2024-01-02,2.5\n", "set dataset.header=false"),
    ],
)
def test_damage_is_named_by_its_line(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read_texts(tmp_path / "t.csv", content)
    assert message in str(error.value)


def test_zip_files_have_one_table(tmp_path: Path) -> None:
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/t.tsv", "text\tlabel\nx\ty\n")
        archive.writestr("__MACOSX/data/._t.tsv", "\0")
    assert list(read_table(path).column("text")) == ["x"]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match=r"has 2 files \(data/t.tsv, readme.txt\); expected one"):
        read_table(path)
    with zipfile.ZipFile(tmp_path / "book.csv", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(DataError, match="is a spreadsheet; save it as CSV"):
        read_table(tmp_path / "book.csv")


def test_a_json_array_is_a_table_and_an_object_of_columns_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    records = [{"text": text, "label": label} for text, label in ROWS]
    path.write_text(json.dumps(records, indent=1))
    table = read_table(path)
    assert list(table.column("text")) == [text for text, _ in ROWS]
    assert table.position(3) == "row 4"
    path.write_text(json.dumps({"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}}))
    with pytest.raises(
        DataError, match=r"is one object with 'text', 'label'; .*orient=\"records\""
    ):
        read_table(path)


def test_empty_columns_without_a_name_are_left_out_and_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,,\n1,2,,\n3,4,,\n")
    assert list(read_table(path).columns) == ["a", "b"]
    assert "t.csv: 2 columns without a name left out" in read_table(path).notes
    path.write_text("Made,by us,,\na,b,c,d\n1,2,3,4\n")
    with pytest.raises(DataError, match="2 columns have no name in the header: 'Made', 'by us'"):
        read_table(path)


def test_columns_aligned_by_blanks_need_the_setting(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("date       sold\n2024-01-01   1.5\n2024-01-02  12.5\n")
    table = read_table(path, delimiter=" ")
    assert {name: list(values) for name, values in table.columns.items()} == {
        "date": ["2024-01-01", "2024-01-02"],
        "sold": ["1.5", "12.5"],
    }
    assert any("set dataset.delimiter=' '" in note for note in read_table(path).notes)
