"""Decode the frames of a video with their times, and turn them into images as players show them.

Legend: H × W pixels.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from quintain.data.files.ffmpeg import open_with_ffmpeg
from quintain.errors import DataError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.format import VideoFormat
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

DEFAULT_RATE = 25.0  # frames per second, of files that state neither times nor a rate
_OBLIQUE = 0.02  # largest ratio of the small to the large entries of a quarter turn's matrix


@dataclass(frozen=True)
class ShownFrame:
    """A frame, the seconds since the first one when it is shown, and whether the file states them.

    `duration` are the seconds for which it is shown, 0 if unknown.
    """

    picture: VideoFrame
    seconds: float
    duration: float
    has_time: bool


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its first video stream that is not the picture of a sound file.

    Raises:
        DataError: PyAV is not installed, there is no video stream, or decoding fails.
    """
    with open_with_ffmpeg(path) as file:
        from av.stream import Disposition

        covers = Disposition.attached_pic
        streams = [s for s in file.streams.video if not s.disposition & covers]
        if not streams:
            has_sound = " (only sound)" if file.streams.audio else ""
            raise DataError(f"has no video stream{has_sound}")
        if streams[0].codec_context is None:
            raise DataError("cannot be decoded (its video is damaged or of an unknown format)")
        # Callers decode files in several threads, so one thread for each file is enough.
        streams[0].codec_context.thread_count = 1
        yield file, streams[0]


def decode_frames(file: InputContainer, stream: VideoStream) -> Iterator[ShownFrame]:
    """Yield all frames in the order in which they are shown.

    A frame without a time, or with one that is not after that of the frame before it (in joined
    files), follows at the stated rate.
    """
    step = 1 / float(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)
    seconds, offset = -step, 0.0
    for number, picture in enumerate(file.decode(stream)):
        time = picture.time
        if number == 0:
            offset = time or 0.0
        has_time = time is not None and (number == 0 or time - offset > seconds)
        following = seconds + step
        seconds = time - offset if has_time and time is not None else following
        if time is not None and not has_time:
            offset = time - seconds
        length = picture.duration * float(picture.time_base or 0)
        yield ShownFrame(picture, seconds, length, has_time)


def check_duration(file: InputContainer, stream: VideoStream, count: int, end: float) -> None:
    """Compare the seconds at which the last of `count` frames ends with those that the file states.

    Only a video of a constant rate is judged, since the last of few pictures can be shown for long.

    Raises:
        DataError: frames are missing at the end.
    """
    is_reliable = any(name in file.format.name for name in ("matroska", "mov", "avi"))
    rate = float(stream.average_rate or DEFAULT_RATE)
    is_regular = count >= 5 and abs(end - count / rate) < 0.1 * end
    stated = (file.duration or 0) / 1e6
    if not is_reliable or not is_regular or file.streams.audio or end >= 0.9 * stated - 0.5:
        return
    raise DataError(f"is damaged: its header states {stated:.3g} s, but it ends at {end:.3g} s")


def is_grey(pixel_format: VideoFormat) -> bool:
    """Whether pixels have one value, besides transparency."""
    colours = [part for part in pixel_format.components if not part.is_alpha]
    return len(colours) == 1 and not pixel_format.has_palette and not pixel_format.is_bayer


def to_image(picture: VideoFrame, channels: int) -> Image.Image:
    """Return a frame in mode L or RGB; `channels` is 1 or 3. Transparent pixels become white."""
    if any(part.is_alpha for part in picture.format.components) or picture.format.has_palette:
        image = Image.fromarray(picture.to_ndarray(format="rgba"))
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("L" if channels == 1 else "RGB")
    return Image.fromarray(picture.to_ndarray(format="gray" if channels == 1 else "rgb24"))


def to_shown_image(picture: VideoFrame, stream: VideoStream, channels: int) -> Image.Image:
    """Return a frame as players show it: stretched if pixels are not square, and turned.

    Raises:
        DataError: the file states a turn that is no multiple of 90 degrees.
    """
    image = to_image(picture, channels)
    aspect = float(stream.sample_aspect_ratio or 1)
    if aspect != 1:
        image = image.resize((max(1, round(image.width * aspect)), image.height))
    for step in _find_turn(picture):
        image = image.transpose(step)
    return image


def _find_turn(picture: VideoFrame) -> list[Image.Transpose]:
    """Return the transpositions that turn a frame as its display matrix states."""
    a, b, c, d = _read_display_matrix(picture)
    is_transposed = abs(b) + abs(c) > abs(a) + abs(d)
    small, large = (abs(a) + abs(d), abs(b) + abs(c))[:: 1 if is_transposed else -1]
    if small > _OBLIQUE * large:
        raise DataError("is shown turned by an angle that is no multiple of 90 degrees")
    mirror, flip = (c < 0, b < 0) if is_transposed else (a < 0, d < 0)
    steps = [
        (is_transposed, Image.Transpose.TRANSPOSE),
        (mirror, Image.Transpose.FLIP_LEFT_RIGHT),
        (flip, Image.Transpose.FLIP_TOP_BOTTOM),
    ]
    return [step for is_needed, step in steps if is_needed]


def _read_display_matrix(picture: VideoFrame) -> tuple[float, ...]:
    """Return a, b, c, d of the matrix that maps a position (x, y) to (a x + c y, b x + d y).

    It is stored as 9 integers: a, b, 0, c, d, 0, ….
    """
    try:
        side_data: Mapping[str, Any] = picture.side_data
        if "DISPLAYMATRIX" not in side_data:
            return 1, 0, 0, 1
        a, b, _, c, d, *_ = struct.unpack("9i", bytes(side_data["DISPLAYMATRIX"]))
        return a, b, c, d
    except (ValueError, IndexError):  # the frame has other data that this PyAV does not know
        angle = math.radians(picture.rotation)  # counter-clockwise
        return math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)
