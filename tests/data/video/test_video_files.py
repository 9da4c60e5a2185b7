"""Video files: luma is read as it was written, and other files are refused."""

import numpy as np
import pytest
import torch
from helpers.video_files import moving_bar, write_video

from quintain.data.video.video_files import read_luma
from quintain.errors import DataError


@pytest.mark.parametrize("codec", ["mpeg4", "h264"])
def test_read_luma_returns_the_written_frames(tmp_path, codec):
    frames = moving_bar([0, 8, 16, 24, 32])
    write_video(tmp_path / "a.mp4", frames, codec)
    luma = read_luma(tmp_path / "a.mp4")
    assert luma.dtype == torch.uint8 and luma.shape == (5, 32, 48)
    assert luma.float().mean((1,)).argmax(1).tolist() == pytest.approx([4, 12, 20, 28, 36], abs=4)
    expected = 16 + frames * (219 / 255)  # ITU-R BT.601: black is 16, white 235
    assert np.abs(luma.numpy() - expected).mean() < 4


@pytest.mark.parametrize(
    "content",
    [b"", b"no video", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:other.ts\n"],
    ids=["empty", "text", "playlist that names another file"],
)
def test_file_that_is_not_a_video_raises(tmp_path, content):
    write_video(tmp_path / "other.ts", moving_bar([0, 8]), "mpeg2video")
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mp4 cannot be decoded"):
        read_luma(tmp_path / "a.mp4")


def test_missing_file_raises(tmp_path):
    with pytest.raises(DataError, match="cannot be decoded"):
        read_luma(tmp_path / "absent.mp4")


def test_luma_of_more_than_8_bits_raises(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mkv"), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p10le"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        file.mux(stream.encode(frame.reformat(format="yuv420p10le")))
        file.mux(stream.encode(None))
    with pytest.raises(DataError, match="yuv420p10le, expected a luma plane of 8 bits"):
        read_luma(tmp_path / "a.mkv")
