"""Films made on the spot: real files, encoded by PyAV."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def write_film(path: Path, frames: np.ndarray, codec: str = "mpeg4", rate: int = 25) -> None:
    """(T, H, W, 3) in bytes → a file; `frames` of (T, H, W) are grey."""
    frames = frames if frames.ndim == 4 else frames[..., None].repeat(3, -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as film:
        stream = film.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for frame in frames:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        film.mux(stream.encode(None))


def bar(places: list[int], height: int = 32, width: int = 48) -> np.ndarray:
    """A bright bar, 8 pixels wide, that stands at each of these columns in turn: (T, H, W)."""
    film = np.full((len(places), height, width), 30, np.uint8)
    for frame, place in zip(film, places, strict=True):
        frame[:, place : place + 8] = 220
    return film
