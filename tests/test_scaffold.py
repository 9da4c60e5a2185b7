"""`quintain new`: files that work from the first minute."""

import io

import pytest
from rich.console import Console
from words import QUIET, quintain

from quintain.compose.errors import UsageError
from quintain.compose.listing import list_options
from quintain.compose.scaffold import write_plugin

KINDS = {"dataset": "my_series", "model": "my_model", "hardware": "two_threads"}


def new(kind, name, into):
    return write_plugin(kind, name, into, Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with one plugin of each kind, written by the command."""
    folder = tmp_path_factory.mktemp("new")
    said = {kind: quintain("new", kind, name, cwd=folder) for kind, name in KINDS.items()}
    return folder, said


def test_two_files_and_what_to_do_next(written):
    folder, said = written
    for kind, name in KINDS.items():
        code, out, err = said[kind]
        assert code == 0, err
        assert (folder / "quintain_plugins" / "plugins" / kind / f"{name}.py").exists()
        assert (folder / "quintain_plugins" / "conf" / kind / f"{name}.yaml").exists()
        assert "plugins_dir=quintain_plugins" in out


def test_what_is_new_runs(written):
    folder, _ = written
    words = [f"{kind}={name}" for kind, name in KINDS.items()]
    code, out, err = quintain("run", *words, "plugins_dir=quintain_plugins", *QUIET, cwd=folder)
    assert code == 0, out + err
    assert "my_series/my_model/two_threads/s1" in out


def test_what_is_new_passes_check(written):
    folder, _ = written
    words = ("model=my_model", "dataset=my_series", "plugins_dir=quintain_plugins")
    code, out, err = quintain("check", *words, cwd=folder)
    assert code == 0, out + err


@pytest.fixture
def clean(tmp_path, monkeypatch):
    """`new` makes its folder known through the environment, which the test puts back."""
    monkeypatch.setenv("QUINTAIN_PLUGINS", "")
    return tmp_path


@pytest.mark.parametrize(
    "name", ["My", "a-b", "1st", "class", "", "_x", "a.b", "../x", "null", "on", "nan"]
)
def test_bad_names(clean, name):
    with pytest.raises(UsageError, match="is no plugin name"):
        new("model", name, clean)
    assert list(clean.iterdir()) == []


def test_a_name_that_is_taken(clean):
    with pytest.raises(UsageError, match="model=lstm exists already"):
        new("model", "lstm", clean)


def test_nothing_is_overwritten(clean):
    file, _ = new("model", "mine", clean)
    file.write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        new("model", "mine", clean)
    assert file.read_text() == "precious"


def test_a_folder_that_cannot_be_written(clean):
    (clean / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        new("model", "mine", clean / "file" / "foo")


def test_it_is_known_at_once(clean):
    new("model", "mine", clean)
    assert "mine" in {row["option"] for row in list_options(["model"])}
