"""Films: what was filmed comes back, and what is no film is refused."""

import numpy as np
import pytest
import torch
from films import bar, write_film

from quintain.kit.files.download import DataError
from quintain.kit.media.clips import middles
from quintain.kit.media.video import brightness


@pytest.mark.parametrize("codec", ["mpeg4", "h264"])
def test_brightness_is_what_was_filmed(tmp_path, codec):
    shown = bar([0, 8, 16, 24, 32])
    write_film(tmp_path / "a.mp4", shown, codec)
    seen = brightness(tmp_path / "a.mp4")
    assert seen.dtype == torch.uint8 and seen.shape == (5, 32, 48)
    assert seen.float().mean((1,)).argmax(1).tolist() == pytest.approx([4, 12, 20, 28, 36], abs=4)
    expected = 16 + shown * (219 / 255)  # ITU-R BT.601: black is 16, white 235
    assert np.abs(seen.numpy() - expected).mean() < 4


def test_middles_of_parts():
    assert middles(10, 5) == [1, 3, 5, 7, 9]
    assert middles(3, 6) == [0, 0, 1, 1, 2, 2]
    assert middles(100, 1) == [50]


@pytest.mark.parametrize(
    "content",
    [b"", b"no film", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:other.ts\n"],
    ids=["empty", "text", "a playlist that names another file"],
)
def test_what_is_no_film_is_refused(tmp_path, content):
    write_film(tmp_path / "other.ts", bar([0, 8]), "mpeg2video")
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mp4 cannot be decoded"):
        brightness(tmp_path / "a.mp4")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be decoded"):
        brightness(tmp_path / "absent.mp4")


def test_luma_has_to_be_bytes(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mkv"), "w") as film:
        stream = film.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p10le"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        film.mux(stream.encode(frame.reformat(format="yuv420p10le")))
        film.mux(stream.encode(None))
    with pytest.raises(DataError, match="yuv420p10le; a plane of luma in bytes"):
        brightness(tmp_path / "a.mkv")
