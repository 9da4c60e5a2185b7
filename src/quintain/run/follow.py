"""`python -m quintain.run.follow COMMAND…`: become a command that dies with its parent.

A process may be killed without a word; what it runs must not go on unseen. Linux does this for us
(prctl(2), PR_SET_PDEATHSIG = 1, kept over exec); elsewhere the command is just run.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys


def main() -> None:
    """Replace this process by the command in the arguments."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != int(os.environ.pop("QUINTAIN_PARENT")):  # it has died meanwhile
            os.kill(os.getpid(), signal.SIGKILL)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
