"""Settings, resources and the run of one cell, which both cluster executors share."""

import os
import signal
import subprocess
import threading
import time
from dataclasses import replace

import pytest
from helpers import failing_plugins
from helpers.cell_factory import build_cell
from helpers.commands import comparable_quality, usage_problems

from quintain.compose.plugin_providers import register_local_plugins
from quintain.compose.settings import Settings
from quintain.errors import ExitCode, UsageError
from quintain.launch.cluster import slurm_cli
from quintain.launch.cluster.run_process import (
    RunProcess,
    _reap_exit_code,
    execute,
    write_specs,
)
from quintain.launch.cluster.slurm import SlurmCluster
from quintain.launch.cluster.slurm_cli import JobState
from quintain.launch.resources import group_by_resources, required_resources
from quintain.launch.sweep import create_executor
from quintain.records.store import Store

TIMEOUT = 600.0  # seconds for anything that must happen, on a slow machine too


def small_cell(steps: int = 4, seed: int = 1, **more):
    return build_cell("digits", "mlp", seed=seed, budget={"steps": steps, "validations": 1}, **more)


def write_spec(store: Store, cell, limit: float | None = None):
    (spec,) = write_specs(store, [cell], Settings(store.path, 1, limit, {}))
    return spec


def test_limits_and_checkpoint_interval_reach_the_job(tmp_path):
    specs = write_specs(
        Store(tmp_path), [small_cell()], Settings(tmp_path, 1, 9.0, {}, checkpoint_every=120.0)
    )
    assert [(spec.time_limit, spec.checkpoint_every) for spec in specs] == [(9.0, 120.0)]


def test_a_cell_with_a_secret_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hf_secretvalue123")
    cell = small_cell(optimizer={"note": "hf_secretvalue123"})
    with pytest.raises(UsageError, match="digits/mlp/cpu/s1: a setting contains a secret"):
        write_specs(Store(tmp_path), [cell], Settings(tmp_path, 1, None, {}))
    assert not list(tmp_path.rglob("*.json"))


def test_nothing_is_submitted_if_squeue_does_not_answer(tmp_path, monkeypatch):
    (tmp_path / "slurm" / "jobs").mkdir(parents=True)
    (tmp_path / "slurm" / "jobs" / small_cell().key).write_text("7")
    for name, answer in (("check_available", None), ("query_states", None)):
        monkeypatch.setattr(slurm_cli, name, lambda *_, answer=answer: answer)
    settings = Settings(tmp_path, 1, None, {}, slurm={"partition": None})
    with pytest.raises(UsageError, match="squeue does not answer"):
        list(SlurmCluster(Store(tmp_path), settings, 1).run([small_cell()], lambda: 0))


@pytest.mark.parametrize("executor", ["slurm", "ray"])
@pytest.mark.parametrize("limit", ["memory_limit", "hang_limit"])
def test_local_limits_are_refused_on_clusters(tmp_path, executor, limit):
    settings = replace(Settings(tmp_path, 1, None, {}), executor=executor, **{limit: 5.0})
    with pytest.raises(UsageError, match=f"launch.{limit}.*launch.executor=local only"):
        create_executor(settings, Store(tmp_path), 1)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("launch.executor=slrm", "launch.executor must be one of local, slurm, ray; got 'slrm'"),
        ("launch.slurm.time=0", "launch.slurm.time must be a whole number of minutes above 0"),
        ("launch.slurm.cpus=many", "launch.slurm.cpus must be a whole number of cores"),
        ("launch.slurm.partition=[a,b]", "launch.slurm.partition must be a string"),
        ("launch.slurm.setup=module", "launch.slurm.setup must be a list of shell commands"),
        ("launch.slurm.extra=x", "launch.slurm.extra must be options"),
        ("launch.ray.address=3", "launch.ray.address must be a string such as auto"),
        ("launch.detach=true", "launch.detach needs launch.executor=slurm; got local"),
        ("launch.slurm=3", "launch.slurm must be a table of settings (partition, account"),
    ],
)
def test_a_wrong_setting_is_one_message(override, message):
    (problem,) = usage_problems("model=mlp", override)
    assert problem.startswith(message)


def test_resources_follow_the_hardware_plugin():
    single = required_resources(small_cell())
    assert (single.cpus, single.gpus) == (1, 0)
    threads = small_cell(hardware={"threads": 3})
    assert required_resources(threads).cpus == 3
    cuda = {"_target_": "quintain.plugins.hardware.cuda.Cuda"}
    gpu = build_cell("digits", "mlp")
    gpu.config["hardware"] = cuda
    assert str(required_resources(gpu)) == "1 CPU and 1 GPU"
    groups = group_by_resources([small_cell(), threads, small_cell(seed=2), gpu])
    assert [len(group) for group in groups.values()] == [2, 1, 1]
    many = build_cell("digits", "mlp")
    many.config["hardware"] = {"_target_": "quintain.plugins.hardware.multi_node.MultiNode"}
    with pytest.raises(UsageError, match=f"needs 2 machines.*--key {many.key[:8]}"):
        required_resources(many)


def test_states_and_errors_of_slurm_jobs():
    assert (
        JobState("CANCELLED").is_final
        and not JobState("COMPLETING").is_final
        and JobState("PENDING").is_waiting
    )
    assert not JobState("PENDING", "Resources").never_starts
    assert JobState("PENDING", "(PartitionTimeLimit)").never_starts
    assert "launch.slurm.time" in JobState("PENDING", "PartitionTimeLimit").describe()
    assert JobState("TIMEOUT", "TimeLimit").describe().endswith("(TimeLimit)")
    output = "sbatch: error: Batch job submission failed: Invalid account\nsbatch: error: x\n"
    assert (
        slurm_cli.sbatch_error(ValueError(output))
        == "Batch job submission failed: Invalid account; x"
    )


def test_a_preempted_job_continues_to_the_record_of_an_uninterrupted_one(tmp_path, monkeypatch):
    store, uninterrupted_store = Store(tmp_path / "store"), Store(tmp_path / "whole")
    plugins = failing_plugins.write_models(tmp_path / "mine")
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(plugins))
    register_local_plugins()
    target, budget = "quintain_local.model.bad.Good", {"steps": 40, "validations": 1}
    cell = build_cell("digits", "good", target=target, plugins=plugins, budget=budget)
    run = RunProcess(write_spec(store, cell))
    messages: list[str] = []
    thread = threading.Thread(target=lambda: messages.append(execute(run)), daemon=True)
    with failing_plugins.hold_runs(plugins) as waiting:
        thread.start()
        deadline = time.monotonic() + TIMEOUT
        while not waiting.exists():
            assert thread.is_alive() and time.monotonic() < deadline, messages
            time.sleep(0.02)
        run.preempted.set()
        os.kill(run._process.pid, signal.SIGTERM)
    thread.join(TIMEOUT)
    assert messages == ["preempted; the state is saved, and the same command resumes the run"]
    assert store.read(cell.key) is None and list(store.checkpoints(cell.key).iterdir())
    assert store.claim(cell.key).release() is None

    for target_store in (store, uninterrupted_store):
        spec = write_spec(target_store, cell)
        assert execute(RunProcess(spec)) == "the record is in the store"
    resumed, uninterrupted = store.read(cell.key), uninterrupted_store.read(cell.key)
    assert (
        comparable_quality(resumed) == comparable_quality(uninterrupted)
        and resumed.cost.resumed == 1
    )
    finished_run = RunProcess(write_spec(store, cell))
    assert execute(finished_run) == "the record is in the store"
    assert finished_run._process is None  # nothing was run


@pytest.mark.parametrize("system", ["with waitid", "without, as macOS before Python 3.13"])
@pytest.mark.parametrize(
    ("script", "number", "code"),
    [("exit 7", None, 7), ("kill -9 $$", None, -9), ("exec sleep 600", signal.SIGTERM, -15)],
)
def test_exit_codes_of_a_run(tmp_path, monkeypatch, system, script, number, code):
    """Read twice, as by a signal handler during `wait`."""
    if system != "with waitid":
        monkeypatch.delattr(os, "waitid")
    run = RunProcess(write_spec(Store(tmp_path), small_cell()))
    run._process = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    assert number is None or run.terminate(number) == code
    assert run.wait() == code and run.terminate() == code
    if system != "with waitid":
        assert (
            _reap_exit_code(run._process.pid) == ExitCode.PREEMPTED
        )  # the child was already reaped


def test_a_run_that_crashes_or_takes_too_long_is_a_failed_record(tmp_path):
    store = Store(tmp_path)
    cell = small_cell(steps=100_000)
    spec = write_spec(store, cell, 1.0)
    assert "longer than its limit of 1 s" in execute(RunProcess(spec))
    assert store.read(cell.key).error.kind == "timeout"
    gone = small_cell(seed=2)
    gone.plugins.append(str(tmp_path / "gone"))
    spec = write_spec(store, gone)
    assert "ended by exit code 2" in execute(RunProcess(spec))
    assert "is not a folder" in store.read(gone.key).error.message
