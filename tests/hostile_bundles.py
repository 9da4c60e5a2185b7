"""Bundles as an attacker would make them: a good one, with one thing wrong."""

from __future__ import annotations

import hashlib
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Members = dict[str, bytes]


def members_of(bundle: Path) -> Members:
    with zipfile.ZipFile(bundle) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def manifest_of(members: Members) -> dict[str, Any]:
    """The manifest, made to fit the other members: nobody's checksums are a defence."""
    manifest = json.loads(members["manifest.json"])
    others = {n: b for n, b in members.items() if n != "manifest.json"}
    manifest["members"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in others.items()
    }
    lines = {n: others.get(f"{n}.jsonl", b"").count(b"\n") for n in ("records", "samples")}
    manifest["counts"] = lines | {"media": sum(n.startswith("media/") for n in others)}
    return manifest


def write(target: Path, members: Members, *, fit: bool = True) -> Path:
    """A zip of these members; the manifest is made to fit them."""
    if fit:
        members = members | {"manifest.json": json.dumps(manifest_of(members)).encode()}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return target


def with_record(members: Members, change: Callable[[dict[str, Any]], object]) -> Members:
    """One record changed, by a function that changes its dict or gives another value."""
    first, *others = members["records.jsonl"].splitlines()
    value = json.loads(first)
    changed = change(value)
    text = json.dumps(value if changed is None else changed).encode()
    return members | {"records.jsonl": b"\n".join([text, *others]) + b"\n"}


def with_line(members: Members, line: bytes) -> Members:
    return members | {"records.jsonl": line + b"\n"}


def with_media(members: Members, name: str, content: bytes) -> Members:
    """A file among the first record's samples."""
    sha = hashlib.sha256(content).hexdigest()
    entry = json.loads(members["samples.jsonl"].splitlines()[0])
    entry["files"][name] = sha
    return members | {
        f"media/{sha}": content,
        "samples.jsonl": json.dumps(entry).encode() + b"\n",
    }


def with_extra(target: Path, info: zipfile.ZipInfo | str, content: bytes = b"x") -> Path:
    """Another member, which the manifest need not know."""
    with warnings.catch_warnings(), zipfile.ZipFile(target, "a") as zipped:
        warnings.simplefilter("ignore")  # of a name that is there twice
        zipped.writestr(info, content)
    return target
