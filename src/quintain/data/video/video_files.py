"""Read video files as uint8 frames, decoded by PyAV, which includes its own FFmpeg.

PyAV is an optional dependency (`pip install quintain[video]`), imported when a file is opened.

Legend: T frames, C channels, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from quintain.data.files.problems import Problems
from quintain.data.image.image_files import fit_to_size
from quintain.data.user_files.scan import FileKind, Metadata
from quintain.errors import DataError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

# Only video containers, because a playlist named like a video could refer to other files or URLs.
_SAFE_OPTIONS = {
    "format_whitelist": "mov,avi,matroska,mpegts,mpeg,ogg,flv",
    "protocol_whitelist": "file",
}
_GREY_FORMATS = ("gray", "gray8", "y8", "monow", "monob", "gray10le", "gray12le", "gray16le")


@contextmanager
def open_video(path: Path) -> Iterator[InputContainer]:
    """Open a file that has at least one video stream.

    Raises:
        DataError: PyAV is not installed, there is no video stream, or decoding fails.
    """
    try:
        import av
    except ImportError as error:
        raise DataError("needs PyAV: pip install quintain[video]") from error
    try:
        with av.open(str(path), options=_SAFE_OPTIONS) as file:
            if not file.streams.video:
                raise DataError("has no video stream")
            # Callers decode files in several threads, so one thread for each file is enough.
            file.streams.video[0].codec_context.thread_count = 1
            yield file
    except av.FFmpegError as error:
        raise DataError(f"cannot be decoded ({error.strerror})") from error


def probe_video(path: Path) -> Metadata:
    """Return width, height, 1 if grey (else 0), number of frames, and frames per second.

    The packets are counted, because a truncated file has fewer frames than its header states.
    """
    with open_video(path) as file:
        stream = file.streams.video[0]
        first = next(file.decode(stream), None)
        if first is None:
            raise DataError("has no frame that can be decoded")
        file.seek(0)
        frames = sum(packet.size > 0 for packet in file.demux(stream))
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        return first.width, first.height, float(first.format.name in _GREY_FORMATS), frames, fps


VIDEO_FILES = FileKind(
    "videos",
    frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v"}),
    probe_video,
)


def read_clip(path: Path, frame_numbers: Sequence[int], shape: tuple[int, int, int]) -> Tensor:
    """Read some frames of a file as uint8 (len(frame_numbers), C, H, W).

    Args:
        path: path of the file.
        frame_numbers: ascending numbers of frames from 0, which may repeat. For numbers beyond the
            last frame that can be decoded, that frame is repeated.
        shape: (C, H, W); frames are scaled to cover it and cropped to the centre.

    Raises:
        DataError: no frame can be decoded.
    """
    frames: list[Tensor] = []
    last: VideoFrame | None = None
    with open_video(path) as file:
        for number, last in enumerate(file.decode(file.streams.video[0])):
            if number in frame_numbers:
                frames += [_to_bytes(last, shape)] * frame_numbers.count(number)
            if len(frames) == len(frame_numbers):
                break
    if last is None:
        raise DataError(f"{path} has no frame that can be decoded: repair or remove it")
    frames += [_to_bytes(last, shape)] * (len(frame_numbers) - len(frames))
    return torch.stack(frames)


def read_luma(path: Path) -> Tensor:
    """Read the luma (brightness) of all frames as uint8 (T, H, W).

    The stored values are not converted, so they are the same on every machine; in most files, black
    is 16 and white is 235.

    Raises:
        DataError: the file cannot be decoded, or its luma does not have 8 bits.
    """
    try:
        with open_video(path) as file:
            frames = list(file.decode(file.streams.video[0]))
    except (DataError, OSError, ValueError, IndexError) as error:
        raise DataError(f"{path} {error}: is it a complete video?") from error
    if not frames:
        raise DataError(f"{path} has no frames")
    return torch.from_numpy(np.stack([_luma(path, frame) for frame in frames]))


@dataclass(frozen=True)
class FrameSampling:
    """Which frames of a clip are read.

    Attributes:
        frames: number of frames; the clip is divided into as many equal parts, and the middle frame
            of each is read. With `fps`, the maximum number.
        fps: frames per second from the start of the clip.
    """

    frames: int
    fps: float | None = None

    def frame_numbers(self, metadata: Metadata) -> list[int]:
        """Return the frames to read of a clip with this metadata (see `probe_video`)."""
        count, clip_fps = int(metadata[3]), metadata[4]
        if self.fps is None:
            return middle_frames(count, self.frames)
        step = clip_fps / self.fps
        limit = min(self.frames, int((count - 1) / step) + 1)
        return [min(count - 1, round(number * step)) for number in range(limit)]

    def check(self, files: Sequence[Metadata], problems: Problems) -> str:
        """Add invalid settings to `problems`; return a note on the frames that are read."""
        if self.frames < 1:
            problems.add(f"frames must be at least 1, got {self.frames}")
        if self.fps is not None and not self.fps > 0:
            problems.add(f"fps must be above 0, got {self.fps}")
        elif self.fps is not None and (unknown := sum(rate <= 0 for *_, rate in files)):
            problems.add(f"{unknown:,} clips do not state their frames per second: do not set fps")
        counts, rates = [int(count) for *_, count, _ in files], sorted({rate for *_, rate in files})
        clips = (
            f"clips have {min(counts)} to {max(counts)} frames at {rates[0]:.4g} to "
            f"{rates[-1]:.4g} per second"
        )
        if self.fps is None:
            return f"{self.frames} frames spread over each clip ({clips})"
        return f"{self.fps:g} frames per second, at most {self.frames} ({clips})"


def middle_frames(count: int, parts: int) -> list[int]:
    """Divide `count` frames into equal parts; return the middle frame of each.

    >>> middle_frames(10, 5), middle_frames(2, 4)
    ([1, 3, 5, 7, 9], [0, 0, 1, 1])
    """
    return [(2 * part + 1) * count // (2 * parts) for part in range(parts)]


def _to_bytes(frame: VideoFrame, shape: tuple[int, int, int]) -> Tensor:
    channels, height, width = shape
    pixels = frame.to_ndarray(format="gray" if channels == 1 else "rgb24")
    return fit_to_size(Image.fromarray(pixels), (height, width))


def _luma(path: Path, frame: VideoFrame) -> npt.NDArray[np.uint8]:
    pixel_format = frame.format
    has_luma_plane = pixel_format.is_planar or len(pixel_format.components) == 1
    luma = pixel_format.components[0]
    if not has_luma_plane or not luma.is_luma or luma.bits != 8:
        raise DataError(
            f"{path} has pixels of format {pixel_format.name}, expected a luma plane of 8 bits"
        )
    plane = frame.planes[0]
    flat: npt.NDArray[np.uint8] = np.frombuffer(bytes(plane), np.uint8)
    return flat.reshape(plane.height, plane.line_size)[:, : plane.width]
