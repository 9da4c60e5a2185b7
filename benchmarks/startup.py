"""Time of the commands that import no torch, from the shell, and a check that they do not."""

from __future__ import annotations

import subprocess
import sys

from _common import QUINTAIN, Reading, parse_arguments, time_command, write_results

LIMIT = 0.7  # seconds
COMMANDS = (["--help"], ["list"])
CHECK = """
import contextlib, io, sys
from quintain.cli.main import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main(sys.argv[1:])
sys.exit("torch was imported" if "torch" in sys.modules else 0)
"""


def main() -> None:
    options = parse_arguments(__doc__, n=10)
    readings = []
    for arguments in COMMANDS:
        # The check also fills the disk cache.
        subprocess.run([sys.executable, "-c", CHECK, *arguments], check=True)
        values = [time_command([*QUINTAIN, *arguments]) for _ in range(options.n)]
        name = f"`quintain {' '.join(arguments)}`"
        readings.append(Reading(name, "s", values, at_most=LIMIT, note="imports no torch"))
    write_results("startup", readings, options.out)


if __name__ == "__main__":
    main()
