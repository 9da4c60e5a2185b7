"""What a bundle says of itself, and how large anything in it may be.

    manifest.json     format, counts, what was chosen, size and SHA-256 of every other member
    records.jsonl     a record a line
    samples.jsonl     {"key", "files": {"0.png": SHA-256}} a line, where samples were kept
    media/<SHA-256>   the files that it names

No name in it is anybody's choice: members are these four, media are named by their content.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from quintain.records.faults import StoreError

FORMAT = 1
MANIFEST, RECORDS, SAMPLES, MEDIA = "manifest.json", "records.jsonl", "samples.jsonl", "media/"

MOST_BYTES = 2**30  # of a bundle, packed or unpacked
MOST_MEMBERS = 50_000  # below the 65,535 beyond which a zip needs its 64-bit form
MOST_RATIO = 200  # unpacked to packed, of a member above 1 MiB; a store's records reach some 25
MOST_MANIFEST = 16 * 2**20  # bytes; 50,000 members take 8 MiB
MOST_LINE = 16 * 2**20  # bytes of one record; ours have some 50 KB, a million step times 8 MB
MOST_MEDIUM = 16 * 2**20  # bytes of one picture or sound; ours have some 100 KB
MOST_DEPTH = 64  # of lists and objects in one another
MOST_TEXT = 2**18  # characters of one text; the longest is the end of a failed run's log
MOST_NAME = 200  # characters of a name

Text = Annotated[str, StringConstraints(max_length=MOST_NAME)]
Sha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0, le=MOST_BYTES)]

_MEDIUM = re.compile(r"media/[0-9a-f]{64}")


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Counts(_Part):
    """How many records, how many of them with samples, and how many pictures and sounds."""

    records: Size
    samples: Size
    media: Size


class Member(_Part):
    """Bytes and content hash of a member, unpacked."""

    bytes: Size
    sha256: Sha


class Manifest(_Part):
    """The page that describes a bundle. `chosen` are the words by which records were chosen."""

    format: int
    quintain: Text
    counts: Counts
    chosen: list[str] = []
    members: dict[Text, Member]


class BundleError(StoreError):
    """A file that is no bundle, or one that is not taken; one sentence says why."""


def is_member(name: str) -> bool:
    """Whether a bundle may hold a member of this name."""
    return name in (MANIFEST, RECORDS, SAMPLES) or _MEDIUM.fullmatch(name) is not None
