"""A Slurm cluster of one node for tests, with its own munge and ports, without root or systemd.

Debian's packages are `slurm-wlm` and `munge`. As root on a CI machine (CI=true)
they are installed; elsewhere tests that need them are skipped where they are missing.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

DAEMONS = ("munged", "slurmctld", "slurmd")
PARTITIONS = ("main", "spare")
START_TIMEOUT = 120.0  # seconds for a daemon to start

CONF = """ClusterName=testcluster
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmdParameters=config_overrides
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
InactiveLimit=0
KillWait=15
MinJobAge=300
NodeName={host} NodeHostname={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=spare Nodes={host} MaxTime=INFINITE State=UP
"""


def missing_reason() -> str:
    """Return why Slurm cannot be started on this machine, "" if it can."""
    if not _missing_programs():
        return ""
    if os.environ.get("CI") == "true" and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
    if missing := _missing_programs():
        return f"Slurm is not installed ({', '.join(missing)}): apt-get install slurm-wlm munge"
    return ""


@pytest.fixture(scope="session")
def slurm(tmp_path_factory) -> Iterator[dict[str, str]]:
    """Start a cluster; yield the environment variables with which its commands work."""
    if reason := missing_reason():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    with contextlib.ExitStack() as daemons:
        environment = _start(folder, daemons)
        try:
            yield environment
        finally:
            _cancel_all_jobs(environment)


def _cancel_all_jobs(environment: dict[str, str]) -> None:
    """End all jobs, so that none outlives the cluster."""
    kill = ["scancel", "--signal=KILL", "--full", f"--user={getpass.getuser()}"]
    for command in (kill, kill[:1] + kill[-1:]):
        subprocess.run(command, env=os.environ | environment, capture_output=True)
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and _node_states(environment) != {"idle"}:
        time.sleep(0.2)


def _missing_programs() -> list[str]:
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
    return [name for name in (*DAEMONS, "sbatch") if not shutil.which(name, path=path)]


def _install() -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "slurm-wlm", "munge"]):
        subprocess.run(["apt-get", *arguments], env=environment, capture_output=True, timeout=240)


def _start(folder: Path, daemons: contextlib.ExitStack) -> dict[str, str]:
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
    environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
    for name in ("spool", "state"):
        (folder / name).mkdir()
    (folder / "slurm.conf").write_text(
        CONF.format(
            folder=folder,
            user=getpass.getuser(),
            host=socket.gethostname().partition(".")[0],
            ports=_free_ports(),
        )
    )
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log"}
    options = [f"--{option}={folder}/munge.{name}" for option, name in files.items()]
    options += [f"--seed-file={folder}/munge.seed", "--foreground", "--force"]
    daemons.enter_context(_daemon(folder, environment, "munged", *options))
    _wait_until(lambda: (folder / "munge.socket").exists(), folder, "munged")
    daemons.enter_context(_daemon(folder, environment, "slurmctld", "-D"))
    daemons.enter_context(_daemon(folder, environment, "slurmd", "-D"))
    _wait_until(lambda: _node_states(environment) == {"idle"}, folder, "slurmctld", "slurmd")
    return environment


@contextlib.contextmanager
def _daemon(
    folder: Path, environment: dict[str, str], name: str, *arguments: str
) -> Iterator[None]:
    command = [shutil.which(name, path=environment["PATH"]) or name, *arguments]
    with (folder / f"{name}.out").open("wb") as output:
        process = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _node_states(environment: dict[str, str]) -> set[str]:
    process = subprocess.run(
        ["sinfo", "--noheader", "--format=%t"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    return set(process.stdout.split())


def _wait_until(condition, folder: Path, *names: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            output = "\n".join((folder / f"{name}.out").read_text()[-2000:] for name in names)
            pytest.skip(f"Slurm is installed and does not start: {output}")
        time.sleep(0.2)


def _free_ports() -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]
