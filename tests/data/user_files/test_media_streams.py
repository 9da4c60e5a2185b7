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
    media.write_recording(tmp_path / "lj" / "wavs" / "short.wav", 300, 99, samples=900)
    lines.append("short|No. 9|number nine hundred\n")
    (tmp_path / "lj" / "metadata.csv").write_text("".join(lines))
    overrides = ("dataset=audio_transcripts", "dataset.path=lj", "head.too_long=leave_out")
    (record,), output = run(tmp_path, *overrides, "model=rnn")
    assert record["quality"]["main"] == "wer" and "texts from column '3'" in output
    assert any(
        "1 of 13 transcripts need more frames than their samples have; they are scored, but left "
        "out of the loss: short (line 13) in " in note
        for note in record["data"]["notes"]
    )
