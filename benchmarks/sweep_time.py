"""Time of the quick suite with a new store, and again when the store has every cell."""

from __future__ import annotations

from _common import QUINTAIN, Reading, parse_arguments, temporary_store, time_command, write_results

FIRST, AGAIN = 180.0, 3.0  # limits in seconds, on two cores without a GPU


def main() -> None:
    options = parse_arguments(__doc__, n=1, again=5, store=None, settings="")
    command = [*QUINTAIN, "sweep", "suite=quick", "wandb.mode=offline", *options.settings.split()]
    first: list[float] = []
    for _ in range(options.n):
        with temporary_store(options.store if not first else None) as store:
            if (store / "records").exists():
                raise SystemExit(f"{store} has records already; give a new folder")
            first.append(time_command([*command, f"store={store}"]))
            if len(first) == 1:
                again = [time_command([*command, f"store={store}"]) for _ in range(options.again)]
    note = options.settings or "30 cells and the baselines, written to W&B offline"
    write_results(
        "sweep_time",
        [
            Reading("`quintain sweep suite=quick`, new store", "s", first, FIRST, note=note),
            Reading("the same, every cell in the store", "s", again, AGAIN),
        ],
        options.out,
    )


if __name__ == "__main__":
    main()
