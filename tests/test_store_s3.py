"""A store in S3: a real server on loopback that comes and goes, and two machines at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("s3fs")
pytest.importorskip("moto")

import boto3
from moto.server import ThreadedMotoServer
from records_factory import make

from quintain.records import outbox
from quintain.records.remote import Remote, RemoteError, working_folder
from quintain.records.store import Store

# botocore and the server's packages warn of their own ways
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

HERE = Path(__file__).parent
SECRET = "not-a-real-secret-but-one"
URL = "s3://bench/results"
FINISH = """
import sys; sys.path.insert(0, sys.argv[1])
from records_factory import make
from quintain.records.courier import mirrored
from quintain.records.store import Store
hour = int(sys.argv[2])
with mirrored(["store=s3://bench/both"], writes=True, say=print) as trip:
    store = Store(trip.settings[0].removeprefix("store="))
    for seed in range(12):
        late = (seed + hour) % 2
        status = "failed" if seed % 4 == 0 and late else "ok"
        store.write(make(seed=seed, status=status, finished=f"2026-11-01T1{late}:00:00Z"))
sys.exit(trip.code)
"""


class Server:
    """An S3 server that keeps what it holds while it is away."""

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
    made = Server()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def account(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUINTAIN_STORES", str(tmp_path / "here"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    boto3.client("s3").create_bucket(Bucket="bench")


def keys(prefix: str) -> list[str]:
    found = boto3.client("s3").list_objects_v2(Bucket="bench", Prefix=prefix)
    return [entry["Key"] for entry in found.get("Contents", [])]


def until(question: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_records_and_samples_there_and_back(tmp_path, monkeypatch) -> None:
    here, record = Remote(URL), make()
    here.prepare()
    here.pull()
    here.check_writable()
    here.store.samples(record.key).mkdir(parents=True)
    (here.store.samples(record.key) / "0.png").write_bytes(b"\x89PNG")
    for seed in range(3):
        here.store.write(make(seed=seed))
    assert here.push() == 3 and len(keys("results/records/")) == 3
    monkeypatch.setenv("QUINTAIN_STORES", str(tmp_path / "there"))
    there = Remote(URL)
    there.prepare()
    assert there.pull() == 3 and there.store.all() == here.store.all()
    assert (there.bring_samples(record.key) / "0.png").read_bytes() == b"\x89PNG"
    assert not there.bring_samples(make(seed=2).key).exists()
    content = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(SECRET.encode() in text for text in content)


def test_a_bucket_that_is_not_there_is_refused_and_not_made(tmp_path) -> None:
    remote = Remote("s3://no-such-bucket/x")
    remote.prepare()
    with pytest.raises(RemoteError, match="refuses") as caught:
        remote.pull()
        remote.check_writable()
    assert not caught.value.away and SECRET not in str(caught.value)
    names = {bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]}
    assert "no-such-bucket" not in names


def test_without_credentials_it_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(RemoteError, match="redentials") as caught:
        Remote(URL).pull()
    assert not caught.value.away


def test_two_machines_finish_the_same_cells(tmp_path) -> None:
    """Two processes that share nothing but the server, at the same time."""
    machines = []
    for hour in (0, 1):
        environment = os.environ | {"QUINTAIN_STORES": str(tmp_path / f"machine{hour}")}
        command = [sys.executable, "-c", FINISH, str(HERE), str(hour)]
        machines.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE))
    for process in machines:
        said = process.communicate(timeout=900)[0].decode()
        assert process.returncode == 0, said  # a busy server may be away for a moment, and is said
    merged = []
    for place in ("machine0", "machine1", "machine2"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("QUINTAIN_STORES", str(tmp_path / place))
            remote = Remote("s3://bench/both")
            remote.prepare()
            remote.pull()
            merged.append({file.stem: file.read_bytes() for file in remote.store.files()})
    assert merged[0] == merged[1] == merged[2] and len(merged[0]) == 12
    assert len(keys("both/records/")) == 24  # nothing was replaced
    records = remote.store.all()
    assert {record.status for record in records} == {"ok"}
    expected = {seed: "T10" if seed % 4 == 0 else "T11" for seed in range(12)}
    assert {record.seed: record.finished[10:13] for record in records} == expected


def test_the_server_goes_away_in_the_middle_of_a_sweep(server, tmp_path) -> None:
    url = "s3://bench/sweep"
    words = ["dataset=digits", "model=mlp", "seed=range(1,11)", "budget.steps=60"]
    words += ["hardware=cpu", "budget.params=9000", "wandb.mode=disabled"]
    words += ["launch.workers=1", "--no-references"]
    command = [sys.executable, "-m", "quintain", "sweep", *words, f"store={url}"]
    store = Store(working_folder(url))
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as sweep:
        try:
            until(lambda: keys("sweep/records/") or sweep.poll() is not None)
            server.stop()
            until(lambda: len(store.files()) >= 3 or sweep.poll() is not None)
            waiting = len(outbox.waiting(store.path))
        finally:
            server.start()
        out, error = sweep.communicate(timeout=900)
    assert sweep.returncode == 0, out + error
    assert waiting >= 1 and outbox.waiting(store.path) == []
    assert len(keys("sweep/records/")) == 10 and len(keys("sweep/plans/")) == 1
    assert SECRET not in out + error and "Traceback" not in error
