"""Sends to W&B from a process of its own, which is ended if W&B does not answer.

The process does not see the W&B settings of the environment, of the current folder or of a running
agent, so that id, project and configuration of a run are those of its record. Of the user's
settings only credentials and the address of the server are passed on.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import psutil

START_LIMIT = 60.0  # seconds until the SDK is imported; no server is involved
END_LIMIT = 2.0  # seconds for the process to end after its last message
_PASSED = ("API_KEY", "BASE_URL", "APP_URL", "IDENTITY_TOKEN_FILE", "CREDENTIALS_FILE",
           "INSECURE_DISABLE_SSL", "HTTP_PROXY", "HTTPS_PROXY", "CACHE_DIR")  # fmt: skip
_FILES = ("WANDB_IDENTITY_TOKEN_FILE", "WANDB_CREDENTIALS_FILE", "WANDB_CACHE_DIR", "NETRC")


class SenderStopped(RuntimeError):
    """The process that sends did not answer in time, or ended unexpectedly."""


def run_sender(job: dict[str, Any], limit: float, log: Path) -> Generator[dict[str, Any]]:
    """Run `quintain.wandb_mirror.sender` and yield its messages.

    Args:
        job: for `sender.send_job`.
        limit: seconds without a message, after which the process is ended.
        log: file to which its output is appended.

    Raises:
        SenderStopped: see there. What was reported before has been sent.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "job.json")
        file.write_text(json.dumps(job | {"limit": limit}))
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "quintain.wandb_mirror.sender", str(file)],
                stdin=subprocess.PIPE,  # it ends when this is closed, also if we are killed
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env=_clean_environment(folder),
                start_new_session=True,
            )
        try:
            yield from _read_messages(process, limit)
        finally:
            _end(process)


def _read_messages(process: subprocess.Popen[bytes], limit: float) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    descriptor, buffer = process.stdout.fileno(), b""
    deadline = time.monotonic() + START_LIMIT
    while True:
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise SenderStopped(f"W&B did not answer within {limit:.0f} s")
        if not (part := os.read(descriptor, 65536)):
            raise SenderStopped("the process that sends to W&B ended unexpectedly")
        *lines, buffer = (buffer + part).split(b"\n")
        for line in lines:
            message: dict[str, Any] = json.loads(line)
            if message["kind"] == "done":
                return
            yield message
        if lines:
            deadline = time.monotonic() + limit


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait shortly for the process to end; then kill it and the service that it has started."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_LIMIT)
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    process.kill()
    process.communicate()


def _clean_environment(folder: str) -> dict[str, str]:
    """Return the environment without the settings of W&B, except credentials and server."""
    passed = {f"WANDB_{name}" for name in _PASSED}
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_") or k in passed}
    kept |= {
        name: os.path.abspath(os.path.expanduser(kept[name])) for name in _FILES if name in kept
    }
    if "WANDB_BASE_URL" not in kept and (url := _read_base_url()):
        kept["WANDB_BASE_URL"] = url
    return kept | {
        "WANDB_CONFIG_DIR": folder,  # which has no settings file
        "WANDB_SAGEMAKER_DISABLE": "true",
        "WANDB_ERROR_REPORTING": "false",
        "PYTHONSAFEPATH": "1",
    }


def _read_base_url() -> str:
    """Return the address of the server that `wandb login --host` has written, or ""."""
    folder = os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb"
    settings = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(configparser.Error, OSError, UnicodeDecodeError):
        settings.read(Path(folder).expanduser() / "settings")
        return settings.get("default", "base_url", fallback="")
    return ""
