"""Films from files, decoded by PyAV, which brings its own FFmpeg.

Legend: T frames, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from av.video.frame import VideoFrame
from torch import Tensor

from quintain.kit.files.download import DataError
from quintain.kit.media.clips import opened


def brightness(path: Path) -> Tensor:
    """All frames of a film as they are coded, without colour: (T, H, W).

    These are the luma values, of which 16 is black and 235 white in most films. No conversion
    takes place, so every machine has the same bytes.

    Raises:
        DataError: the file cannot be decoded, or codes no luma in bytes.
    """
    return torch.from_numpy(np.stack([_luma(path, frame) for frame in _decoded(path)]))


def _decoded(path: Path) -> Sequence[VideoFrame]:
    try:
        with opened(path) as film:
            found = list(film.decode(film.streams.video[0]))
    except (DataError, OSError, ValueError, IndexError) as error:
        raise DataError(f"{path} {error}: is it a complete film?") from error
    if not found:
        raise DataError(f"{path} has no frames")
    return found


def _luma(path: Path, frame: VideoFrame) -> npt.NDArray[np.uint8]:
    kind = frame.format
    planar = kind.is_planar or len(kind.components) == 1
    if not planar or not kind.components[0].is_luma or kind.components[0].bits != 8:
        raise DataError(f"{path} codes pixels as {kind.name}; a plane of luma in bytes is needed")
    plane = frame.planes[0]
    flat: npt.NDArray[np.uint8] = np.frombuffer(bytes(plane), np.uint8)
    return flat.reshape(plane.height, plane.line_size)[:, : plane.width]
