"""Run a user's media files from the command line."""

import json

from helpers.commands import run_quintain

OVERRIDES = (
    *("hardware=cpu", "wandb.mode=disabled", "store=results", "launch.workers=1"),
    *("budget.steps=20", "budget.validations=2", "budget.params=5000"),
)


def run(folder, *overrides, command=("run",)):
    """Run a command that must succeed; return its records and its output."""
    folder.mkdir(exist_ok=True)
    code, out, err = run_quintain(
        *command, *overrides, *OVERRIDES, cwd=folder, XDG_CACHE_HOME=str(folder / "c")
    )
    assert code == 0, out + err
    records = [json.loads(p.read_text()) for p in (folder / "results/records").rglob("*.json")]
    assert [record["status"] for record in records] == ["ok"] * len(records), out + err
    return records, out + err
