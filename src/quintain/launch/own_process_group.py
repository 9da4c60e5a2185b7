"""Preloaded first by the fork server, so that it leaves the process group of the sweep.

A SIGTERM to the whole group (`timeout`, `srun`) is meant for the sweep, which tells its runs to
save their state; it must not end the fork server and with it the runs. systemd sends SIGTERM to
every process, so the server also starts with SIGTERM blocked; its children unblock it, see
`worker.exit_with_parent`. The server ends when the sweep closes the pipe between them.
"""

import contextlib
import os

with contextlib.suppress(OSError):  # the server leads a process group already
    os.setsid()
