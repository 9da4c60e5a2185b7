"""Decides whether and where records are sent to W&B, without importing the SDK."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, NamedTuple

from quintain.errors import UsageError

Mode = Literal["auto", "online", "offline", "disabled"]
ActiveMode = Literal["online", "offline"]

MAX_NAME = 128  # characters of the name of a project, an entity or an artifact
_PROJECT = re.compile(r"[^/\\#?%:\x00-\x1f]{1,128}")
_ENTITY = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_WANDB_MODES: dict[str, Mode] = {
    "dryrun": "offline", "offline": "offline", "online": "online", "disabled": "disabled",
}  # fmt: skip


class Destination(NamedTuple):
    """The W&B project that runs are sent to; without `entity`, in the user's default entity."""

    project: str
    entity: str | None

    def __str__(self) -> str:
        return f"{self.entity or ''}/{self.project}"


def resolve_destination(project: str | None, entity: str | None) -> Destination:
    """Return the destination; by default WANDB_PROJECT (or "quintain") and WANDB_ENTITY.

    Raises:
        UsageError: W&B does not accept the names.
    """
    default = os.environ.get("WANDB_PROJECT") or "quintain"
    destination = Destination(project or default, entity or os.environ.get("WANDB_ENTITY") or None)
    problems = []
    if not _PROJECT.fullmatch(destination.project) or not destination.project.strip():
        source = "wandb.project" if project else "WANDB_PROJECT"
        problems.append(
            f"{source}: W&B accepts at most {MAX_NAME} characters without / \\ # ? % :, got"
            f" {destination.project!r}"
        )
    if destination.entity and not _ENTITY.fullmatch(destination.entity):
        source = "wandb.entity" if entity else "WANDB_ENTITY"
        problems.append(
            f"{source}: expected the name of a W&B user or team (letters, digits, - _ .), got"
            f" {destination.entity!r}"
        )
    if problems:
        raise UsageError(problems)
    return destination


def requested_mode(mode: Mode) -> Mode:
    """Return the requested mode; "auto" is replaced by WANDB_DISABLED and WANDB_MODE if set."""
    if mode != "auto":
        return mode
    if os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1", "yes"):
        return "disabled"
    return _WANDB_MODES.get(os.environ.get("WANDB_MODE", "").lower(), "auto")


def expected_mode(requested: Mode) -> ActiveMode:
    """Return the mode in which runs would be sent: online if there may be credentials.

    Only the SDK knows whether a netrc file has a key for the server.
    """
    return "online" if requested != "offline" and may_have_credentials() else "offline"


def may_have_credentials() -> bool:
    """Return whether the environment has credentials, or there is a netrc file that W&B reads."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    paths = [os.environ.get("NETRC"), "~/.netrc", "~/_netrc"]
    return any(path and Path(path).expanduser().is_file() for path in paths)
