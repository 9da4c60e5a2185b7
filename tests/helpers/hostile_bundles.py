"""Creates bundles as an attacker would: valid except for one change."""

from __future__ import annotations

import hashlib
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Members = dict[str, bytes]


def read_members(bundle: Path) -> Members:
    with zipfile.ZipFile(bundle) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def make_manifest(members: Members) -> dict[str, Any]:
    """Return the manifest with sizes and checksums that fit the other members."""
    manifest = json.loads(members["manifest.json"])
    others = {n: b for n, b in members.items() if n != "manifest.json"}
    manifest["members"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in others.items()
    }
    lines = {n: others.get(f"{n}.jsonl", b"").count(b"\n") for n in ("records", "samples")}
    manifest["counts"] = lines | {"media": sum(n.startswith("media/") for n in others)}
    return manifest


def write_bundle(target: Path, members: Members, *, fit: bool = True) -> Path:
    """Write a zip with these members, by default with a manifest that fits them."""
    if fit:
        members = members | {"manifest.json": json.dumps(make_manifest(members)).encode()}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return target


def with_record(members: Members, change: Callable[[dict[str, Any]], object]) -> Members:
    """Change the first record by a function that changes its dict or returns another value."""
    first, *others = members["records.jsonl"].splitlines()
    value = json.loads(first)
    changed = change(value)
    text = json.dumps(value if changed is None else changed).encode()
    return members | {"records.jsonl": b"\n".join([text, *others]) + b"\n"}


def with_line(members: Members, line: bytes) -> Members:
    return members | {"records.jsonl": line + b"\n"}


def with_media(members: Members, name: str, content: bytes) -> Members:
    """Add a file to the samples of the first record."""
    sha = hashlib.sha256(content).hexdigest()
    entry = json.loads(members["samples.jsonl"].splitlines()[0])
    entry["files"][name] = sha
    return members | {
        f"media/{sha}": content,
        "samples.jsonl": json.dumps(entry).encode() + b"\n",
    }


def with_extra(target: Path, info: zipfile.ZipInfo | str, content: bytes = b"x") -> Path:
    """Add a member that the manifest does not list."""
    with warnings.catch_warnings(), zipfile.ZipFile(target, "a") as zipped:
        warnings.simplefilter("ignore")  # about duplicate names
        zipped.writestr(info, content)
    return target
