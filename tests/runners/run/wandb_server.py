"""A W&B server of a page: it takes what runs and `wandb sync` send it, and says what it has when a run is resumed.

It answers what the client asks of one user's runs, holds histories by the offsets at which they are written, as W&B
does, and calls every artifact known so that none is uploaded.
"""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0" * 40


@dataclass
class Served:
    """One run as the server has it."""

    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] | None = None
    name: str | None = None
    group: str | None = None
    exit_code: int | None = None
    uploads: list[str] = field(default_factory=list)


class WandbServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.runs: dict[str, Served] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that the client drops are no news."""


@contextmanager
def serving() -> Iterator[WandbServer]:
    with WandbServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server: WandbServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer({})

    def do_PUT(self) -> None:
        self._body()
        self._answer({})

    def do_POST(self) -> None:
        body = json.loads(self._body())
        if self.path.endswith("/file_stream"):
            self._take(self.server.runs.setdefault(self.path.split("/")[-2], Served()), body)
            return self._answer({})
        asked = re.search(r"(?:query|mutation)\s+(\w+)", body["query"])
        answer = getattr(self, f"_{asked[1]}", lambda _: {}) if asked else lambda _: {}
        return self._answer({"data": answer(body.get("variables") or {})})

    def _take(self, run: Served, sent: dict[str, Any]) -> None:
        files = sent.get("files") or {}
        if chunk := files.get("wandb-history.jsonl"):
            rows = [json.loads(line) for line in chunk["content"]]
            run.history[chunk["offset"] : chunk["offset"] + len(rows)] = rows
        if chunk := files.get("wandb-summary.json"):
            run.summary = json.loads(chunk["content"][0])
        if sent.get("complete"):
            run.exit_code = sent["exitcode"]

    def _Viewer(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"viewer": {"id": "u", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}}

    def _RunResumeStatus(self, asked: dict[str, Any]) -> dict[str, Any]:
        run, bucket = self.server.runs.get(asked["name"]), None
        if run and run.config is not None:
            bucket = {
                "id": asked["name"], "name": asked["name"], "displayName": run.name, "config": json.dumps(run.config),
                "summaryMetrics": json.dumps(run.summary), "wandbConfig": json.dumps({"t": 1}), "tags": [],
                "historyTail": json.dumps([*map(json.dumps, run.history[-1:])]), "eventsTail": "[]",
                "historyLineCount": len(run.history), "eventsLineCount": 0, "logLineCount": 0,
            }  # fmt: skip
        return {"model": {"id": "p", "name": "p", "entity": {"id": "e", "name": "me"}, "bucket": bucket}}

    def _UpsertBucket(self, sent: dict[str, Any]) -> dict[str, Any]:
        fresh = sent["name"] not in self.server.runs
        run = self.server.runs.setdefault(sent["name"], Served())
        run.config = json.loads(sent["config"]) if sent.get("config") else run.config or {}
        run.name, run.group = sent.get("displayName") or run.name, sent.get("groupName") or run.group
        project = {"id": "p", "name": "p", "entity": {"id": "e", "name": "me"}}
        bucket = {"id": sent["name"], "name": sent["name"], "displayName": run.name, "project": project}
        return {"upsertBucket": {"bucket": bucket | {"historyLineCount": len(run.history)}, "inserted": fresh}}

    def _CreateRunFiles(self, sent: dict[str, Any]) -> dict[str, Any]:
        self.server.runs[sent["run"]].uploads += sent["files"]
        files = [{"name": name, "uploadUrl": f"{self.server.url}/{name}"} for name in sent["files"]]
        return {"createRunFiles": {"runID": sent["run"], "uploadHeaders": [], "files": files}}

    def _CreateArtifact(self, _: dict[str, Any]) -> dict[str, Any]:
        artifact = {"id": "a", "state": "COMMITTED", "artifactSequence": {"id": "s", "latestArtifact": None}}
        return {"createArtifact": {"artifact": artifact}}

    def _ArtifactType(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"project": None}

    def _body(self) -> bytes:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

    def _answer(self, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
