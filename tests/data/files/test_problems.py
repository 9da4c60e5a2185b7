"""Problems are collected and raised together."""

from __future__ import annotations

from pathlib import Path

import pytest

from quintain.data.files.problems import Problems, abbreviate, describe_read_error
from quintain.errors import DataError


def test_problems_are_raised_together_and_long_lists_are_cut() -> None:
    problems = Problems()
    assert problems.catch(int.__add__, 1, 2) == 3
    for k in range(47):
        problems.add(f"problem {k}", f"problem {k}")
    with pytest.raises(DataError) as error:
        problems.raise_if_any()
    lines = str(error.value).splitlines()
    assert lines[9:] == ["problem 9", "… and 37 more"]
    assert abbreviate(range(3), shown=2) == ["0", "1", "2"]  # "1 more" would not be shorter


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("cannot identify image file '/d/a.png'"), "cannot identify image file"),
        (
            RuntimeError("Error opening '/d/a.png': Format not recognised."),
            "Format not recognised.",
        ),
        (
            FileNotFoundError(2, "No such file or directory", "/d/a.png"),
            "No such file or directory",
        ),
        (RuntimeError("/d/a.png"), "RuntimeError"),
        (KeyError("fps"), "KeyError: 'fps'"),
        (TypeError(), "TypeError"),
        (ValueError("first\nsecond"), "first"),
    ],
)
def test_a_decoders_error_is_described_without_the_file_name(error: Exception, text: str) -> None:
    assert describe_read_error(error, Path("/d/a.png")) == text
