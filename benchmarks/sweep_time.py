"""The quick suite into a fresh store, then again with every cell in the store."""

from __future__ import annotations

from _common import QUINTAIN, Reading, arguments, publish, scratch, timed

FIRST, AGAIN = 180.0, 3.0  # seconds, on two cores without a GPU


def main() -> None:
    asked = arguments(__doc__, n=1, again=5, store=None, settings="")
    words = [*QUINTAIN, "sweep", "suite=quick", "wandb.mode=offline", *asked.settings.split()]
    first: list[float] = []
    for _ in range(asked.n):
        with scratch(asked.store if not first else None) as store:
            if (store / "records").exists():
                raise SystemExit(f"{store} has records already; give a new folder")
            first.append(timed([*words, f"store={store}"]))
            if len(first) == 1:
                again = [timed([*words, f"store={store}"]) for _ in range(asked.again)]
    note = asked.settings or "30 cells and the reference rows, written to W&B offline"
    publish(
        "sweep_time",
        [
            Reading("`quintain sweep suite=quick`, fresh store", "s", first, FIRST, note=note),
            Reading("the same, every cell in the store", "s", again, AGAIN),
        ],
        asked.out,
    )


if __name__ == "__main__":
    main()
