"""Preloaded first by the fork server, so that it leaves the process group of the sweep.

A SIGTERM to the whole group (`timeout`, `srun`) is meant for the sweep, which tells its runs to
save their state; it must not end the fork server and with it the runs. systemd sends SIGTERM to
every process, so the server also starts with SIGTERM blocked; its children unblock it, see
`worker.exit_with_parent`. The server ends when the sweep closes the pipe between them. It cannot
see that while it imports, which takes seconds, so until then the kernel ends it with the sweep.
"""

import contextlib
import os

from quintain.run.distributed.pdeathsig import die_with_parent
from quintain.run.environment import PARENT_VARIABLE

with contextlib.suppress(OSError):  # the server leads a process group already
    os.setsid()
os.environ.pop("PYTHONSAFEPATH", None)  # see `fork_server.start_fork_server`
if (parent := os.environ.pop(PARENT_VARIABLE, None)) is not None:
    die_with_parent(int(parent))
