"""Share of the training time spent waiting for data, in every record of a store."""

from __future__ import annotations

from pathlib import Path

from _common import Reading, parse_arguments, write_results

LIMIT = 0.02  # share of the training time


def main() -> None:
    options = parse_arguments(__doc__, store="results")
    from quintain.records.store import Store

    shares = {
        f"{r.names.dataset}/{r.names.model}": r.cost.data_wait_share
        for r in Store(Path(options.store)).all()
        if r.cost is not None and r.cost.data_wait_share is not None
    }
    if not shares:
        raise SystemExit(f"{options.store} has no trained cells")
    slowest = max(shares, key=lambda name: shares[name])
    what = "share of training that waits for data"
    note = f"highest: {slowest}"
    reading = Reading(what, "", list(shares.values()), LIMIT, judged="worst", note=note)
    write_results("data_wait", [reading], options.out)


if __name__ == "__main__":
    main()
