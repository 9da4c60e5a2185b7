"""`python -m quintain.run.distributed.pdeathsig COMMAND…` runs a command that dies with its parent.

A parent that is killed cannot end its children, so the Linux kernel does (prctl(2),
PR_SET_PDEATHSIG = 1, which survives exec). On other systems the command runs without this.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from quintain.run.environment import PARENT_VARIABLE


def main() -> None:
    """Replace this process by the command in the arguments."""
    die_with_parent(int(os.environ.pop(PARENT_VARIABLE)))
    os.execvp(sys.argv[1], sys.argv[1:])


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when the thread that started it ends.

    `parent` is the process id of the parent, which may have died already.
    """
    if sys.platform == "linux":
        set_death_signal(signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def set_death_signal(number: int) -> None:
    """Set the signal that the kernel sends when the parent ends; 0: none. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, number)


if __name__ == "__main__":
    main()
