"""Folders of a user's files from the command line."""

import json

from helpers import media_files as media
from helpers.commands import run_quintain
from helpers.media_runs import OVERRIDES, run


def test_images_from_disk_and_from_memory_give_the_same_numbers(tmp_path):
    media.write_images(tmp_path / "my images")
    overrides = ("dataset=image_folder", f"dataset.path={tmp_path / 'my images'}", "model=cnn")
    (from_disk,), output = run(
        tmp_path / "a", *overrides, "dataset.memory=0", "budget.group_by_length=4"
    )
    (from_memory,), _ = run(
        tmp_path / "b", *overrides, "dataset.memory=1", "budget.group_by_length=4"
    )
    assert "2 classes: blue, red" in output
    length_note = "budget.group_by_length=4 has no effect: all samples have one length"
    assert length_note in from_disk["data"]["notes"]
    assert length_note in " ".join(output.split())
    for record, beginning in ((from_disk, "decoded, the data take"), (from_memory, "decoded once")):
        assert any(note.startswith(beginning) for note in record["data"]["notes"])
    assert from_disk["key"] == from_memory["key"]
    assert from_disk["quality"]["scores"] == from_memory["quality"]["scores"]
    losses = [
        [point["train_loss"] for point in r["quality"]["curve"]] for r in (from_disk, from_memory)
    ]
    assert losses[0] == losses[1] and all(losses[0])
    assert from_disk["data"]["fingerprint"] == from_memory["data"]["fingerprint"]
    assert from_disk["data"]["sizes"] == {"train": 28, "val": 4, "test": 8}


def test_captions_of_images_are_learned(tmp_path):
    media.write_images(tmp_path / "set" / "images", 10)
    rows = [f"{p.parent.name}/{p.name}\t{p.parent.name} one\n" for p in tmp_path.rglob("*.*g")]
    (tmp_path / "set" / "captions.tsv").write_text("file\tcaption\n" + "".join(sorted(rows)))
    (record,), output = run(
        tmp_path, "dataset=image_captions", "dataset.path=set/captions.tsv", "model=gru"
    )
    assert record["quality"]["main"] == "bleu" and "words from train" in output


def test_all_problems_are_reported_at_once_before_anything_runs(tmp_path):
    root = media.write_recordings(tmp_path / "mine", 4)
    (root / "low" / "bad.wav").write_bytes(b"")
    media.write_recording(root / "single" / "a.wav", 500, 1)
    overrides = ("dataset=audio_folder", "dataset.path=mine", "dataset.seconds=-1", "model=mlp")
    cache = str(tmp_path / "c")
    code, _, output = run_quintain(
        "run", *overrides, *OVERRIDES, cwd=tmp_path, XDG_CACHE_HOME=cache
    )
    assert code == 2
    for text in (
        "1 of 10 recordings (10 %) cannot be used, more than bad_share=0.01 allows; bad_share=0.1 "
        "would leave them out: low/bad.wav is empty",
        "classes with one sample (equal ones count once) cannot be split: 'single'",
        "seconds must be a positive number, got -1",
    ):
        assert text in " ".join(output.split())
    code, _, output = run_quintain(
        "run", "dataset=audio_folder", "model=mlp", *OVERRIDES, cwd=tmp_path
    )
    assert code == 2 and "dataset.path" in output
    assert not (tmp_path / "results" / "records").exists()


def test_results_beside_the_classes_are_not_data(tmp_path):
    """The second cell reads the same files as the first, although a store lies among them."""
    root = media.write_images(tmp_path / "photos", 8)
    overrides = ("dataset=image_folder", "dataset.path=.", "model=cnn,mlp", "--no-baselines")
    for sentence in ("2 ran, 0 were in the store", "0 ran, 2 were in the store"):
        code, out, err = run_quintain(
            "sweep", *overrides, *OVERRIDES, cwd=root, XDG_CACHE_HOME=str(tmp_path / "c")
        )
        assert code == 0 and sentence in out + err
    records = [json.loads(p.read_text()) for p in (root / "results/records").rglob("*.json")]
    assert len(records) == 2
    for record in records:
        assert "2 classes: blue, red" in record["data"]["notes"]
        assert record["data"]["sizes"] == {"train": 10, "val": 2, "test": 4}
