"""Open media files by PyAV, which includes its own FFmpeg.

PyAV is an optional dependency (`pip install quintain[video]`), imported when a file is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from quintain.errors import DataError

if TYPE_CHECKING:
    from av.container import InputContainer

# Only files that contain their media themselves. A playlist or a list of files, which may have the
# name of a video, could refer to other files or URLs.
_CONTAINERS = (
    "mov,matroska,avi,ogg,mpeg,mpegts,mpegvideo,flv,asf,gif,apng,ivf,nut,mxf,rm,dv,h264,hevc,obu,"
    "m4v,mjpeg,yuv4mpegpipe,wav,w64,aiff,au,caf,voc,nistsphere,aac,ac3,eac3,amr,mp3,flac,ape,wv,tta,tak,mpc,mpc8,dsf,dts"
)
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}


@contextmanager
def open_with_ffmpeg(path: Path) -> Iterator[InputContainer]:
    """Open a sound or video file.

    Raises:
        DataError: PyAV is not installed, the file has no known format, or decoding fails.
    """
    try:
        import av
    except ImportError as error:
        raise DataError("needs PyAV: pip install quintain[video]") from error
    try:
        # Titles and other metadata can be in any encoding; they are not needed.
        with av.open(str(path), options=_OPTIONS, metadata_errors="ignore") as file:
            yield file
    except av.FFmpegError as error:
        raise DataError(f"cannot be decoded ({error.strerror})") from error
