"""`quintain new`: the files of a new plugin work without changes."""

import io

import pytest
from helpers.commands import SHORT_RUN, run_quintain
from rich.console import Console

from quintain.cli.option_list import list_options
from quintain.cli.scaffold import write_plugin
from quintain.errors import UsageError

KINDS = {"dataset": "my_series", "model": "my_model", "hardware": "two_threads"}


def new(kind, name, into):
    return write_plugin(kind, name, into, Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def new_plugins(tmp_path_factory):
    """A folder with one plugin of each kind, and the results of the commands that wrote them."""
    folder = tmp_path_factory.mktemp("new")
    results = {kind: run_quintain("new", kind, name, cwd=folder) for kind, name in KINDS.items()}
    return folder, results


def test_two_files_are_written_and_next_steps_printed(new_plugins):
    folder, results = new_plugins
    for kind, name in KINDS.items():
        code, out, err = results[kind]
        assert code == 0, err
        assert (folder / "quintain_plugins" / "plugins" / kind / f"{name}.py").exists()
        assert (folder / "quintain_plugins" / "conf" / kind / f"{name}.yaml").exists()
        assert "plugins_dir=quintain_plugins" in out


def test_new_plugins_run(new_plugins):
    folder, _ = new_plugins
    arguments = [f"{kind}={name}" for kind, name in KINDS.items()]
    code, out, err = run_quintain(
        "run", *arguments, "plugins_dir=quintain_plugins", *SHORT_RUN, cwd=folder
    )
    assert code == 0, out + err
    assert "my_series/my_model/two_threads/s1" in out


def test_new_plugins_pass_check(new_plugins):
    folder, _ = new_plugins
    arguments = ("model=my_model", "dataset=my_series", "plugins_dir=quintain_plugins")
    code, out, err = run_quintain("check", *arguments, cwd=folder)
    assert code == 0, out + err


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """An empty folder; `new` changes the environment, which the fixture restores."""
    monkeypatch.setenv("QUINTAIN_PLUGINS", "")
    return tmp_path


@pytest.mark.parametrize(
    "name", ["My", "a-b", "1st", "class", "", "_x", "a.b", "../x", "null", "on", "nan"]
)
def test_unusable_names_are_refused(empty_folder, name):
    with pytest.raises(UsageError, match="is not a plugin name"):
        new("model", name, empty_folder)
    assert list(empty_folder.iterdir()) == []


def test_the_name_of_another_option_is_refused(empty_folder):
    with pytest.raises(UsageError, match="model=lstm exists already"):
        new("model", "lstm", empty_folder)


def test_no_file_is_overwritten(empty_folder):
    file, _ = new("model", "mine", empty_folder)
    file.write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        new("model", "mine", empty_folder)
    assert file.read_text() == "precious"


def test_an_unwritable_folder_is_an_error(empty_folder):
    (empty_folder / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        new("model", "mine", empty_folder / "file" / "foo")


def test_a_new_plugin_is_available_at_once(empty_folder):
    new("model", "mine", empty_folder)
    assert "mine" in {row["option"] for row in list_options(["model"])}
