"""Imported first by the fork server: it leaves the sweep's process group.

Who ends a whole group with SIGTERM (timeout, srun) means the sweep, which asks its runs to keep
their state; the server would take them all with it. It keeps SIGTERM blocked as it has been started
with, for those who signal every process there is (systemd), and ends with the sweep as it is: by
the pipe between them. Its children hear the signal again, see `worker.follow_parent`.
"""

import contextlib
import os

with contextlib.suppress(OSError):  # it leads a group already
    os.setsid()
