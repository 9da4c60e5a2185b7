"""Words of the command line: what a user types is what a setting gets, or a hint that works."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from helpers.commands import compose_overrides, usage_problems, write_file

from quintain.cli.main import main
from quintain.compose.overrides import explained_words
from quintain.compose.store_setting import find_store
from quintain.compose.words import format_hydra_value, quote_text, shell_override
from quintain.errors import UsageError

TAKEN_AS_TYPED = (
    "2022_01", "1e3", "007", "1.0", "true", "off", "inf", "a=b", "Temp (°C)", "50%", "#items",
    "a@b", "sold $", "{k}", "d:e", "Größe", "it's", 'say "x"', "a\\b", "~x", "+y", "a b", "naïve",
    "价格", "'", "x'y\"z", "-1", ".5", "[ab]+_.*", "temp(C)",
)  # fmt: skip
READ_OTHERWISE = ("x,y", "[m]", "${z}", "null", "false", "glob(*)", "a,b's", "${oc.env:NOPE}")
FILES = (
    "date=2024-01-01/part.csv", "2024_05/d.csv", "a b (copy).csv", "x,y.csv", "50%.csv", "n#1.csv",
    "${HOME}.csv", "it's.csv", "1e5", "null", "täglich.csv", "[1].csv", "glob(*)", "q\"q.csv",
)  # fmt: skip


def read_target(word: str) -> object:
    overrides = ("dataset=csv_series", f"dataset.path={__file__}", word)
    (composition,) = compose_overrides(*overrides)
    return composition.config["dataset"]["target"]


@pytest.mark.parametrize("name", TAKEN_AS_TYPED)
def test_the_name_of_a_column_is_taken_as_typed(name: str) -> None:
    assert read_target(f"dataset.target={name}") == name
    if name != "'":  # in a list, a quoted text may begin
        assert read_target(f"dataset.target=[{name},2]") == [name, "2"]


@pytest.mark.parametrize("name", READ_OTHERWISE)
def test_the_hint_for_a_name_that_means_something_else_works_in_a_shell(name: str) -> None:
    overrides = ["dataset=csv_series", f"dataset.target={name}"]
    with pytest.raises(UsageError) as raised, explained_words(overrides):
        raise UsageError("there is no target as given")
    hint = raised.value.problems[-1].partition("type ")[2]
    typed = subprocess.run(["sh", "-c", f"printf %s {hint}"], capture_output=True, text=True)
    assert shlex.split(hint) == [typed.stdout]
    assert read_target(typed.stdout) == name


@pytest.mark.parametrize("name", FILES)
def test_the_path_of_a_file_is_taken_as_typed(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (name, f"folder/{name}"):
        write_file(tmp_path / path, "day,sold\n2024-01-01,1\n")
        (composition,) = compose_overrides("dataset=csv_series", f"dataset.path={path}")
        assert composition.config["dataset"]["path"] == path


def test_a_pattern_without_a_match_is_explained_too() -> None:
    *_, message = usage_problems("dataset=csv_series", "dataset.path=a", "dataset.target=glob(*)")
    assert message.endswith("for this text type \"dataset.target='glob(*)'\"")


def test_sweeps_and_lists_of_text_settings_keep_their_meaning() -> None:
    jobs = compose_overrides("dataset=csv_series", "dataset.path=a", "dataset.target=1e3,a b,null")
    assert [job.config["dataset"]["target"] for job in jobs] == ["1e3", "a b", None]
    assert quote_text("choice(a,b)", is_path=False) == "choice(a,b)"
    (job,) = compose_overrides("dataset=csv_series", "dataset.path=${store}/a", "dataset.season=7")
    assert (job.config["dataset"]["path"], job.config["dataset"]["season"]) == ("results/a", 7)


@pytest.mark.parametrize("store", ["h/äö", "jürgen", "2022_01", "a b", "it's", "1e3", "n#1", "a=b"])
def test_every_command_reads_a_store_as_typed_and_as_hydra_quotes_it(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    quoted = f"store={format_hydra_value(store)}"
    for word in (f"store={store}", quoted):
        (composition,) = compose_overrides("dataset=digits", word)
        assert composition.config["store"] == store
        assert find_store([word]) == Path(store)
    (tmp_path / store / "records").mkdir(parents=True)
    for words in ([f"store={store}"], [quoted], [store]):
        assert main(["leaderboard", *words]) == 0
        assert "no finished results" in capsys.readouterr().out


@pytest.mark.parametrize(
    "word", ["store=a,b", "launch.workers=1,2", "data_dir=a,b", "max_hours=1,2"]
)
def test_a_setting_of_the_whole_sweep_has_one_value(word: str) -> None:
    (message,) = usage_problems("dataset=digits", word)
    key, _, value = word.partition("=")
    assert message == f"{word}: a sweep has one {key}; if this is one text, type " + shell_override(
        key, value
    )


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("store=${nope}", "store=${nope}: Interpolation key 'nope' not found; if these characters"),
        ("optimizer.lr=${a.b}", "optimizer.lr=${a.b}: Interpolation key 'a.b' not found"),
        ("optimizer.lr=${oc.env:NOPE}", "Environment variable 'NOPE' not found"),
        ("seed=range(a)", "seed=range(a): TypeError while evaluating 'range(a)'"),
        ("größe.x=1", "'größe.x=1' is not an override; expected key=value"),
        ("optimizer.lr=f(x", "if it is one string, type \"optimizer.lr='f(x'\""),
        ("optimizer.lr=a'b", "optimizer.lr: "),
        ("model=größe", "model=größe: there is no such model. Known: cnn"),
    ],
)
def test_a_word_that_cannot_be_read_gives_one_sentence(word: str, expected: str) -> None:
    (message,) = usage_problems("dataset=digits", word)
    assert expected in message
    assert "\n" not in message and "Lexer" not in message


@pytest.mark.parametrize(
    "value", ["a\\b", "\\", "it's\\", "null", "1_0", "", "${x}", "a.b/c-d", "é"]
)
def test_a_string_in_hydras_grammar_is_read_back(value: str) -> None:
    (composition,) = compose_overrides(
        "dataset=digits", f"wandb.project={format_hydra_value(value)}"
    )
    assert composition.config["wandb"]["project"] == value
