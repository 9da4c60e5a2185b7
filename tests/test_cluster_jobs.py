"""What both cluster executors share: settings, resources, and one cell run as a job."""

import os
import signal
import subprocess
import threading
import time
from dataclasses import replace

import bad_plugins
import pytest
from cells_factory import cell
from words import numbers, told

from quintain.compose.errors import UsageError
from quintain.compose.providers import import_local
from quintain.compose.settings import Settings
from quintain.launch import scheduler
from quintain.launch.executors import choose
from quintain.launch.job import AGAIN, Run, _take, carry_out, write_orders
from quintain.launch.resources import by_resources, resources_of
from quintain.launch.scheduler import State
from quintain.launch.slurm import Slurm
from quintain.records.store import Store

WAIT = 600.0  # seconds for anything that must happen, on a slow machine too


def small(steps: int = 4, seed: int = 1, **more):
    return cell("digits", "mlp", seed=seed, budget={"steps": steps, "validations": 1}, **more)


def order(store: Store, made, limit: float | None = None):
    (only,) = write_orders(store, [made], limit)
    return only


def test_a_job_keeps_its_state_as_often_as_asked(tmp_path):
    given = write_orders(Store(tmp_path), [small()], 9.0, 120.0)
    assert [(order.time_limit, order.checkpoint_every) for order in given] == [(9.0, 120.0)]


def test_a_secret_in_a_setting_is_written_into_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hf_secretvalue123")
    made = small(optimizer={"note": "hf_secretvalue123"})
    with pytest.raises(UsageError, match="digits/mlp/cpu/s1: a setting holds a secret"):
        write_orders(Store(tmp_path), [made])
    assert not list(tmp_path.rglob("*.json"))


def test_a_silent_squeue_submits_nothing(tmp_path, monkeypatch):
    (tmp_path / "slurm" / "jobs").mkdir(parents=True)
    (tmp_path / "slurm" / "jobs" / small().key).write_text("7")
    for name, answer in (("check", None), ("states", None)):
        monkeypatch.setattr(scheduler, name, lambda *_, answer=answer: answer)
    settings = Settings(tmp_path, 1, None, {}, slurm={"partition": None})
    with pytest.raises(UsageError, match="does not say which jobs are in the queue"):
        list(Slurm(Store(tmp_path), settings, 1).run([small()], lambda: 0))


@pytest.mark.parametrize("executor", ["slurm", "ray"])
@pytest.mark.parametrize("limit", ["memory_limit", "hang_limit"])
def test_a_limit_that_only_this_machine_watches_is_refused_elsewhere(tmp_path, executor, limit):
    settings = replace(Settings(tmp_path, 1, None, {}), executor=executor, **{limit: 5.0})
    with pytest.raises(UsageError, match=f"launch.{limit}.*launch.executor=local only"):
        choose(settings, Store(tmp_path), 1)


def test_the_exit_code_is_that_of_a_run():
    from quintain.run import checkpoint

    assert AGAIN == checkpoint.AGAIN


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("launch.executor=slrm", "launch.executor must be one of local, slurm, ray; came 'slrm'"),
        ("launch.slurm.time=0", "launch.slurm.time must be a whole number of minutes above 0"),
        ("launch.slurm.cpus=many", "launch.slurm.cpus must be a whole number of cores"),
        ("launch.slurm.partition=[a,b]", "launch.slurm.partition must be a text"),
        ("launch.slurm.setup=module", "launch.slurm.setup must be a list of shell commands"),
        ("launch.slurm.extra=x", "launch.slurm.extra must be options"),
        ("launch.ray.address=3", "launch.ray.address must be a text such as auto"),
        ("launch.detach=true", "launch.detach needs launch.executor=slurm, came local"),
        ("launch.slurm=3", "launch.slurm has settings (partition, account"),
    ],
)
def test_wrong_settings_are_one_sentence(word, sentence):
    (problem,) = told("model=mlp", word)
    assert problem.startswith(sentence)


def test_what_the_hardware_asks_for():
    alone = resources_of(small())
    assert (alone.cpus, alone.gpus) == (1, 0)
    threads = small(hardware={"threads": 3})
    assert resources_of(threads).cpus == 3
    cuda = {"_target_": "quintain.plugins.hardware.cuda.Cuda"}
    gpu = cell("digits", "mlp")
    gpu.config["hardware"] = cuda
    assert str(resources_of(gpu)) == "1 CPU and 1 GPU"
    groups = by_resources([small(), threads, small(seed=2), gpu])
    assert [len(group) for group in groups.values()] == [2, 1, 1]
    many = cell("digits", "mlp")
    many.config["hardware"] = {"_target_": "quintain.plugins.hardware.multi_node.MultiNode"}
    with pytest.raises(UsageError, match=f"needs 2 machines.*--key {many.key[:8]}"):
        resources_of(many)


def test_states_of_jobs():
    assert State("CANCELLED").over and not State("COMPLETING").over and State("PENDING").waits
    assert not State("PENDING", "Resources").hopeless
    assert State("PENDING", "(PartitionTimeLimit)").hopeless
    assert "launch.slurm.time" in State("PENDING", "PartitionTimeLimit").words()
    assert State("TIMEOUT", "TimeLimit").words().endswith("(TimeLimit)")
    said = "sbatch: error: Batch job submission failed: Invalid account\nsbatch: error: x\n"
    assert scheduler.refusal(ValueError(said)) == "Batch job submission failed: Invalid account; x"


def test_a_job_ends_in_a_record_or_goes_on(tmp_path, monkeypatch):
    """Told to end in the middle, then run again: the numbers of a run that was left alone."""
    store, whole = Store(tmp_path / "store"), Store(tmp_path / "whole")
    plugins = bad_plugins.write(tmp_path / "mine")
    monkeypatch.setenv("QUINTAIN_PLUGINS", str(plugins))
    import_local()
    target, budget = "quintain_local.model.bad.Good", {"steps": 40, "validations": 1}
    made = cell("digits", "good", target=target, plugins=plugins, budget=budget)
    run, ended = Run(order(store, made)), threading.Event()
    said: list[str] = []
    thread = threading.Thread(
        target=lambda: said.append(carry_out(order(store, made), run, ended)), daemon=True
    )
    with bad_plugins.held(plugins) as waits:
        thread.start()
        end = time.monotonic() + WAIT
        while not waits.exists():
            assert thread.is_alive() and time.monotonic() < end, said
            time.sleep(0.02)
        ended.set()
        os.kill(run._process.pid, signal.SIGTERM)
    thread.join(WAIT)
    assert said == ["told to end; the state is kept, and the same command goes on"]
    assert store.read(made.key) is None and list(store.checkpoints(made.key).iterdir())
    assert store.claim(made.key).release() is None

    for place in (store, whole):
        one = order(place, made)
        assert carry_out(one, Run(one), threading.Event()) == "the record is in the store"
    resumed, straight = store.read(made.key), whole.read(made.key)
    assert numbers(resumed) == numbers(straight) and resumed.cost.resumed == 1
    again = Run(order(store, made))
    assert carry_out(order(store, made), again, threading.Event()) == "the record is in the store"
    assert again._process is None  # nothing was run


@pytest.mark.parametrize("system", ["with waitid", "without, as macOS before Python 3.13"])
@pytest.mark.parametrize(
    ("script", "number", "code"),
    [("exit 7", None, 7), ("kill -9 $$", None, -9), ("exec sleep 600", signal.SIGTERM, -15)],
)
def test_how_a_run_ended(tmp_path, monkeypatch, system, script, number, code):
    """Asked twice, as by a signal handler while another asks."""
    if system != "with waitid":
        monkeypatch.delattr(os, "waitid")
    run = Run(order(Store(tmp_path), small()))
    run._process = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    assert number is None or run.end(number) == code
    assert run.wait() == code and run.end() == code
    if system != "with waitid":
        assert _take(run._process.pid) == AGAIN  # somebody else has taken it


def test_a_run_that_dies_or_takes_too_long_is_a_failed_record(tmp_path):
    store = Store(tmp_path)
    made = small(steps=100_000)
    one = order(store, made, 1.0)
    assert "longer than its limit of 1 s" in carry_out(one, Run(one), threading.Event())
    assert store.read(made.key).error.kind == "timeout"
    gone = small(seed=2)
    gone.plugins.append(str(tmp_path / "gone"))
    one = order(store, gone)
    assert "ended by exit code 2" in carry_out(one, Run(one), threading.Event())
    assert "is not a folder" in store.read(gone.key).error.message
