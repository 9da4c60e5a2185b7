"""Video files → some of their frames as bytes, by PyAV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from PIL import Image
from torch import Tensor

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import Problems
from quintain.kit.media.pictures import as_bytes
from quintain.kit.own.scan import Facts, Kind

# Containers of films only: a playlist under a film's name could name other files or addresses.
_SAFE = {"format_whitelist": "mov,avi,matroska,mpegts,mpeg,ogg,flv", "protocol_whitelist": "file"}
_GREY = ("gray", "gray8", "y8", "monow", "monob", "gray10le", "gray12le", "gray16le")


def probe(path: Path) -> Facts:
    """Read a video file and decode its first frame: width, height, grey, frames, frames a second.

    Frames are counted by their packets, so a file that ends early has fewer.
    """
    with opened(path) as file:
        stream = file.streams.video[0]
        first = next(file.decode(stream), None)
        if first is None:
            raise DataError("has no frame that can be decoded")
        file.seek(0)
        frames = sum(packet.size > 0 for packet in file.demux(stream))
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        return first.width, first.height, float(first.format.name in _GREY), frames, rate


VIDEOS = Kind(
    "videos",
    frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v"}),
    probe,
)


def read_clip(path: Path, wanted: Sequence[int], shape: tuple[int, int, int]) -> Tensor:
    """Frames of a video file → bytes (len(wanted), C, H, W).

    Args:
        path: of the file.
        wanted: numbers of frames from 0, rising; one may stand there several times. Behind the
            last frame that can be decoded, that one is repeated.
        shape: (C, H, W) of a frame; scaled to cover it, the middle cut out.

    Raises:
        DataError: not one frame can be decoded.
    """
    found: list[Tensor] = []
    last: VideoFrame | None = None
    for number, last in enumerate(_frames(path)):
        if number in wanted:
            found += [_bytes(last, shape)] * wanted.count(number)
        if len(found) == len(wanted):
            break
    if last is None:
        raise DataError(f"{path} has no frame that can be decoded: mend or remove it")
    found += [_bytes(last, shape)] * (len(wanted) - len(found))
    return torch.stack(found)


@dataclass(frozen=True)
class Sampling:
    """Which frames of a clip are read.

    Attributes:
        frames: how many at most; without `fps` exactly so many, each from the middle of one of so
            many equal parts of the clip.
        fps: frames a second, from the first one on.
    """

    frames: int
    fps: float | None = None

    def wanted(self, facts: Facts) -> list[int]:
        """Numbers of frames of the clip of which `probe` said this."""
        count, own = int(facts[3]), facts[4]
        if self.fps is None:
            return middles(count, self.frames)
        step = own / self.fps
        most = min(self.frames, int((count - 1) / step) + 1)
        return [min(count - 1, round(part * step)) for part in range(most)]

    def check(self, files: Sequence[Facts], problems: Problems) -> str:
        """A note on what is read of these clips; problems with the settings are noted."""
        if self.frames < 1:
            problems.add(f"frames must be at least 1, came {self.frames}")
        if self.fps is not None and not self.fps > 0:
            problems.add(f"fps must be above 0, came {self.fps}")
        elif self.fps is not None and (unknown := sum(own <= 0 for *_, own in files)):
            problems.add(f"{unknown:,} clips do not say their frames a second: leave fps out")
        counts, rates = [int(n) for *_, n, _ in files], sorted({own for *_, own in files})
        have = (
            f"{min(counts)} to {max(counts)} frames at {rates[0]:.4g} to {rates[-1]:.4g} a second"
        )
        if self.fps is None:
            return f"{self.frames} frames spread over each clip (clips have {have})"
        return f"{self.fps:g} frames a second, at most {self.frames} (clips have {have})"


def middles(count: int, parts: int) -> list[int]:
    """Which of `count` frames lies in the middle of each of so many equal parts.

    >>> middles(10, 5), middles(2, 4)
    ([1, 3, 5, 7, 9], [0, 0, 1, 1])
    """
    return [(2 * part + 1) * count // (2 * parts) for part in range(parts)]


def _frames(path: Path) -> Iterator[VideoFrame]:
    with opened(path) as file:
        yield from file.decode(file.streams.video[0])


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """A file with at least one video stream; every error of FFmpeg's becomes a DataError."""
    try:
        with av.open(str(path), options=_SAFE) as file:
            if not file.streams.video:
                raise DataError("has no pictures")
            # Whoever calls has threads of its own; more would wait for the cores of the runs.
            file.streams.video[0].codec_context.thread_count = 1
            yield file
    except av.FFmpegError as error:
        raise DataError(f"cannot be decoded ({error.strerror})") from error


def _bytes(frame: VideoFrame, shape: tuple[int, int, int]) -> Tensor:
    channels, *size = shape
    pixels = frame.to_ndarray(format="gray" if channels == 1 else "rgb24")
    return as_bytes(Image.fromarray(pixels), (size[0], size[1]))
