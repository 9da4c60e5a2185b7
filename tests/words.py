"""Words as a user types them, composed here or run as a command; shared by several tests."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from quintain.compose.config import composer
from quintain.compose.errors import UsageError
from quintain.compose.expand import expand
from quintain.compose.jobs import compose_all, freeze
from quintain.compose.plan import make_plan
from quintain.compose.preflight import preflight

ROOT = Path(__file__).parent.parent
QUIET = ("wandb.mode=disabled", "budget.steps=2", "budget.validations=1")


def composed(*words):
    """The configurations of a command, one a job."""
    with composer():
        return compose_all(expand(words))


def cell(*words):
    """The one cell of a command."""
    (one,) = composed(*words)
    return freeze(one)


def plan(*words, status=lambda store, key: None, references=False):
    def statuses(store, keys):
        return {key: found for key in keys if (found := status(store, key))}

    return make_plan(words, statuses, preflight, references=references)


def told(*words):
    """All that a user is told of words that cannot be done."""
    with pytest.raises(UsageError) as error:
        plan(*words)
    return error.value.problems


def quintain(*words, cwd, timeout=900, **environment):
    """Runs the command in a process of its own: exit code, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "quintain", *words],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120"} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def hear_ctrl_c():
    """For `preexec_fn`: as from a terminal, even where tests run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def numbers(record):
    """The quality of a record without the seconds of its curve, which no two runs share."""
    quality = record.quality.model_dump()
    return quality | {"curve": [{**point, "seconds": None} for point in quality["curve"]]}


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
