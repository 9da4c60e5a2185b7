"""Files in the folder `mirror/` of a store that list what has been sent to W&B."""

from __future__ import annotations

import hashlib

from quintain.records.redact import redact_record
from quintain.records.schema import Record
from quintain.records.store import Store
from quintain.wandb_mirror.client import ActiveMode, Destination

BOARD_ID = "leaderboard"  # of the one run per project that has the newest leaderboard


class Marker:
    """The file that lists what has been sent as the W&B run `run_id`.

    Each line has the hash of the content, the mode and the destination; one line per destination.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._path = store.path / "mirror" / run_id

    def is_sent(self, content_hash: str, mode: ActiveMode, destination: Destination) -> bool:
        """Return whether the content with this hash was sent in this mode, or online."""
        lines = {f"{content_hash} online {destination}", f"{content_hash} {mode} {destination}"}
        return bool(lines & set(self._read_lines()))

    def write(self, content_hash: str, mode: ActiveMode, destination: Destination) -> None:
        """Replace the line of the destination."""
        others = [line for line in self._read_lines() if not line.endswith(f" {destination}")]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("\n".join([*others, f"{content_hash} {mode} {destination}"]))

    def _read_lines(self) -> list[str]:
        try:
            return self._path.read_text().splitlines()
        except OSError:
            return []


def hash_record(record: Record) -> tuple[Record, str]:
    """Return the redacted record that is sent, and the hash of its JSON."""
    redacted = redact_record(record)
    return redacted, hashlib.sha256(redacted.to_json().encode()).hexdigest()
