"""A store in S3: a local server that stops and restarts, and two machines at once."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.paths import TESTS

pytest.importorskip("s3fs")
pytest.importorskip("moto")

import boto3
from helpers.record_factory import make_record
from moto.server import ThreadedMotoServer

from quintain.errors import RemoteError
from quintain.records.remote import outbox
from quintain.records.remote.object_storage import open_filesystem
from quintain.records.remote.remote import Remote, working_folder
from quintain.records.store import Store

# botocore and the server warn about their own dependencies
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

SECRET = "not-a-real-secret-but-one"
URL = "s3://bench/results"
RUN_CELLS = """
import sys; sys.path.insert(0, sys.argv[1])
from helpers.record_factory import make_record
from quintain.records.remote.sync import synced_store
from quintain.records.store import Store
hour = int(sys.argv[2])
with synced_store(["store=s3://bench/both"], writes=True, notify=print) as session:
    store = Store(session.overrides[0].removeprefix("store="))
    for seed in range(12):
        late = (seed + hour) % 2
        status = "failed" if seed % 4 == 0 and late else "ok"
        store.write(make_record(seed=seed, status=status, finished=f"2026-11-01T1{late}:00:00Z"))
sys.exit(session.exit_code)
"""


class Server:
    """An S3 server that keeps its objects while it is stopped."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def s3_account(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUINTAIN_STORES", str(tmp_path / "first"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    boto3.client("s3").create_bucket(Bucket="bench")


def list_keys(prefix: str) -> list[str]:
    response = boto3.client("s3").list_objects_v2(Bucket="bench", Prefix=prefix)
    return [entry["Key"] for entry in response.get("Contents", [])]


def wait_until(condition: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_records_and_samples_are_pushed_and_fetched(tmp_path, monkeypatch) -> None:
    first, record = Remote(URL), make_record()
    first.prepare()
    first.fetch_records()
    first.check_writable()
    first.store.samples(record.key).mkdir(parents=True)
    (first.store.samples(record.key) / "0.png").write_bytes(b"\x89PNG")
    for seed in range(3):
        first.store.write(make_record(seed=seed))
    assert first.push() == 3 and len(list_keys("results/records/")) == 3
    monkeypatch.setenv("QUINTAIN_STORES", str(tmp_path / "second"))
    second = Remote(URL)
    second.prepare()
    assert second.fetch_records() == 3 and second.store.all() == first.store.all()
    assert (second.fetch_samples(record.key) / "0.png").read_bytes() == b"\x89PNG"
    assert not second.fetch_samples(make_record(seed=2).key).exists()
    content = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(SECRET.encode() in text for text in content)


def test_missing_bucket_is_refused_and_not_created(tmp_path) -> None:
    remote = Remote("s3://no-such-bucket/x")
    remote.prepare()
    with pytest.raises(RemoteError, match="refuses") as caught:
        remote.fetch_records()
        remote.check_writable()
    assert not caught.value.is_unreachable and SECRET not in str(caught.value)
    names = {bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]}
    assert "no-such-bucket" not in names


def test_missing_credentials_are_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(RemoteError, match="redentials") as caught:
        Remote(URL).fetch_records()
    assert not caught.value.is_unreachable


def test_two_machines_finish_the_same_cells(tmp_path) -> None:
    """Two processes that share nothing but the server, at the same time."""
    machines = []
    for hour in (0, 1):
        environment = os.environ | {"QUINTAIN_STORES": str(tmp_path / f"machine{hour}")}
        command = [sys.executable, "-c", RUN_CELLS, str(TESTS), str(hour)]
        machines.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE))
    for process in machines:
        output = process.communicate(timeout=900)[0].decode()
        assert process.returncode == 0, output  # may hold notes about short outages
    merged = []
    for machine in ("machine0", "machine1", "machine2"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("QUINTAIN_STORES", str(tmp_path / machine))
            remote = Remote("s3://bench/both")
            remote.prepare()
            remote.fetch_records()
            merged.append({file.stem: file.read_bytes() for file in remote.store.files()})
    assert merged[0] == merged[1] == merged[2] and len(merged[0]) == 12
    # Nothing is replaced. Three failed records are not written if the result was fetched before.
    assert 21 <= len(list_keys("both/records/")) <= 24
    records = remote.store.all()
    assert {record.status for record in records} == {"ok"}
    expected = {seed: "T10" if seed % 4 == 0 else "T11" for seed in range(12)}
    assert {record.seed: record.finished[10:13] for record in records} == expected


def test_sweep_continues_while_the_server_is_stopped(server, tmp_path) -> None:
    url = "s3://bench/sweep"
    overrides = ["dataset=digits", "model=mlp", "seed=range(1,11)", "budget.steps=60"]
    overrides += ["hardware=cpu", "budget.params=9000", "wandb.mode=disabled"]
    overrides += ["launch.workers=1", "--no-baselines"]
    command = [sys.executable, "-m", "quintain", "sweep", *overrides, f"store={url}"]
    store = Store(working_folder(url))
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as sweep:
        try:
            wait_until(lambda: list_keys("sweep/records/") or sweep.poll() is not None)
            server.stop()
            wait_until(lambda: len(store.files()) >= 3 or sweep.poll() is not None)
            unpushed = len(outbox.list_files(store.path))
        finally:
            server.start()
        out, error = sweep.communicate(timeout=900)
    assert sweep.returncode == 0, out + error
    assert unpushed >= 1 and outbox.list_files(store.path) == []
    assert len(list_keys("sweep/records/")) == 10 and len(list_keys("sweep/plans/")) == 1
    assert SECRET not in out + error and "Traceback" not in error


def test_connection_errors_of_background_tasks_are_not_printed(caplog) -> None:
    """aiohttp writes a request's body in a task that nobody awaits if the server goes away."""
    loop = open_filesystem("s3").loop

    async def fail(error: Exception) -> None:
        raise error

    async def forget_tasks() -> None:
        for error in (ConnectionResetError("server went away"), ValueError("a fault of ours")):
            await asyncio.wait([asyncio.ensure_future(fail(error))])
        gc.collect()

    asyncio.run_coroutine_threadsafe(forget_tasks(), loop).result(timeout=30)
    messages = [record.getMessage() for record in caplog.records if record.name == "asyncio"]
    errors = [str(record.exc_info[1]) for record in caplog.records if record.name == "asyncio"]
    assert errors == ["a fault of ours"], messages
