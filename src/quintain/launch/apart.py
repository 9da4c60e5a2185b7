"""Imported first by the fork server: it leaves the sweep's process group.

Who ends a whole group with SIGTERM (timeout, systemd, srun) means the sweep, which asks its runs to
keep their state; the server would take them all with it. It ends with the sweep as it is: by the
pipe between them.
"""

import contextlib
import os
import signal

with contextlib.suppress(OSError):  # it leads a group already
    os.setsid()
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # drops one that came before
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
signal.signal(signal.SIGTERM, signal.SIG_DFL)
