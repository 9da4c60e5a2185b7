"""Read video files as uint8 frames.

Legend: T frames, C channels, H × W pixels.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quintain.data.files.problems import (
    Problems,
    abbreviate,
    describe_read_error,
    printable_name,
)
from quintain.data.files.truncation import check_complete
from quintain.data.image.image_files import fit_to_size
from quintain.data.user_files.scan import FileKind, Metadata, count_extensions
from quintain.data.video.frames import (
    DEFAULT_RATE,
    check_duration,
    decode_frames,
    is_grey,
    open_video,
    to_image,
    to_shown_image,
)
from quintain.errors import DataError

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_EXTENSIONS = (
    *(".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v", ".gif", ".ts", ".mts"),
    *(".m2ts", ".vob", ".flv", ".f4v", ".wmv", ".asf", ".3gp", ".3g2", ".ogv", ".mjpeg", ".mjpg"),
    *(".m1v", ".m2v", ".mxf", ".nut", ".ivf", ".dv", ".rm", ".rmvb", ".divx", ".qt", ".apng"),
    *(".h264", ".264", ".hevc", ".h265", ".265", ".obu", ".y4m", ".m2t", ".mj2"),
)
_SIGNATURES = (
    *((0, b"\x1aE\xdf\xa3"), (0, b"FLV\x01"), (0, b"GIF8"), (0, b"\0\0\x01\xba")),
    *((4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (4, b"wide"), (8, b"AVI ")),
)
"""Bytes at a position by which a video is known whose name has another extension, or none."""
_OTHER_BRANDS = (b"M4A ", b"M4B ", b"heic", b"heix", b"mif1", b"msf1", b"avif", b"crx ")
"""Of sound and images in MP4 containers."""
_TOLERANCE = 0.001  # seconds, to which some containers round the times of frames


def probe_video(path: Path) -> Metadata:
    """Decode a video file.

    Returns:
        Width and height as it is shown, 1 if it is grey (else 0), number of frames, seconds from
        the first frame to the start of the last and to its end, and number of frames without a
        usable time.

    Raises:
        DataError: the file is cut off or damaged, or has no frame.
    """
    count, last, step, untimed, first = 0, 0.0, 0.0, 0, None
    try:
        check_complete(path)
        with open_video(path) as (file, stream):
            for frame in decode_frames(file, stream):
                if first is None:
                    first = to_shown_image(frame.picture, stream, 3).size
                    grey = is_grey(frame.picture.format)
                if frame.picture.is_corrupt:
                    raise DataError(f"is damaged at frame {count + 1}")
                untimed += not frame.has_time
                step, last = frame.duration or frame.seconds - last, frame.seconds
                count += 1
            end = last + (step or 1 / float(stream.average_rate or DEFAULT_RATE))
            check_duration(file, stream, count, end)
    except DataError as error:
        if not count:
            raise
        raise DataError(f"{error}, after {count:,} frames") from error
    if first is None:
        raise DataError("has no frame that can be decoded")
    return *map(float, first), float(grey), float(count), last, end, float(untimed)


def count_frames(path: Path) -> tuple[int, float]:
    """Return the number of frames that a file holds and their rate, without decoding them."""
    with open_video(path) as (file, stream):
        frames = sum(packet.size > 0 for packet in file.demux(stream))
        return frames, float(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)


def recognize_video(path: Path) -> bool:
    """Whether a file begins like a video of a common format."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    is_video = any(head[at:].startswith(name) for at, name in _SIGNATURES)
    return is_video and head[8:12] not in _OTHER_BRANDS


VIDEO_FILES = FileKind(
    "videos", frozenset(_EXTENSIONS), probe_video, version=2, recognize=recognize_video
)


def read_clip(
    path: Path, times: Sequence[float], shape: tuple[int, int, int], *, as_shown: bool = True
) -> Tensor:
    """Read the frames that are shown at some times as uint8 (len(times), C, H, W).

    Args:
        path: path of the file.
        times: ascending seconds from the first frame. A frame that is shown at several of them, or
            after its end, is repeated.
        shape: (C, H, W); frames are scaled to cover it and cropped to the centre.
        as_shown: see `to_shown_image`; else as they are stored.

    Raises:
        DataError: no frame can be decoded.
    """
    channels, *size = shape
    frames: list[Tensor] = []
    shown: VideoFrame | None = None

    def add_frames(until: float) -> None:
        """Add the frame that is shown now for each time before `until`."""
        due = sum(time < until for time in times) - len(frames)
        if due > 0 and shown is not None:
            image = (
                to_shown_image(shown, stream, channels) if as_shown else to_image(shown, channels)
            )
            frames.extend([fit_to_size(image, (size[0], size[1]))] * due)

    with open_video(path) as (file, stream):
        for frame in decode_frames(file, stream):
            add_frames(frame.seconds - _TOLERANCE)
            shown = frame.picture
            if len(frames) == len(times):
                break
        add_frames(math.inf)
    if shown is None:
        raise DataError(f"{path} has no frame that can be decoded: repair or remove it")
    return torch.stack(frames)


def read_luma(path: Path) -> Tensor:
    """Read the luma (brightness) of all frames as uint8 (T, H, W).

    The stored values are not converted, so they are the same on every machine; in most files, black
    is 16 and white is 235.

    Raises:
        DataError: the file cannot be decoded, or its luma does not have 8 bits.
    """
    try:
        with open_video(path) as (file, stream):
            frames = list(file.decode(stream))
    except DataError as error:
        raise DataError(f"{path} {error}: is it a complete video?") from error
    except (OSError, ValueError, IndexError) as error:
        why = describe_read_error(error, path)
        raise DataError(f"{path} cannot be decoded ({why}): is it a complete video?") from error
    if not frames:
        raise DataError(f"{path} has no frames")
    return torch.from_numpy(np.stack([_luma(path, frame) for frame in frames]))


@dataclass(frozen=True)
class FrameSampling:
    """Which frames of a clip are read.

    Attributes:
        frames: number of frames; the clip is divided into as many equal parts, and the frame in the
            middle of each is read. With `fps`, the maximum number.
        fps: frames per second from the start of the clip.
    """

    frames: int
    fps: float | None = None

    def times(self, metadata: Metadata) -> list[float]:
        """Return the seconds of the frames to read of a clip with this metadata."""
        last, end = metadata[4:6]
        if self.fps is None:
            return middle_times(end, self.frames)
        limit = min(self.frames, int((last + _TOLERANCE) * self.fps) + 1)
        return [number / self.fps for number in range(limit)]

    def find_notes(self, files: Mapping[Path, Metadata], problems: Problems) -> tuple[str, ...]:
        """Add invalid settings to `problems`; return notes on the frames that are read."""
        if self.frames < 1:
            problems.add(f"frames must be at least 1, got {self.frames}")
        if self.fps is not None and not self.fps > 0:
            problems.add(f"fps must be above 0, got {self.fps}")
            return ()
        counts = [int(file[3]) for file in files.values()]
        lengths = [file[5] for file in files.values()]
        clips = (
            f"clips have {min(counts)} to {max(counts)} frames and last {min(lengths):.3g} to "
            f"{max(lengths):.3g} s"
        )
        if self.fps is None:
            notes = [f"{self.frames} frames spread over each clip ({clips})"]
            short = {path: file for path, file in files.items() if file[3] < self.frames}
        else:
            notes = [f"{self.fps:g} frames per second, at most {self.frames} ({clips})"]
            short = {p: f for p, f in files.items() if f[3] < len(self.times(f))}
        if len(endings := Counter(path.suffix.lower() for path in files)) > 1:
            notes.append(f"clips by extension: {count_extensions(endings)}")
        if short:
            names = [f"{_short_name(path)} ({int(file[3])})" for path, file in short.items()]
            notes.append(
                f"{len(short):,} clips have fewer frames than are read, which are repeated: "
                f"{', '.join(abbreviate(names, shown=3))}"
            )
        if untimed := [path for path, file in files.items() if file[6]]:
            names = abbreviate(map(_short_name, untimed), shown=3)
            notes.append(
                f"{len(untimed):,} clips have frames without a usable time, which are taken as "
                f"evenly spaced: {', '.join(names)}"
            )
        return tuple(notes)


def middle_times(seconds: float, parts: int) -> list[float]:
    """Divide a duration into equal parts; return the middle of each."""
    return [(part + 0.5) * seconds / parts for part in range(parts)]


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


def _short_name(path: Path) -> str:
    return printable_name(Path(path.parent.name, path.name))
