"""A server that speaks vLLM's protocol over a real policy, and fails as it is told to."""

import base64
import io
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import torch
from PIL import Image

from agentlab_runner.agents.llm.policy import LanguagePolicy
from agentlab_runner.agents.llm.weights.adapters import load_adapters


@dataclass
class Stub:
    """What it is and what it did."""

    policy: LanguagePolicy
    token: str = ""
    served: tuple[str, ...] = ("base",)
    fail: list[tuple[int, str]] = field(default_factory=list)
    """HTTP states and words of the next answers."""
    refuse_adapters: str = ""
    silent: float = 0.0
    """Seconds before an answer."""
    without: str = ""
    """A key left out of every choice."""
    drop_end: bool = False
    """Leave the end token out of an utterance, as some servers do."""
    raw: bool = False
    """Tell probabilities before the temperature."""
    seen: list[tuple[str, Any]] = field(default_factory=list)
    adapters: list[str] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, body: Any) -> Any:
        if path == "/v1/models":
            return {"data": [{"id": name} for name in (*self.served, *self.adapters)]}
        if path == "/v1/load_lora_adapter":
            if self.refuse_adapters:
                return self.refuse_adapters
            load_adapters(self.policy.model, body["lora_path"])
            self.adapters.append(body["lora_name"])
            return {}
        if path == "/v1/unload_lora_adapter":
            self.adapters.remove(body["lora_name"])
            return {}
        if path != "/v1/chat/completions":
            return None
        assert body["model"] in self.adapters
        observation = _observation(body["messages"][0]["content"])
        with torch.random.fork_rng():
            torch.manual_seed(body.get("seed", 0))
            (said,) = self.policy.generate([observation], deterministic=body["temperature"] == 0)
        ids, logprobs = list(said.token_ids), list(said.logprobs)
        if self.raw:
            scores = self.policy.score([observation], [said.token_ids])
            logits = scores.logits[0] * self.policy.temperature
            logprobs = logits.log_softmax(-1).gather(-1, torch.tensor(ids)[:, None])[:, 0].tolist()
        ended = ids[-1] in self.policy.eos_ids
        if ended and self.drop_end:
            ids, logprobs = ids[:-1], logprobs[:-1]
        choice = {
            "finish_reason": "stop" if ended else "length",
            "token_ids": ids,
            "logprobs": {"content": [{"token": "", "logprob": value} for value in logprobs]},
            "message": {"content": said.text},
        }
        choice.pop(self.without, None)
        return {"choices": [choice]}


def _observation(content: Any) -> dict[str, Any]:
    if isinstance(content, str):
        return {"text": content}
    image, text = content
    pixels = Image.open(io.BytesIO(base64.b64decode(image["image_url"]["url"].partition("base64,")[2])))
    return {"text": text["text"], "image": np.asarray(pixels)}


@contextmanager
def serving(stub: Stub):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.respond(None)

        def do_POST(self):
            self.respond(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def respond(self, body):
            with stub.lock:
                stub.seen.append((self.path, body))
                time.sleep(stub.silent)
                if stub.token and self.headers.get("Authorization") != f"Bearer {stub.token}":
                    return self.send(401, {"error": {"message": "no such key"}})
                if stub.fail:
                    code, words = stub.fail.pop(0)
                    return self.send(code, {"error": {"message": words}})
                answer = stub.answer(self.path, body)
                code = 404 if answer is None else 400 if isinstance(answer, str) else 200
                return self.send(code, "Not Found" if answer is None else answer)

        def send(self, code, content):
            data = json.dumps({"error": {"message": content}} if isinstance(content, str) else content).encode()
            try:
                self.send_response(code)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except BrokenPipeError:
                pass  # it was not waited for

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stub.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
