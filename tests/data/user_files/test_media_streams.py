"""A user's recordings and videos from the command line, read from disk while training."""

from helpers import media_files as media
from helpers.media_runs import run


def test_recordings_are_read_while_training(tmp_path):
    media.write_recordings(tmp_path / "a", 10)
    overrides = ("dataset=audio_folder", "dataset.path=a", "dataset.memory=0", "model=lstm")
    (record,), output = run(tmp_path, *overrides)
    assert record["data"]["sizes"] == {"train": 14, "val": 2, "test": 4}
    assert "sample rate 8,000 Hz (of 20 of 20 recordings)" in output


def test_videos_are_read_while_training(tmp_path):
    media.write_videos(tmp_path / "v", 5)
    overrides = ("dataset=video_folder", "dataset.path=v", "dataset.memory=0", "model=cnn")
    (record,), output = run(tmp_path, *overrides)
    assert record["data"]["modality"] == "video"
    assert "12 frames spread over each clip" in output


def test_transcripts_in_the_layout_of_ljspeech_are_learned(tmp_path):
    lines = []
    for n in range(12):
        media.write_recording(
            tmp_path / "lj" / "wavs" / f"LJ{n}.wav", 300 + 40 * n, n, samples=6000
        )
        lines.append(f"LJ{n}|No. {n % 3}|number {['one', 'two', 'six'][n % 3]}\n")
    (tmp_path / "lj" / "metadata.csv").write_text("".join(lines))
    (record,), output = run(tmp_path, "dataset=audio_transcripts", "dataset.path=lj", "model=rnn")
    assert record["quality"]["main"] == "wer" and "texts from column '3'" in output
