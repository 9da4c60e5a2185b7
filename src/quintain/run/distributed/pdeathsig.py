"""`python -m quintain.run.distributed.pdeathsig COMMAND…` runs a command that dies with its parent.

A parent that is killed cannot end its children, so the Linux kernel does (prctl(2),
PR_SET_PDEATHSIG = 1, which survives exec). On other systems the command runs without this.
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
        if os.getppid() != int(os.environ.pop("QUINTAIN_PARENT")):  # the parent has died already
            os.kill(os.getpid(), signal.SIGKILL)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
