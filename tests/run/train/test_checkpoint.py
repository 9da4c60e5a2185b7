"""The file of a checkpoint: written whole or not at all, and loaded only where it fits."""

from __future__ import annotations

import pytest
import torch

from quintain.errors import Interrupted
from quintain.run.clocks import PhaseClocks
from quintain.run.distributed.context import SINGLE_PROCESS
from quintain.run.distributed.distributed_checkpoint import DistributedCheckpointer
from quintain.run.train import checkpoint
from quintain.run.train.callbacks import CheckpointCallback
from quintain.run.train.checkpoint import Checkpointer, FileCheckpointer

KEY = "ab" * 16


def save(folder, step: int = 7, **local) -> FileCheckpointer:
    checkpointer = FileCheckpointer(folder, KEY)
    checkpointer.save(step, {"weights": torch.arange(3.0), "steps": step}, local)
    return checkpointer


def test_a_saved_state_is_loaded(tmp_path):
    save(tmp_path, waited=1.5)
    checkpointer = FileCheckpointer(tmp_path, KEY)
    state = checkpointer.load()
    assert state["waited"] == 1.5 and state["steps"] == 7
    assert torch.equal(state["weights"], torch.arange(3.0)) and checkpointer.notes == []


def test_only_the_newest_file_is_kept_and_remove_deletes_the_folder(tmp_path):
    folder = tmp_path / "c"
    for step in (7, 9):
        checkpointer = save(folder, step)
    assert [file.name[:2] for file in folder.iterdir()] == ["9-"]
    checkpointer.remove()
    assert not folder.exists() and checkpointer.load() is None
    checkpointer.remove()


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b"x" + b[1:], lambda b: b""])
def test_a_damaged_file_is_refused_and_an_older_one_is_loaded(tmp_path, damage):
    save(tmp_path, 7)
    (older,) = tmp_path.iterdir()
    content = older.read_bytes()
    save(tmp_path, 9)
    (newer,) = tmp_path.iterdir()
    newer.write_bytes(damage(newer.read_bytes()))
    older.write_bytes(content)
    checkpointer = FileCheckpointer(tmp_path, KEY)
    assert checkpointer.load()["steps"] == 7
    assert checkpointer.notes == ["a checkpoint was not used: its file is damaged"]


def test_loading_a_file_runs_no_code(tmp_path):
    class Malicious:
        def __reduce__(self):
            return (print, ("harm",))

    FileCheckpointer(tmp_path, KEY).save(1, {"steps": 1}, {"harm": Malicious()})
    assert FileCheckpointer(tmp_path, KEY).load() is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.setattr(torch, "__version__", "9.9"), "its torch is"),
        (lambda m: m.setattr(checkpoint, "RESULTS_VERSION", 99), "its results version is"),
        (lambda m: m.setattr(checkpoint, "FORMAT", 99), "its format is 4, expected 99"),
    ],
)
def test_a_checkpoint_of_another_version_is_refused(tmp_path, monkeypatch, change, reason):
    save(tmp_path)
    change(monkeypatch)
    checkpointer = FileCheckpointer(tmp_path, KEY)
    assert checkpointer.load() is None and reason in checkpointer.notes[0]


def test_a_checkpoint_of_another_cell_is_refused(tmp_path):
    save(tmp_path)
    checkpointer = FileCheckpointer(tmp_path, "cd" * 16)
    assert checkpointer.load() is None and "its key is" in checkpointer.notes[0]


def test_discard_removes_the_files_and_notes_the_reason(tmp_path):
    checkpointer = save(tmp_path / "c")
    checkpointer.discard("it does not fit (KeyError: 'model')")
    assert not (tmp_path / "c").exists()
    assert checkpointer.notes == ["a checkpoint was not used: it does not fit (KeyError: 'model')"]


class TrainingStub:
    """What `CheckpointCallback` reads of a module and a trainer when its state is saved already."""

    steps_done = 0


def test_a_folder_that_cannot_be_written_costs_only_the_checkpoint(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    checkpointer = save(tmp_path / "file" / "c")
    assert "no checkpoint at step 7" in capsys.readouterr().err
    checkpointer._is_preempted = True
    callback = CheckpointCallback(checkpointer, PhaseClocks(), lambda: ({}, {}))
    with pytest.raises(Interrupted):
        callback.on_train_batch_start(None, TrainingStub(), ["a batch"], 0)


def test_a_sharded_model_is_not_saved_but_can_be_preempted(tmp_path):
    """Else each chunk would gather a state that is never written."""
    files = FileCheckpointer(tmp_path, "0" * 32, interval=0.0)
    assert DistributedCheckpointer(SINGLE_PROCESS, files).should_save()
    sharded = DistributedCheckpointer(SINGLE_PROCESS, files, writes=False)
    assert not sharded.should_save()
    files._is_preempted = True
    assert sharded.should_save() and sharded.is_preempted()
    sharded.save(1, {}, {"rng": {}})
    assert not any(tmp_path.iterdir())


def test_the_base_class_saves_and_preempts_nothing():
    checkpointer = Checkpointer()
    checkpointer.save(1, {}, {})
    assert checkpointer.load() is None and list(checkpointer.notes) == []
    assert not checkpointer.should_save() and not checkpointer.is_preempted()
