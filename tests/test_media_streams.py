"""The user's own sounds and films from the command line, read from disk while training."""

import media_files as media
from test_media_command import run


def test_recordings(tmp_path):
    media.sounds(tmp_path / "a", 10)
    words = ("dataset=audio_folder", "dataset.path=a", "dataset.memory=0", "model=lstm")
    (record,), said = run(tmp_path, *words)
    assert record["data"]["sizes"] == {"train": 14, "val": 2, "test": 4}
    assert "sample rate 8,000 Hz (of 20 of 20 recordings)" in said


def test_films(tmp_path):
    media.videos(tmp_path / "v", 5)
    words = ("dataset=video_folder", "dataset.path=v", "dataset.memory=0", "model=cnn")
    (record,), said = run(tmp_path, *words)
    assert record["data"]["modality"] == "video"
    assert "12 frames spread over each clip" in said


def test_transcripts(tmp_path):
    lines = []
    for n in range(12):
        media.sound(tmp_path / "lj" / "wavs" / f"LJ{n}.wav", 300 + 40 * n, n, samples=6000)
        lines.append(f"LJ{n}|No. {n % 3}|number {['one', 'two', 'six'][n % 3]}\n")
    (tmp_path / "lj" / "metadata.csv").write_text("".join(lines))
    (record,), said = run(tmp_path, "dataset=audio_transcripts", "dataset.path=lj", "model=rnn")
    assert record["quality"]["main"] == "wer" and "texts from column '3'" in said
