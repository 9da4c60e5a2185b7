"""Compose overrides in this process, or run the command in another one."""

import os
import signal
import subprocess
import sys

import pytest

from quintain.compose.config import hydra_session
from quintain.compose.overrides import expand_overrides
from quintain.errors import UsageError
from quintain.plan.cell_factory import compose_jobs, make_run_cell
from quintain.plan.plan import make_plan
from quintain.plan.preflight import preflight_cells

SHORT_RUN = ("wandb.mode=disabled", "budget.steps=2", "budget.validations=1")


def compose_overrides(*overrides):
    """Return the composition of each job of the overrides."""
    with hydra_session():
        return compose_jobs(expand_overrides(overrides))


def compose_cell(*overrides):
    """Return the cell of overrides that make one job."""
    (composition,) = compose_overrides(*overrides)
    return make_run_cell(composition)


class PlanServices:
    """Preflights in this process; a function of store and key returns the status of a cell."""

    def __init__(self, status=lambda store, key: None):
        self._status = status

    def warm_up(self):
        pass

    def read_statuses(self, store, keys):
        return {key: status for key in keys if (status := self._status(store, key))}

    def preflight(self, cells, check_devices=True):
        return preflight_cells(cells, check_devices)


def plan_overrides(*overrides, status=lambda store, key: None, baselines=False):
    """Return the plan of overrides; `status` gives the status of a key in a store, or None."""
    return make_plan(overrides, PlanServices(status), baselines=baselines)


def usage_problems(*overrides):
    """Return all problems of overrides that cannot be planned."""
    with pytest.raises(UsageError) as error:
        plan_overrides(*overrides)
    return error.value.problems


def run_quintain(*arguments, cwd, timeout=900, **environment):
    """Run the command in a process; return exit code, standard output and standard error."""
    process = subprocess.run(
        [sys.executable, "-m", "quintain", *arguments],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120"} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert "Traceback" not in process.stderr, process.stderr
    return process.returncode, process.stdout, process.stderr


def enable_ctrl_c():
    """For `preexec_fn`: handle SIGINT, which a shell disables for tests in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def comparable_quality(record):
    """Return the quality of a record without the seconds of its curve, which always differ."""
    quality = record.quality.model_dump()
    return quality | {"curve": [{**point, "seconds": None} for point in quality["curve"]]}


def write_file(path, text):
    """Write a file and its folders; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
