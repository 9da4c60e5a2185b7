"""The manifest of a bundle, the names of its members, and how large they may be.

    manifest.json     format, counts, filters, and size and SHA-256 of every other member
    records.jsonl     one record per line
    samples.jsonl     {"key", "files": {"0.png": SHA-256}} per line, for records with samples
    media/<SHA-256>   the files that samples.jsonl lists

A bundle is not trusted, so names in it are fixed or, for media, the hash of the content.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, StringConstraints

from quintain.records.field_types import FrozenModel

FORMAT = 1
MANIFEST, RECORDS, SAMPLES, MEDIA = "manifest.json", "records.jsonl", "samples.jsonl", "media/"

MAX_BYTES = 2**30  # of a bundle, compressed or not
MAX_MEMBERS = 50_000  # a zip with over 65,535 would be a ZIP64 file
MAX_RATIO = 200  # size to compressed size, for members above 1 MiB; records reach about 25
MAX_MANIFEST_BYTES = 16 * 2**20  # 50,000 members take 8 MiB
MAX_LINE_BYTES = 16 * 2**20  # one record: usually 50 KB; 8 MB with the times of a million steps
MAX_MEDIA_BYTES = 16 * 2**20  # one image or recording; usually 100 KB
MAX_DEPTH = 64  # of nested lists and objects
MAX_TEXT_LENGTH = 2**18  # characters; the longest text is the end of a failed run's log
MAX_NAME_LENGTH = 200  # characters

Name = Annotated[str, StringConstraints(max_length=MAX_NAME_LENGTH)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0, le=MAX_BYTES)]

_MEDIA_NAME = re.compile(r"media/[0-9a-f]{64}")


class Counts(FrozenModel):
    """The number of records, of records with samples, and of images and recordings."""

    records: Size
    samples: Size
    media: Size


class Member(FrozenModel):
    """Size in bytes and hash of a member, uncompressed."""

    bytes: Size
    sha256: Sha256


class Manifest(FrozenModel):
    """The content of manifest.json; `chosen` are the filters that selected the records."""

    format: int
    quintain: Name
    counts: Counts
    chosen: list[str] = Field(default_factory=list)
    members: dict[Name, Member]


def is_member_name(name: str) -> bool:
    """Return whether a bundle may have a member of this name."""
    return name in (MANIFEST, RECORDS, SAMPLES) or _MEDIA_NAME.fullmatch(name) is not None
