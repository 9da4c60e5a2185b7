"""A fake W&B server on loopback, which accepts and records all requests of publishing.

It shows what the SDK sends, not what a real server would accept.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY = "tester"


class FakeServer(ThreadingHTTPServer):
    """Records `operations` by name, `runs` by id, `uploads` by path and `streams` by run."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.operations: Counter[str] = Counter()
        self.variables: list[tuple[str, dict[str, Any]]] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, bytes] = {}
        self.streams: Counter[str] = Counter()
        self.unknown: list[str] = []
        self.keys: set[str] = set()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def total(self) -> int:
        """Return the number of requests."""
        with self.lock:
            return self.operations.total() + len(self.uploads) + self.streams.total()

    def handle_error(self, *_: object) -> None:
        """Ignore clients that have disconnected."""

    def respond(self, name: str, values: dict[str, Any]) -> dict[str, Any]:
        """Return the data of a GraphQL response."""
        self.operations[name] += 1
        self.variables.append((name, values))
        if make_response := _RESPONSES.get(name):
            return make_response(self, values)  # type: ignore[no-any-return]
        self.unknown.append(name)
        return {}


def _bucket(server: FakeServer, values: dict[str, Any]) -> dict[str, Any]:
    run = str(values["name"])
    server.runs.setdefault(run, {}).update({k: v for k, v in values.items() if v is not None})
    project = {"name": values.get("project"), "entity": {"name": ENTITY}}
    bucket = {"id": f"id-{run}", "name": run, "displayName": values.get("displayName") or run,
              "project": project, "sweepName": None, "historyLineCount": 0,
              "config": "{}"}  # fmt: skip
    return {"upsertBucket": {"bucket": bucket, "inserted": True}}


def _files(server: FakeServer, values: dict[str, Any]) -> dict[str, Any]:
    run = values["run"]
    files = [{"name": n, "uploadUrl": f"{server.url}/put/{run}/{n}"} for n in values["files"]]
    return {"createRunFiles": {"runID": f"id-{run}", "uploadHeaders": [], "files": files}}


def _artifact(server: FakeServer, values: dict[str, Any]) -> dict[str, Any]:
    name = values["input"]["artifactCollectionName"]
    artifact = {"id": f"art-{name}", "state": "PENDING", "artifactSequence": {
        "id": f"seq-{name}", "latestArtifact": None}}  # fmt: skip
    return {"createArtifact": {"artifact": artifact}}


def _manifest(server: FakeServer, values: dict[str, Any]) -> dict[str, Any]:
    url = (
        f"{server.url}/put/manifest/{values.get('artifactID') or values.get('artifactManifestID')}"
    )
    file = {"id": "f", "uploadUrl": url, "uploadHeaders": []}
    return {"artifactManifest": {"id": str(values.get("artifactID")), "file": file}}


def _artifact_files(server: FakeServer, values: dict[str, Any]) -> dict[str, Any]:
    nodes = []
    for spec in values["input"]["artifactFiles"]:
        path = f"{spec['artifactID']}/{spec['name']}"
        node = {"id": path, "name": spec["name"], "displayName": spec["name"], "uploadHeaders": [],
                "storagePath": path, "uploadUrl": f"{server.url}/put/{path}",
                "uploadMultipartUrls": None, "artifact": {"id": spec["artifactID"]}}  # fmt: skip
        nodes.append({"node": node})
    return {"createArtifactFiles": {"files": {"edges": nodes}}}


def _committed(server: FakeServer, values: dict[str, Any]) -> dict[str, Any]:
    artifact = {"id": values["artifactID"], "digest": "d"}
    return {"commitArtifact": {"artifact": artifact}}


def _artifact_by_id(server: FakeServer, values: dict[str, Any]) -> dict[str, Any]:
    """Return a committed artifact with the fields that the SDK requires."""
    name = str(values["id"]).removeprefix("art-")
    project = {"id": "p", "internalId": "1", "name": "duel", "entity": {"name": ENTITY}}
    sequence = {"__typename": "ArtifactSequence", "name": name, "project": project}
    artifact = {"__typename": "Artifact", "id": values["id"], "versionIndex": 0,
                "state": "COMMITTED", "artifactSequence": sequence,
                "artifactType": {"name": name}, "description": None, "metadata": "{}",
                "ttlDurationSeconds": 0, "ttlIsInherited": True, "tags": [], "historyStep": None,
                "size": 1, "digest": "d", "digestAlgorithm": "MANIFEST_MD5", "commitHash": "c",
                "fileCount": 1, "createdAt": "2026-11-01T10:00:00Z", "updatedAt": None,
                "aliases": []}  # fmt: skip
    return {"artifact": artifact}


def _projects(server: FakeServer, values: dict[str, Any]) -> dict[str, Any]:
    node = {"__typename": "Project", "id": "p", "name": "duel", "entityName": ENTITY, "user": None,
            "createdAt": "2026-11-01T10:00:00Z", "isBenchmark": False}  # fmt: skip
    page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
    return {"models": {"pageInfo": page, "edges": [{"node": node}]}}


_RESPONSES: dict[str, Any] = {
    "ServerFeaturesQuery": lambda *_: {"serverInfo": {"features": []}},
    "Viewer": lambda *_: {
        "viewer": {"id": "u", "entity": ENTITY, "username": ENTITY, "flags": "{}",
                   "teams": {"edges": []}}
    },
    "RunResumeStatus": lambda *_: {"model": None},
    "UpsertBucket": _bucket,
    "CreateRunFiles": _files,
    "MarkRunFilesUploaded": lambda *_: {"markRunFilesUploaded": {"success": True}},
    "CreateArtifact": _artifact,
    "CreateArtifactManifest": lambda s, v: {"createArtifactManifest": _manifest(s, v)},
    "UpdateArtifactManifest": lambda s, v: {"updateArtifactManifest": _manifest(s, v)},
    "CreateArtifactFiles": _artifact_files,
    "CommitArtifact": _committed,
    "UseArtifact": lambda s, v: {"useArtifact": {"artifact": {"id": v["input"]["artifactID"]}}},
    "ArtifactByID": _artifact_by_id,
    "ClientIDMapping": lambda *_: {"clientIDMapping": {"serverID": "art-run_table"}},
    "GetDefaultEntity": lambda *_: {"viewer": {"id": "u", "entity": ENTITY}},
    "GetProjects": _projects,
    "upsertView": lambda _, v: {
        "upsertView": {"view": {**v, "id": v["id"] or "view-1", "project": {
            "name": v["projectName"], "entityName": v["entityName"], "id": "p"}},
            "inserted": not v["id"]}
    },
    "ArtifactType": lambda *_: {"project": None},
    "FetchArtifactDigestAlgorithm": lambda *_: {"project": None},
    "XXHashDigestsEnabled": lambda *_: {"entity": {"xxhashDigestsEnabled": False}},
    "OrgFeatureFlags": lambda *_: {"organization": None},
}  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer
    protocol_version = "HTTP/1.1"

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send_json(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self._body()
        with self.server.lock:
            if self.headers.get("Authorization"):
                self.server.keys.add(self.headers["Authorization"])
            if "file_stream" in self.path:
                self.server.streams[self.path.split("/")[-2]] += 1
                return self._send_json({"exitcode": None})
            request = json.loads(body)
            name = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])
            data = self.server.respond(name[1] if name else "?", request.get("variables") or {})
        return self._send_json({"data": data})

    def do_PUT(self) -> None:
        body = self._body()
        with self.server.lock:
            self.server.uploads[self.path] = body
        self._send_json({})

    def do_GET(self) -> None:
        self._send_json({}, 404)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def serve_wandb() -> Iterator[FakeServer]:
    """Run a server until the end of the block."""
    server = FakeServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
