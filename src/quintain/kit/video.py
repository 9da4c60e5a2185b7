"""Films from files, decoded by PyAV, which brings its own FFmpeg.

Legend: T frames, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch
from av.video.frame import VideoFrame
from torch import Tensor

from quintain.kit.download import DataError

# Containers of films only: a playlist under a film's name could name other files or addresses.
_SAFE = {"format_whitelist": "mov,avi,matroska,mpegts,mpeg,ogg,flv", "protocol_whitelist": "file"}


def brightness(path: Path) -> Tensor:
    """All frames of a film as they are coded, without colour: (T, H, W).

    These are the luma values, of which 16 is black and 235 white in most films. No conversion
    takes place, so every machine has the same bytes.

    Raises:
        DataError: the file cannot be decoded, or codes no luma in bytes.
    """
    return torch.from_numpy(np.stack([_luma(path, frame) for frame in _decoded(path)]))


def middles(count: int, parts: int) -> list[int]:
    """Which of `count` frames lies in the middle of each of so many equal parts.

    >>> middles(10, 5), middles(2, 4)
    ([1, 3, 5, 7, 9], [0, 0, 1, 1])
    """
    return [(2 * part + 1) * count // (2 * parts) for part in range(parts)]


def _decoded(path: Path) -> Sequence[VideoFrame]:
    try:
        found = list(_frames(path))
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise DataError(
            f"{path} cannot be decoded ({type(error).__name__}: {error}): is it a complete film?"
        ) from error
    if not found:
        raise DataError(f"{path} has no frames")
    return found


def _frames(path: Path) -> Iterator[VideoFrame]:
    with av.open(str(path), options=_SAFE) as film:
        stream = film.streams.video[0]
        stream.codec_context.thread_count = 1  # others would wait for the cores of the runs
        yield from film.decode(stream)


def _luma(path: Path, frame: VideoFrame) -> npt.NDArray[np.uint8]:
    kind = frame.format
    planar = kind.is_planar or len(kind.components) == 1
    if not planar or not kind.components[0].is_luma or kind.components[0].bits != 8:
        raise DataError(f"{path} codes pixels as {kind.name}; a plane of luma in bytes is needed")
    plane = frame.planes[0]
    flat: npt.NDArray[np.uint8] = np.frombuffer(bytes(plane), np.uint8)
    return flat.reshape(plane.height, plane.line_size)[:, : plane.width]
