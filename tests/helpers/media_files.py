"""Write real image, sound and video files into folders as users have them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import soundfile
from PIL import Image

COLOURS = {"blue": (30, 60, 220), "red": (220, 40, 30)}
PITCHES = {"high": 1500.0, "low": 300.0}


def write_image(path: Path, colour: tuple[int, int, int], seed: int, size: tuple[int, int]) -> Path:
    """Write an image (width, height) of noise around one colour; each seed gives another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(-30, 31, (size[1], size[0], 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_images(root: Path, count: int = 20, size: tuple[int, int] = (12, 8)) -> Path:
    """Write root/blue and root/red, each with `count` images, alternately PNG and JPEG."""
    for k, (name, colour) in enumerate(COLOURS.items()):
        for n in range(count):
            ending = ("png", "jpg")[n % 2]
            write_image(root / name / f"s{n % 4}_{n:03}.{ending}", colour, 1000 * k + n, size)
    return root


def write_recording(
    path: Path, pitch: float, seed: int, *, rate: int = 8000, samples: int = 1600
) -> Path:
    """Write a tone in noise, 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 0.05, samples)
    tone = 0.5 * np.sin(2 * np.pi * pitch * np.arange(samples) / rate)
    soundfile.write(path, (tone + noise).clip(-1, 1), rate)
    return path


def write_recordings(root: Path, count: int = 20) -> Path:
    """Write root/high and root/low, alternately WAV, FLAC and OGG, of unequal length."""
    for k, (name, pitch) in enumerate(PITCHES.items()):
        for n in range(count):
            ending = ("wav", "flac", "ogg")[n % 3]
            path = root / name / f"s{n % 4}_{n:03}.{ending}"
            write_recording(path, pitch, 1000 * k + n, samples=1200 + 40 * n)
    return root


def write_video(
    path: Path, step: int, seed: int, *, frames: int = 10, size: tuple[int, int] = (32, 16)
) -> Path:
    """Write a bright bar on a dark background that moves `step` pixels in each frame (MPEG-4)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    position, width = int(random.integers(size[0])), int(random.integers(3, 7))
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for n in range(frames):
            pixels = random.integers(0, 30, (size[1], size[0], 3), dtype=np.uint8)
            pixels[:, (position + step * n + np.arange(width)) % size[0]] = 220
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode(None))
    return path


def write_videos(root: Path, count: int = 12) -> Path:
    """Write root/left and root/right, of unequal numbers of frames."""
    for k, step in enumerate((-2, 2)):
        for n in range(count):
            path = root / ("left", "right")[k] / f"s{n % 4}_{n:03}.mp4"
            write_video(path, step, 1000 * k + n, frames=8 + n % 5)
    return root
