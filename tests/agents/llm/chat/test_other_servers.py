"""What servers of many makes answer that OpenAI's would not; the sentences are theirs."""

import json
import logging

import pytest
from omegaconf import OmegaConf

from agentlab_runner.agents.llm.chat.kept import Kept
from agentlab_runner.agents.llm.chat.thoughts import aloud
from agentlab_runner.agents.llm.chat.types import Message
from agentlab_runner.runners.errors import RunFailed, UserError
from tests.agents.llm.chat.conftest import ask, endpoint
from tests.agents.llm.chat.fault_server import ENDED, Answer, completion, events, refusal

BUSY = {"message": "Provider returned error", "code": 429, "metadata": {"raw": "Too Many Requests"}}


@pytest.mark.parametrize(
    "fault",
    [
        {"id": None, "choices": None, "usage": None, "error": BUSY},
        {"error": {"message": "Service temporarily overloaded", "code": 502}},
        {"object": "error", "message": "the engine is asleep", "code": 503},
        {"choices": [{"error": {"code": 502, "message": "Upstream error"}, "finish_reason": "error"}]},
        completion("hal", finish="error"),
    ],
    ids=["no choices", "status within", "an error object", "error of a choice", "ended by error"],
)
def test_what_a_gateway_tells_as_a_success_is_asked_again(server, fault):
    server.script = [fault, fault]
    assert ask(endpoint(server)).text == "fine"
    assert len(server.seen) == 3


def test_a_status_within_a_success_counts_like_one(server, caplog):
    no_seed = {"error": {"message": "no seed here", "code": "400"}}
    server.say = lambda body: no_seed if "seed" in body else completion("y")
    with caplog.at_level(logging.WARNING):
        assert ask(endpoint(server)).text == "y"
    assert "takes no seed" in caplog.text
    server.say = lambda body: {"error": {"message": "No auth credentials found", "code": 401}}
    with pytest.raises(UserError, match=r"refuses the token \(401\)"):
        ask(endpoint(server))
    server.say = lambda body: {"object": "error", "message": "The model `x` does not exist.", "code": 404}
    with pytest.raises(UserError, match=r"answered 404: The model `x` does not exist"):
        ask(endpoint(server))
    server.say = lambda body: {"detail": "not today"}
    with pytest.raises(UserError, match=r"no chat completion \(not today\); set model\.base_url"):
        ask(endpoint(server))


@pytest.mark.parametrize("streamed", [False, True])
def test_half_a_character_is_no_fault(server, tmp_path, streamed):
    """An emoji that was cut by the limit; in a stream its halves come one after the other."""
    whole = completion("caf\ud83d\ude00 \ud83d", model="\ud83d")
    server.script = [events("caf\ud83d", "\ude00 \ud83d", ENDED) if streamed else whole]
    model = Kept(endpoint(server, stream=streamed), tmp_path)
    assert ask(model).text == "caf\U0001f600 \ufffd"
    assert ask(model).text == "caf\U0001f600 \ufffd"
    assert len(server.seen) == 1
    server.script = [refusal("no \ud83d")]
    with pytest.raises((UserError, RunFailed), match="answered 400: no \ufffd"):
        ask(endpoint(server))


def test_a_mark_before_the_json_and_pieces_that_are_bare(server):
    server.script = [Answer(b"\xef\xbb\xbf" + json.dumps(completion("fine")).encode()), completion(["in ", "pieces"])]
    assert ask(endpoint(server)).text == "fine"
    assert ask(endpoint(server)).text == "in pieces"


@pytest.mark.parametrize("finish", ["MAX_TOKENS", "model_length"])
def test_the_limit_has_many_names(server, finish):
    server.script = [completion("too lo", finish=finish)]
    assert ask(endpoint(server)).finish == "length"


@pytest.mark.parametrize("words", ["System role not supported", "Conversation roles must alternate user/assistant/..."])
def test_a_template_without_a_system_turn_is_told_the_rules_in_the_first_one(server, caplog, words):
    def say(body):
        roles = [turn["role"] for turn in body["messages"]]
        in_turn = all(role == ("user", "assistant")[place % 2] for place, role in enumerate(roles))
        return completion(body["messages"][0]["content"]) if in_turn else refusal(words)

    server.say, server.delay = say, 0.2
    model = endpoint(server)
    talk = [Message("system", ("rules",)), *(Message("user", (text,)) for text in ("one", "two"))]
    with caplog.at_level(logging.WARNING):
        replies = model.reply([talk] * 4, max_tokens=8, deterministic=True, draws=range(4))  # refused all together
        ask(model, talk)
    assert {(reply.text, reply.merged) for reply in replies} == {("rules\n\none\n\ntwo", 1)}
    assert server.seen[-1]["messages"] == [{"role": "user", "content": "rules\n\none\n\ntwo"}]
    assert caplog.text.count("stand before its first turn") == 1
    server.say = lambda body: refusal(words)
    with pytest.raises(UserError, match=words[:10]):
        ask(endpoint(server), talk)


def test_what_is_sent_beside_may_have_keys_of_its_own(server):
    """As a composed config has it; thinking is turned off by such keys."""
    extra = OmegaConf.create({"chat_template_kwargs": {"enable_thinking": False}, "stop_token_ids": [1, 2]})
    ask(endpoint(server, extra=extra))
    assert server.seen[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert server.seen[0]["stop_token_ids"] == [1, 2]


def test_thoughts_are_no_answer(server):
    for text, finish, said in (
        ("<think>up or down?</think>\n\nup", "stop", "up"),
        ("up or down?</think>up", "stop", "up"),
        ("<think>up", "length", ""),
        ("<think>up", "stop", "<think>up"),
        ("up", "length", "up"),
    ):
        assert aloud(text, finish == "length") == said
    server.script = [completion("<think>up is wrong, so down\n</think>\ndown, not up"), completion("down")]
    reply = ask(endpoint(server), choices=[["up", "down"]])
    assert (reply.text, reply.finish) == ("down", "choice")
    server.script = [completion("<think>I might go up", finish="length")]
    reply = ask(endpoint(server), choices=[["up", "down"]])
    assert (reply.finish, reply.requests) == ("length", 1)
    server.script = [completion(None, finish="length", message={"reasoning_content": "I might go up"})]
    assert ask(endpoint(server), choices=[["up", "down"]]).finish == "length"
