"""How long training waited for its data, in every record of a store."""

from __future__ import annotations

from pathlib import Path

from _common import Reading, arguments, publish

LIMIT = 0.02  # share of the training time


def main() -> None:
    asked = arguments(__doc__, store="results")
    from quintain.records.store import Store

    shares = {
        f"{r.names.dataset}/{r.names.model}": r.cost.data_wait_share
        for r in Store(Path(asked.store)).all()
        if r.cost is not None and r.cost.data_wait_share is not None
    }
    if not shares:
        raise SystemExit(f"{asked.store} has no trained cells")
    worst = max(shares, key=lambda name: shares[name])
    what = "share of training that waits for data"
    note = f"highest: {worst}"
    reading = Reading(what, "", list(shares.values()), LIMIT, judged="worst", note=note)
    publish("data_wait", [reading], asked.out)


if __name__ == "__main__":
    main()
