"""The user's own folders from the command line, without a line of code."""

import json

import media_files as media
from words import quintain

WORDS = (
    *("hardware=cpu", "wandb.mode=disabled", "store=results", "launch.workers=1"),
    *("budget.steps=20", "budget.validations=2", "budget.params=5000"),
)


def run(folder, *words, command=("run",)):
    """The records of a command that goes well, and all that it said."""
    folder.mkdir(exist_ok=True)
    code, out, err = quintain(
        *command, *words, *WORDS, cwd=folder, XDG_CACHE_HOME=str(folder / "c")
    )
    assert code == 0, out + err
    records = [json.loads(p.read_text()) for p in (folder / "results/records").rglob("*.json")]
    assert [record["status"] for record in records] == ["ok"] * len(records), out + err
    return records, out + err


def test_images_from_disk_and_from_memory_give_the_same_numbers(tmp_path):
    media.images(tmp_path / "my images")
    words = ("dataset=image_folder", f"dataset.path={tmp_path / 'my images'}", "model=cnn")
    (one,), said = run(tmp_path / "a", *words, "dataset.memory=0", "budget.group_by_length=4")
    (other,), _ = run(tmp_path / "b", *words, "dataset.memory=1", "budget.group_by_length=4")
    assert "2 classes: blue, red" in said
    *_, way, idle = one["data"]["notes"]
    assert idle == "budget.group_by_length=4 has no effect: all samples have one length"
    assert idle in " ".join(said.split())
    assert way.startswith("decoded, the data take")
    assert other["data"]["notes"][-2].startswith("decoded once into")
    assert one["key"] == other["key"]
    assert one["quality"]["scores"] == other["quality"]["scores"]
    losses = [[point["train_loss"] for point in r["quality"]["curve"]] for r in (one, other)]
    assert losses[0] == losses[1] and all(losses[0])
    assert one["data"]["fingerprint"] == other["data"]["fingerprint"]
    assert one["data"]["sizes"] == {"train": 28, "val": 4, "test": 8}


def test_captions(tmp_path):
    media.images(tmp_path / "set" / "images", 10)
    rows = [f"{p.parent.name}/{p.name}\t{p.parent.name} one\n" for p in tmp_path.rglob("*.*g")]
    (tmp_path / "set" / "captions.tsv").write_text("file\tcaption\n" + "".join(sorted(rows)))
    (record,), said = run(
        tmp_path, "dataset=image_captions", "dataset.path=set/captions.tsv", "model=gru"
    )
    assert record["quality"]["main"] == "bleu" and "3 words from train" in said


def test_everything_wrong_is_told_at_once_before_anything_runs(tmp_path):
    root = media.sounds(tmp_path / "mine", 4)
    (root / "low" / "bad.wav").write_bytes(b"")
    media.sound(root / "single" / "a.wav", 500, 1)
    words = ("dataset=audio_folder", "dataset.path=mine", "dataset.seconds=-1", "model=mlp")
    cache = str(tmp_path / "c")
    code, _, said = quintain("run", *words, *WORDS, cwd=tmp_path, XDG_CACHE_HOME=cache)
    assert code == 2
    for text in (
        "1 of 10 recordings (10 %) cannot be used, more than bad_share=0.01 allows; bad_share=0.1 "
        "would go on without them: low/bad.wav is empty",
        "classes with one sample (equal ones count once) cannot be split: 'single'",
        "seconds must be a positive number, came -1",
    ):
        assert text in " ".join(said.split())
    code, _, said = quintain("run", "dataset=audio_folder", "model=mlp", *WORDS, cwd=tmp_path)
    assert code == 2 and "dataset.path" in said
    assert not (tmp_path / "results" / "records").exists()
