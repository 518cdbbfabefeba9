"""A server that speaks VirtualHome's HTTP protocol, with the graph simulator behind it and faults on demand."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agentlab_runner.envs.virtualhome.graph import Graph
from agentlab_runner.envs.virtualhome.simulator import GraphHousehold


class FakeUnity(ThreadingHTTPServer):
    """`fault` is what goes wrong at `fails_at`, if anything does.

    One of `status`, `refuse`, `silent`, `drip` (a byte every tenth of a second), `hang up`, `garbage`, `list`,
    `no graph`. `renumbers` gives the id of what a grab takes instead of the one that was named.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.home = GraphHousehold()
        self.calls: list[tuple[str, list[Any], list[str]]] = []
        self.fault = ""
        self.fails_at = ""
        self.renumbers: dict[int, int] = {}

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    server: FakeUnity

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert set(body) == {"id", "action", "intParams", "stringParams"}
        action, ints, strings = body["action"], body["intParams"], body["stringParams"]
        self.server.calls.append((action, ints, strings))
        fault = self.server.fault if action == self.server.fails_at else ""
        if fault == "silent":
            time.sleep(2)
        if fault == "hang up":
            return
        reply = b"<html>" if fault == "garbage" else b"[]" if fault == "list" else self._answer(action, strings, fault)
        self.send_response(500 if fault == "status" else 200)
        self.end_headers()
        if fault == "drip":
            for byte in reply:
                self.wfile.write(bytes([byte]))
                time.sleep(0.1)
        else:
            self.wfile.write(reply)

    def _answer(self, action: str, strings: list[str], fault: str) -> bytes:
        home, success = self.server.home, fault != "refuse"
        message = "" if success else "the scene is not loaded"
        if action == "reset":
            home.reset()
        elif action == "environment_graph":
            message = "{}" if fault == "no graph" else json.dumps(as_json(home.graph))
        elif action == "render_script" and success:
            verb, things = re.fullmatch(r"<char0> \[(\w+)\](.*)", strings[1]).groups()
            ids = [int(i) for i in re.findall(r"\((\d+)\)", things)]
            _, success = home.do(verb, *(self.server.renumbers.get(i, i) if verb == "grab" else i for i in ids))
        return json.dumps({"success": success, "message": message, "value": 0, "message_list": []}).encode()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def as_json(graph: Graph) -> dict[str, Any]:
    """VirtualHome's form of a graph."""
    return {
        "nodes": [
            {
                "id": i,
                "class_name": node.class_name,
                "category": node.category,
                "properties": sorted(node.properties),
                "states": sorted(node.states),
            }
            for i, node in graph.nodes.items()
        ],
        "edges": [{"from_id": a, "relation_type": relation, "to_id": b} for a, relation, b in sorted(graph.edges)],
    }


@contextmanager
def fake_unity() -> Iterator[FakeUnity]:
    server = FakeUnity()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
