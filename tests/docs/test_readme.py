"""Commands, options, links and examples in README and docs are valid."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT

from quintain.cli.main import HYDRA_FLAGS, build_parser, main
from quintain.cli.option_list import list_options, read_card
from quintain.compose.config import compose_job, hydra_session
from quintain.compose.overrides import expand_overrides

README = (ROOT / "README.md").read_text()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/README.md"]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
NEED_DATA = ("csv_series", "image_folder", "text_csv", "parallel_text", "audio_transcripts")


def read_page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def example_files() -> dict[str, str]:
    """Return the examples of docs/plugins.md whose first comment names a file, by that name."""
    files = {}
    for language, text in FENCE.findall(read_page("plugins.md")):
        name = re.match(r"# (\S+\.(?:py|yaml))\n", text)
        if language in ("python", "yaml") and name:
            files[name[1]] = text
    return files


def documented_commands() -> list[list[str]]:
    """Return the arguments of every `quintain` command in README and in shell examples."""
    lines = [
        line
        for page in (README, read_page("plugins.md"), read_page("sweeps.md"))
        for language, text in FENCE.findall(page)
        if language == "sh"
        for line in text.splitlines()
    ]
    lines += re.findall(r"`(quintain [^`]+)`", README)
    split = [shlex.split(line, comments=True) for line in lines]
    commands = {tuple(words[1:]): None for words in split if words and words[0] == "quintain"}
    return [list(words) for words in commands]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with the files of the example in docs/plugins.md."""
    for name, text in example_files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QUINTAIN_PLUGINS", raising=False)
    monkeypatch.delitem(sys.modules, "quintain_local", raising=False)
    return tmp_path


def test_the_example_is_two_short_files() -> None:
    files = example_files()
    assert {Path(name).suffix for name in files} == {".py", ".yaml"} and len(files) == 2
    code = next(text for name, text in files.items() if name.endswith(".py"))
    body = code[code.index("class ") :].splitlines()
    assert sum(bool(line.strip()) for line in body) <= 10


def test_the_example_passes_the_contract_checks(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QUINTAIN_PLUGINS", "my_plugins")
    assert main(["check", "model=peak"]) == 0, capsys.readouterr().out


def test_the_example_runs(example: Path) -> None:
    overrides = ["model=peak", "dataset=digits", "plugins_dir=my_plugins", "budget.steps=20"]
    overrides += ["wandb.mode=disabled", "hardware=cpu"]
    process = subprocess.run(
        [sys.executable, "-m", "quintain", "run", *overrides], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert len(list(Path("results/records").glob("*/*.json"))) == 1


@pytest.mark.parametrize("command", documented_commands(), ids=" ".join)
def test_documented_commands_parse_and_compose(
    command: list[str], example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUINTAIN_PLUGINS", "my_plugins")
    arguments, unknown = build_parser().parse_known_args(command)
    assert arguments.command == command[0]
    assert all(text in HYDRA_FLAGS for text in unknown if text.startswith("-"))
    if command[0] in ("run", "sweep") and not any(name in " ".join(command) for name in NEED_DATA):
        overrides = [text for text in command[1:] if "=" in text and not text.startswith("-")]
        with hydra_session():
            jobs = expand_overrides(overrides)
            assert compose_job(jobs[0]).config["model"]


def test_every_command_is_documented() -> None:
    parsers = build_parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    documented = set(re.findall(r"^\| `quintain ([a-z]+)`", read_page("commands.md"), re.MULTILINE))
    assert documented == set(parsers)  # type: ignore[arg-type]


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in PAGES:
        used = re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(), re.MULTILINE)
        assert set(used) <= set(targets), page


def test_the_options_page_lists_every_option() -> None:
    listed: dict[str, set[str]] = {}
    for row in list_options([]):
        if row["provider"] == "quintain":
            listed.setdefault(row["group"], set()).add(row["option"])
    page = read_page("options.md").split("## Environment variables")[0]
    lines = re.findall(r"^\| `.*$", page, re.MULTILINE)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    groups = {row[0].split("`")[1]: set(re.findall(r"`([\w/]+)`", row[1])) for row in cells}
    rows = re.findall(r"^\| (?:image|video|speech|text|series) \|.*$", page, re.MULTILINE)
    groups["dataset"] = set(re.findall(r"`(\w+)`", "".join(rows)))
    assert groups == listed


def test_the_data_page_lists_every_dataset_with_its_counts() -> None:
    page = read_page("data.md")
    rows = {r.split("|")[1].strip(" `"): r for r in re.findall(r"^\| `\w+`.*$", page, re.MULTILINE)}
    cards = {path.stem: read_card(path) for path in (ROOT / "conf" / "dataset").glob("*.yaml")}
    assert set(rows) == set(cards)
    for name, card in cards.items():
        for count in (card.get("counts") or {}).values():
            assert f"{count:,}" in rows[name], f"{name}: {count:,} is not on the page"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_exist(page: Path) -> None:
    text = page.read_text()
    links = [
        link for link in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", text) if "://" not in link
    ]
    missing = [link for link in links if not (page.parent / link).exists()]
    paths = re.findall(r"`((?:src|conf|plugins|docs|benchmarks|tests)/[\w./]+)`", text)
    missing += [path for path in paths if not (ROOT / path).exists()]
    missing = [path for path in missing if not re.search(r"/mine\.(py|yaml)$", path)]
    assert not missing, f"{page.name} names files that do not exist"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_headings_exist(page: Path) -> None:
    for link, heading in re.findall(r"\]\(([^)#\s]*)#([\w-]+)\)", page.read_text()):
        if "://" in link:
            continue
        target = (page.parent / link if link else page).read_text()
        headings = re.findall(r"^#+ (.+)$", target, re.MULTILINE)
        slugs = {
            re.sub(r"[^\w -]", "", text).strip().lower().replace(" ", "-") for text in headings
        }
        assert heading in slugs, f"{page.name} links to {link}#{heading}, which is not there"
