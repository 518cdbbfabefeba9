"""A server of chat completions on loopback that does what it is told to, and what a healthy one never does."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


@dataclass
class Answer:
    """What goes over the wire."""

    content: Any = None
    """JSON, or text or bytes as they are."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Bytes after which the connection is closed, whatever Content-Length has promised."""
    silent: float = 0.0
    """Seconds before it."""


@dataclass
class FaultServer:
    """Its models, what it says, and what it was asked."""

    models: Any = ("small",)
    """Names, or an `Answer`."""
    key: str = ""
    say: Callable[[Body], Any] = lambda body: completion("fine")
    """An `Answer`, or the JSON of one."""
    script: list[Any] = field(default_factory=list)
    """Answers that come first, one a request."""
    delay: float = 0.0
    seen: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""
    most: int = 0
    """Requests under way at once, at most."""
    now: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, body: Body | None) -> Answer:
        if path == "/v1/models":
            if isinstance(self.models, Answer):
                return self.models
            return Answer({"data": [{"id": name} for name in self.models]})
        if path != "/v1/chat/completions" or body is None:
            return Answer({"error": {"message": "Not Found"}}, 404)
        with self.lock:
            self.seen.append(body)
            said = self.script.pop(0) if self.script else self.say(body)
        return said if isinstance(said, Answer) else Answer(said)


def completion(
    text: Any,
    finish: str | None = "stop",
    usage: tuple[int, int] | None = (10, 2),
    model: str = "small-2026",
    **more: Any,
) -> Body:
    """The JSON of an answer."""
    message = {"role": "assistant", "content": text} | more.pop("message", {})
    counts = {"usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1]}} if usage else {}
    choice = {"index": 0, "message": message, "finish_reason": finish} | more
    return {"model": model, "choices": [choice]} | counts


def refusal(message: str, status: int = 400, **more: Any) -> Answer:
    return Answer({"error": {"message": message} | more}, status)


def events(*pieces: Any, done: bool = True) -> Answer:
    """An answer in pieces: texts, and at last why it ended."""
    lines = []
    for piece in pieces:
        lines.append(json.dumps(piece if isinstance(piece, dict) else {"choices": [{"delta": {"content": piece}}]}))
    text = "".join(f"data: {line}\n\n" for line in [*lines, *(["[DONE]"] if done else [])])
    return Answer(text, headers={"Content-Type": "text/event-stream"})


ENDED = {"model": "small-2026", "choices": [{"delta": {}, "finish_reason": "stop"}]}


@contextmanager
def serving(server: FaultServer) -> Iterator[FaultServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.respond(None)

        def do_POST(self) -> None:
            self.respond(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def respond(self, body: Body | None) -> None:
            with server.lock:
                server.headers.append(dict(self.headers))
                server.paths.append(self.path)
                server.now += 1
                server.most = max(server.most, server.now)
            try:
                if server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
                    shown = self.headers.get("Authorization", "")
                    self.send(Answer({"error": {"message": f"Incorrect key provided: {shown}"}}, 401))
                    return
                answer = server.answer(self.path, body)
                time.sleep(answer.silent + server.delay)
                self.send(answer)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # it was not waited for
            finally:
                with server.lock:
                    server.now -= 1

        def send(self, answer: Answer) -> None:
            content = answer.content
            if not isinstance(content, str | bytes):
                content = json.dumps(content)
            data = content.encode() if isinstance(content, str) else content
            self.send_response(answer.status)
            for name, value in ({"Content-Type": "application/json"} | answer.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data if answer.cut is None else data[: answer.cut])
            if answer.cut is not None:
                self.close_connection = True

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    listening = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{listening.server_port}/v1"
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
