"""Write audio files of several formats."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt


def write_with_ffmpeg(
    path: Path,
    samples: npt.NDArray[np.float64],
    rate: int,
    codec: str,
    container: str | None = None,
) -> Path:
    """Write mono samples in [-1, 1], a multiple of 1,024."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        convert = av.AudioResampler(stream.codec_context.format.name, "mono", rate)
        for start in range(0, len(samples), 1024):
            block = samples[None, start : start + 1024].astype(np.float32)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.rate, frame.pts = rate, start
            for converted in convert.resample(frame):
                file.mux(stream.encode(converted))
        file.mux(stream.encode(None))
    return path


def remove_mp3_header(content: bytes) -> bytes:
    """Return an MP3 file without the first frame, which states how many follow.

    It is found as the part before the second sync word.
    """
    assert content[:2] in (b"\xff\xf3", b"\xff\xfb") and b"Xing" in content[:60]
    return content[content.index(content[:2], 4) :]
