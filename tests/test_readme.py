"""The front door does not rot: what README says is extracted, parsed and run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from quintain import cli
from quintain.compose.config import compose_one, composer
from quintain.compose.expand import expand
from quintain.compose.listing import list_options, read_card

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/README.md"]
PAGES += sorted((ROOT / "docs").rglob("*.md"))


def files_in_fences() -> dict[str, str]:
    """Name → text of every fenced example whose first comment names its file."""
    found = {}
    for language, text in FENCE.findall(README):
        named = re.match(r"# (\S+\.(?:py|yaml))\n", text)
        if language in ("python", "yaml") and named:
            found[named[1]] = text
    return found


def commands() -> list[list[str]]:
    """The words after `quintain` of every line in a shell example."""
    lines = [line for language, text in FENCE.findall(README) if language == "sh"
             for line in text.splitlines()]  # fmt: skip
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in split if words and words[0] == "quintain"]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with the files of README's example."""
    for name, text in files_in_fences().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QUINTAIN_PLUGINS", raising=False)
    monkeypatch.delitem(sys.modules, "quintain_local", raising=False)
    return tmp_path


def test_the_example_is_two_short_files():
    files = files_in_fences()
    assert {Path(name).suffix for name in files} == {".py", ".yaml"} and len(files) == 2
    code = next(text for name, text in files.items() if name.endswith(".py"))
    body = code[code.index("class ") :].splitlines()
    assert sum(bool(line.strip()) for line in body) <= 10


def test_the_example_passes_the_contract_checks(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("QUINTAIN_PLUGINS", "my_plugins")
    assert cli.main(["check", "model=peak"]) == 0, capsys.readouterr().out


def test_the_example_runs(example: Path):
    words = ["run", "model=peak", "dataset=digits", "plugins_dir=my_plugins", "budget.steps=20"]
    more = ["wandb.mode=disabled", "hardware=cpu"]
    ran = subprocess.run(
        [sys.executable, "-m", "quintain", *words, *more], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(list(Path("results/records").glob("*/*.json"))) == 1


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_shell_examples_are_commands(
    words: list[str], example: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("QUINTAIN_PLUGINS", "my_plugins")
    command, *rest = words
    arguments, unknown = cli._parser().parse_known_args(words)
    assert all(word in cli.HYDRA_FLAGS for word in unknown if word.startswith("-"))
    if command in ("run", "sweep"):
        with composer():
            jobs = expand([word for word in rest if "=" in word])
            assert compose_one(jobs[0]).config["model"]
    else:
        assert arguments.command == command


def test_every_command_named_exists():
    known = cli._parser()._subparsers._group_actions[0].choices
    named = set(re.findall(r"`quintain ([a-z]+)", README))
    assert named == set(known), "README names exactly the commands there are"
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in PAGES:
        assert set(re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(), re.MULTILINE)) <= set(
            targets
        )


def test_what_is_inside_is_what_is_listed():
    listed: dict[str, set[str]] = {}
    for row in list_options([]):
        if row["provider"] == "quintain":
            listed.setdefault(row["group"], set()).add(row["option"])
    section = README.split("## What is inside")[1].split("\n## ")[0]
    lines = re.findall(r"^\| `.*$", section, re.MULTILINE)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    groups = {row[0].split("`")[1]: set(re.findall(r"`([\w/]+)`", row[1])) for row in cells}
    data = re.findall(r"^\| (?:image|video|speech|text|series) \|.*$", section, re.MULTILINE)
    groups["dataset"] = set(re.findall(r"`(\w+)`", "".join(data)))
    assert groups == listed


def test_the_data_page_lists_every_dataset_with_its_counts():
    page = (ROOT / "docs" / "data.md").read_text()
    rows = {r.split("|")[1].strip(" `"): r for r in re.findall(r"^\| `\w+`.*$", page, re.MULTILINE)}
    cards = {path.stem: read_card(path) for path in (ROOT / "conf" / "dataset").glob("*.yaml")}
    assert set(rows) == set(cards)
    for name, card in cards.items():
        for count in (card.get("counts") or {}).values():
            assert f"{count:,}" in rows[name], f"{name}: {count:,} is not on the page"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_exist(page: Path):
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    paths = re.findall(r"`((?:src|conf|plugins|docs|benchmarks|tests)/[\w./]+)`", text)
    missing += [path for path in paths if not (ROOT / path).exists()]
    ours = [path for path in missing if not re.search(r"/mine\.(py|yaml)$", path)]
    assert not ours, f"{page.name} speaks of what is not there"
