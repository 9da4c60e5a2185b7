"""Tables of a user, for several tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.commands import write_file


def series(steps: int = 300) -> pd.DataFrame:
    """Return hourly sales with a daily cycle, and the temperature."""
    random = np.random.default_rng(0)
    hours = np.arange(steps)
    return pd.DataFrame(
        {
            "warm": random.normal(20, 5, steps),
            "when": pd.date_range("2024-01-01", periods=steps, freq="h").astype(str),
            "sold": 100 + 9 * np.sin(hours / 24 * 2 * np.pi) + random.normal(0, 1, steps),
        }
    )


def gestures(groups: int = 40) -> pd.DataFrame:
    """Return series of 5 to 9 steps that rise or fall, their rows shuffled."""
    rows = [
        {"id": f"g{g}", "step": k, "kind": ["fall", "rise"][g % 2], "x": (g % 2 * 2 - 1) * k + g}
        for g in range(groups)
        for k in range(5 + g % 5)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def reviews(count: int = 120) -> pd.DataFrame:
    """Return reviews with verdicts and stars."""
    return pd.DataFrame(
        {
            "review": [f"a {['good', 'bad'][k % 2]} film, number {k}!" for k in range(count)],
            "verdict": [["yes", "no"][k % 2] for k in range(count)],
            "stars": [4.5 - 3 * (k % 2) + k % 3 / 2 for k in range(count)],
        }
    )


def make_files(folder: Path) -> None:
    """Write one file of each format."""
    series().to_csv(folder / "t.tsv", sep="\t", index=False)
    gestures().to_parquet(folder / "t.parquet")
    reviews().to_json(folder / "t.jsonl", orient="records", lines=True)
    reviews().to_csv(folder / "t.csv", sep=";", index=False)
    lines = [f"{word} {letter}" for word in ["eins", "zwei", "drei"] for letter in "abcdefghij"]
    write_file(folder / "t.de", "\n".join(lines) + "\n")
    write_file(folder / "t.en", "\n".join(line.upper() for line in lines) + "\n")
