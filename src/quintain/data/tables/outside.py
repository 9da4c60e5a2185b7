"""Refuse tables of kinds that Quintain is not made for, with a sentence that says so."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from quintain.data.tables.delimited import is_number
from quintain.data.tables.table import Table
from quintain.errors import DataError

TABULAR = (
    "independent rows of numbers (tabular data) are outside Quintain; gradient boosting, as in "
    "scikit-learn, suits them"
)
QUESTIONS = ("question", "questions")
ANSWERS = ("answer", "answers")


def refuse_numbers_as_texts(table: Table, text_column: str) -> None:
    """Raise a DataError if a column of texts has nothing but numbers."""
    values = [value for value in table.column(text_column) if value not in (None, "")]
    if values and all(map(is_number, values)):
        raise DataError(
            f"{table.path}, column {text_column!r} has only numbers, expected texts: {TABULAR}; "
            "rows in time are for dataset=csv_series"
        )


def refuse_single_steps(lengths: Sequence[int]) -> None:
    """Raise a DataError if every series has a single step."""
    if lengths and max(lengths) == 1:
        raise DataError(
            f"each of the {len(lengths):,} series has one step; the rows of one series must have "
            f"the same value in the column of groups. {TABULAR[0].upper()}{TABULAR[1:]}"
        )


def refuse_answers_to_questions(table: Table, used: Collection[str]) -> None:
    """Raise a DataError if answers are to be predicted without the questions beside them."""
    by_lower = {name.lower(): name for name in table.columns}
    question = next((by_lower[name] for name in QUESTIONS if name in by_lower), None)
    answer = next((name for name in used if name.lower() in ANSWERS), None)
    if question and answer and question not in used:
        raise DataError(
            f"{table.path}: column {answer!r} answers column {question!r}; a picture (or another "
            "file) with a question has two inputs, which is outside Quintain. Rename the column "
            f"{question!r} if the answers do not depend on it"
        )
