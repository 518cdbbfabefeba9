"""A server that fails as it is told to, and what is said to it."""

import numpy as np
import pytest

from agentlab_runner.agents.llm.chat.endpoint import Endpoint
from agentlab_runner.agents.llm.chat.types import Message
from agentlab_runner.runners.frames import Frame
from tests.agents.llm.chat.fault_server import FaultServer, serving

KEY = "sk-loud-and-secret-0123456789"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(FaultServer(key=KEY)) as server:
        yield server


def endpoint(server, **settings):
    return Endpoint(**{"name": "small", "base_url": server.url, "pause": 0.0, **settings})


def user(text):
    return [Message("user", (text,))]


def ask(model, text="hello", **options):
    options = {"max_tokens": 8, "deterministic": True, **options}
    return model.reply([user(text) if isinstance(text, str) else text], **options)[0]


def picture(seed=0, shape=(6, 5, 3)):
    return Frame.of(np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8))
