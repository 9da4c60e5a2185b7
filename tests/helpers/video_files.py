"""Write small video files, encoded by PyAV."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def write_video(path: Path, frames: np.ndarray, codec: str = "mpeg4", rate: int = 25) -> None:
    """Write frames, bytes (T, H, W, 3), or (T, H, W) in grey, to a file."""
    frames = frames if frames.ndim == 4 else frames[..., None].repeat(3, -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))


def moving_bar(columns: list[int], height: int = 32, width: int = 48) -> np.ndarray:
    """Return frames (T, H, W) of a bright bar, 8 pixels wide, at each of these columns in turn."""
    frames = np.full((len(columns), height, width), 30, np.uint8)
    for frame, column in zip(frames, columns, strict=True):
        frame[:, column : column + 8] = 220
    return frames
