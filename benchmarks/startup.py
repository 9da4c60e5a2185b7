"""How long the light commands take, from the shell, and that they import no torch."""

from __future__ import annotations

import subprocess
import sys

from _common import QUINTAIN, Reading, arguments, publish, timed

LIMIT = 0.7  # seconds
COMMANDS = (["--help"], ["list"])
PROBE = """
import contextlib, io, sys
from quintain.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main(sys.argv[1:])
sys.exit("torch was imported" if "torch" in sys.modules else 0)
"""


def main() -> None:
    asked = arguments(__doc__, n=10)
    readings = []
    for words in COMMANDS:
        subprocess.run([sys.executable, "-c", PROBE, *words], check=True)  # warms the disk cache
        values = [timed([*QUINTAIN, *words]) for _ in range(asked.n)]
        name = f"`quintain {' '.join(words)}`"
        readings.append(Reading(name, "s", values, at_most=LIMIT, note="imports no torch"))
    publish("startup", readings, asked.out)


if __name__ == "__main__":
    main()
