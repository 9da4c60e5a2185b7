"""A git repository with one model plugin, for tests that compare versions of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from helpers.commands import write_file

MODEL = """
import time
from torch import nn
from quintain.contracts import Features

class Plain(nn.Module):
    input_layout = "sequence"

    def __init__(self, inp: Features, *, width: float = 4.0):
        super().__init__()
        self.out = Features(**{**vars(inp), "dim": 32})
        self.net = nn.Linear(inp.dim, 32)

    def forward(self, x, mask):
        return self.net(x), mask
"""
CARD = "_target_: quintain_local.model.plain.Plain\nwidth: 4\ncard: {about: plain}\n"
CELL = ("model=plain", "dataset=digits", "plugins_dir=own", "hardware=cpu", "budget.params=null")


def commit(folder: Path, model: str, message: str) -> str:
    """Commit this model, in a new repository if there is none; return the commit's hash."""
    write_file(folder / "own" / "plugins" / "model" / "plain.py", model)
    write_file(folder / "own" / "conf" / "model" / "plain.yaml", CARD)
    author = ["-c", "user.name=x", "-c", "user.email=x@y"]
    for arguments in (["init", "-q"], ["add", "own"], [*author, "commit", "-qm", message]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
