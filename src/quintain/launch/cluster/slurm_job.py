"""The function that submitit calls on a node of a Slurm cluster: it runs one cell."""

from __future__ import annotations

import signal
from types import FrameType

from submitit.helpers import DelayedSubmission

from quintain.launch.cluster.run_process import STOPPED_CODES, RunProcess, RunSpec, execute


class CellJob:
    """Callable of a Slurm job, which submitit pickles before it runs.

    Slurm sends SIGUSR2 some time before the job's time limit or preemption; submitit then calls
    `checkpoint` from its signal handler and queues the job again. `scancel`, and Slurm if it queues
    the job again itself, send SIGTERM: the run saves its state, and this job ends.
    """

    _run: RunProcess | None = None

    def __call__(self, spec: RunSpec) -> str:
        """Run the cell and return how it ended; the result is in the store."""
        self._run = RunProcess(spec)
        signal.signal(signal.SIGTERM, self._terminate)
        return execute(self._run)

    def checkpoint(self, spec: RunSpec) -> DelayedSubmission | None:
        """Return the job that resumes the run later, None if the run had already ended."""
        if self._run is None or self._run.terminate(signal.SIGUSR2) in STOPPED_CODES:
            return DelayedSubmission(CellJob(), spec)
        return None

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        if self._run is not None:
            self._run.terminate(signal.SIGTERM)
