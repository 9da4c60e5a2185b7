"""The file of a checkpoint: whole or not at all, and used only where it fits."""

from __future__ import annotations

import pytest
import torch

from quintain.run import checkpoint
from quintain.run.checkpoint import Interrupted, Keeper
from quintain.run.ranks import ALONE
from quintain.run.shared import SharedKeeper

KEY = "ab" * 16


def kept(folder, step: int = 7, **about) -> Keeper:
    keeper = Keeper(folder, KEY, about=lambda: about)
    keeper.save(step, {"weights": torch.arange(3.0), "steps": step})
    return keeper


def test_what_is_saved_is_loaded(tmp_path):
    kept(tmp_path, started="now")
    keeper = Keeper(tmp_path, KEY)
    found = keeper.load()
    assert found["about"] == {"started": "now"} and found["steps"] == 7
    assert torch.equal(found["weights"], torch.arange(3.0)) and keeper.notes == []


def test_only_the_newest_stays_and_nothing_after_the_end(tmp_path):
    folder = tmp_path / "c"
    for step in (7, 9):
        keeper = kept(folder, step)
    assert [file.name[:2] for file in folder.iterdir()] == ["9-"]
    keeper.remove()
    assert not folder.exists() and keeper.load() is None
    keeper.remove()


@pytest.mark.parametrize("spoil", [lambda b: b[:-9], lambda b: b"x" + b[1:], lambda b: b""])
def test_a_damaged_file_is_refused_and_an_older_one_is_used(tmp_path, spoil):
    kept(tmp_path, 7)
    (older,) = tmp_path.iterdir()
    content = older.read_bytes()
    kept(tmp_path, 9)
    (newer,) = tmp_path.iterdir()
    newer.write_bytes(spoil(newer.read_bytes()))
    older.write_bytes(content)
    keeper = Keeper(tmp_path, KEY)
    assert keeper.load()["steps"] == 7
    assert keeper.notes == ["a checkpoint was not used: its file is damaged"]


def test_no_code_is_run_from_a_file(tmp_path):
    class Harm:
        def __reduce__(self):
            return (print, ("harm",))

    keeper = Keeper(tmp_path, KEY, about=lambda: {"harm": Harm()})
    keeper.save(1, {"steps": 1})
    assert Keeper(tmp_path, KEY).load() is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.setattr(torch, "__version__", "9.9"), "its torch is"),
        (lambda m: m.setattr(checkpoint, "RESULTS_VERSION", 99), "its results version is"),
        (lambda m: m.setattr(checkpoint, "FORMAT", 99), "its format is 3, expected 99"),
    ],
)
def test_another_version_is_refused(tmp_path, monkeypatch, change, words):
    kept(tmp_path)
    change(monkeypatch)
    keeper = Keeper(tmp_path, KEY)
    assert keeper.load() is None and words in keeper.notes[0]


def test_another_cell_is_refused(tmp_path):
    kept(tmp_path)
    keeper = Keeper(tmp_path, "cd" * 16)
    assert keeper.load() is None and "its key is" in keeper.notes[0]


def test_a_place_that_cannot_be_written_costs_the_checkpoint_only(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    keeper = kept(tmp_path / "file" / "c")
    assert "no checkpoint at step 7" in capsys.readouterr().err
    keeper.asked = True
    with pytest.raises(Interrupted):
        keeper.save(8, {"steps": 8})


def test_a_state_that_is_not_kept_is_not_asked_for(tmp_path):
    """Of a model that is spread over the ranks: else each chunk would collect it in vain."""
    keeper = Keeper(tmp_path, "0" * 32, every=0.0)
    assert SharedKeeper(ALONE, keeper).due()
    spread = SharedKeeper(ALONE, keeper, keeps=False)
    assert not spread.due()
    keeper.asked = True
    assert spread.due()
    with pytest.raises(Interrupted):
        spread.save(1, {"draws": {}})
    assert not any(tmp_path.iterdir())
