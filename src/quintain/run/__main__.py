"""`python -m quintain.run cell.json [--store FOLDER]`: run one frozen cell, here and now."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Runs the cell and prints its record, or writes it into a store; 1 where the run failed."""
    parser = argparse.ArgumentParser(prog="python -m quintain.run", description=__doc__)
    parser.add_argument("cell", type=Path, help="a cell file, as a sweep writes it into plans/")
    parser.add_argument("--store", type=Path, help="write the record here instead of printing it")
    arguments = parser.parse_args()
    from quintain.compose.cells import Cell
    from quintain.records.store import Store
    from quintain.run.attempt import attempt

    record = attempt(Cell.from_json(arguments.cell.read_text()))
    if arguments.store is None:
        print(record.to_json())
    else:
        Store(arguments.store).write(record)
    return 0 if record.status == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
