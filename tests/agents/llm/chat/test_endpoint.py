"""A chat model behind HTTP: what is sent, what is made of the answer, and every way in which a server fails."""

import json
import logging
import socket
import threading
import time
from contextlib import suppress
from email.utils import formatdate

import pytest
from pydantic import ValidationError

from agentlab_runner.agents.llm.chat.settings import EndpointSettings
from agentlab_runner.agents.llm.chat.types import Message
from agentlab_runner.runners.errors import RunFailed, UserError
from tests.agents.llm.chat.conftest import KEY, ask, endpoint, picture, user
from tests.agents.llm.chat.fault_server import ENDED, Answer, FaultServer, completion, events, refusal, serving


def test_what_is_sent_and_what_comes_back(server):
    model = endpoint(server, price_in=1.0, price_out=10.0, temperature=0.5)
    talk = [Message("system", ("be short",)), Message("user", ("what is this? ", picture()))]
    server.say = lambda body: completion("a cat", usage=(100, 3))
    (reply,) = model.reply([talk], max_tokens=8, deterministic=False, stop=["\n"])
    assert (reply.text, reply.finish, reply.model) == ("a cat", "stop", "small-2026")
    assert (reply.tokens_in, reply.tokens_out, reply.requests, reply.cached) == (100, 3, 1, False)
    assert reply.cost == pytest.approx((100 * 1 + 3 * 10) / 1e6)
    assert reply.seconds > 0
    (body,) = server.seen
    assert body["messages"][0] == {"role": "system", "content": "be short"}
    text, image = body["messages"][1]["content"]
    assert text == {"type": "text", "text": "what is this? "}
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert (body["model"], body["max_tokens"], body["temperature"], body["stop"]) == ("small", 8, 0.5, ["\n"])
    assert isinstance(body["seed"], int)
    assert {headers.get("Authorization") for headers in server.headers} == {f"Bearer {KEY}"}
    model.reply([talk], max_tokens=8, deterministic=True)
    assert server.seen[-1]["temperature"] == 0
    assert server.paths.count("/v1/models") == 1


def test_conversations_are_answered_together_and_in_order(server):
    server.delay = 0.5
    server.say = lambda body: completion(body["messages"][0]["content"].upper())
    model = endpoint(server)
    model.check()
    replies = model.reply([user(f"n{i}") for i in range(16)], max_tokens=4, deterministic=True)
    assert [reply.text for reply in replies] == [f"N{i}" for i in range(16)]
    assert server.most == 8


def test_seeds_are_of_the_request_and_the_draw(server):
    model = endpoint(server)
    model.reply([user("a"), user("a"), user("b")], max_tokens=4, deterministic=False, draws=[0, 1, 0])
    model.reply([user("a")], max_tokens=4, deterministic=False)
    seeds = {(body["messages"][0]["content"], body["seed"]) for body in server.seen}
    assert len(seeds) == 3
    assert server.seen[-1]["seed"] in {seed for text, seed in seeds if text == "a"}


@pytest.mark.parametrize(
    "fault",
    [
        refusal("slow down", 429),
        refusal("oops", 500),
        Answer("<html>Bad Gateway</html>", 502),
        Answer(completion("fine"), cut=20),
        Answer('{"choices": [{"message": {"content": "fi'),
        completion("fi", finish=None),
        Answer({"error": {"message": "the engine died"}}),
        Answer("", 503, {"Retry-After": "0"}),
    ],
    ids=["429", "500", "502 page", "connection cut", "JSON cut", "no finish", "error as 200", "503"],
)
def test_a_fault_that_may_pass_is_waited_for(server, fault):
    server.script = [fault, fault]
    assert ask(endpoint(server)).text == "fine"
    assert len(server.seen) == 3


def test_retry_after_is_honoured_in_seconds_and_as_a_date(server):
    model = endpoint(server)
    model.check()
    for name, value in (("Retry-After", "1"), ("retry-after-ms", "1000"), ("Retry-After", None)):
        told = {name: value or formatdate(time.time() + 2, usegmt=True)}
        server.script = [Answer({}, 429, told)]
        began = time.monotonic()
        assert ask(model).text == "fine"
        assert time.monotonic() - began >= 0.9
    server.script = [Answer({}, 429, {"Retry-After": "nonsense"})]
    assert ask(model).text == "fine"
    server.script = [Answer({}, 429, {"Retry-After": "3600"})]
    with pytest.raises(RunFailed, match=r"left alone for 3600 seconds, more than model\.longest_wait=120; go on later"):
        ask(model)


def test_what_does_not_pass(server):
    server.script = [refusal("oops", 500)] * 9
    with pytest.raises(RunFailed, match=r"chat/completions answered 500: oops, 2 times; .*model\.base_url"):
        ask(endpoint(server, retries=1))
    server.script = [refusal("You exceeded your current quota", 429, code="insufficient_quota")]
    with pytest.raises((RunFailed, UserError), match=r"answered 429: You exceeded your current quota; pay for more"):
        ask(endpoint(server))
    server.script = [Answer(completion("late"), silent=1.5)] * 2
    with pytest.raises(RunFailed, match=r"did not answer within 0\.3 seconds, 2 times; .*model\.timeout"):
        ask(endpoint(server, timeout=0.3, retries=1))


def test_a_server_that_drips_is_not_waited_for_longer(server):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip():
            taken, _ = listening.accept()
            taken.recv(65536)
            taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            with suppress(OSError):
                for _ in range(100):
                    taken.sendall(b" ")
                    time.sleep(0.05)

        threading.Thread(target=drip, daemon=True).start()
        model = endpoint(server, base_url=f"http://127.0.0.1:{listening.getsockname()[1]}/v1", timeout=0.4, retries=0)
        with pytest.raises(RunFailed, match=r"did not answer within 0\.4 seconds"):
            model.check()


def test_pieces_are_put_together_and_a_cut_stream_is_noticed(server):
    model = endpoint(server, stream=True)
    counts = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    server.script = [events("fi", done=False), events("fi", "ne", ENDED, counts)]
    reply = ask(model)
    assert (reply.text, reply.tokens_in, reply.tokens_out, reply.model) == ("fine", 7, 2, "small-2026")
    assert server.seen[0]["stream_options"] == {"include_usage": True}
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    "event",
    [{"choices": 5}, {"choices": {"a": 1}}, {"choices": ["x"]}, {"choices": [{"delta": "x"}]},
     {"choices": [{"delta": {"refusal": {"a": 1}}, "finish_reason": "stop"}]}],
)  # fmt: skip
def test_pieces_that_are_none_are_told(server, event):
    server.script = [events(event)]
    with pytest.raises(UserError, match=r"JSON that is no chat completion; set model\.base_url"):
        ask(endpoint(server))


@pytest.mark.parametrize("chance", [float("nan"), float("inf"), 1e308, 10**400])
def test_probabilities_that_are_none_are_left_aside(server, chance):
    listed = [{"token": token, "logprob": chance} for token in "AB"]
    server.script = [completion("B", logprobs={"content": [{"top_logprobs": listed}]})]
    assert ask(endpoint(server), choices=[["A", "B"]], deterministic=False).text == "B"


def test_half_a_character_is_a_mark(server):
    server.script = [completion("so \ud83d", model="m\udc00"), completion("\ud83d\ude00")]
    reply = ask(endpoint(server))
    assert (reply.text, reply.model) == ("so \ufffd", "m\ufffd")
    assert ask(endpoint(server)).text == "\U0001f600"
    ask(endpoint(server), "a page with \ud83d")
    assert server.seen[-1]["messages"][0]["content"] == "a page with \ufffd"


def test_a_pause_of_ours_is_bounded_and_never_said_to_be_the_servers(server):
    server.script = [refusal("busy", 503)] * 3
    model = endpoint(server, pause=1e-3, longest_wait=1e-6, retries=3)
    assert ask(model).text == "fine"
    model.http._rest(1100, None)  # so often doubled it would be no number


def test_a_wait_beyond_all_bounds_is_one_short_sentence(server):
    server.script = [Answer({}, 429, {"Retry-After": "1e308"})]
    with pytest.raises(RunFailed, match=r"left alone for 1e\+308 seconds"):
        ask(endpoint(server))


def test_refusals_and_empty_answers_are_values(server):
    model = endpoint(server)
    for said, text, finish in (
        (completion(""), "", "stop"),
        (completion(None), "", "stop"),
        (completion("too lo", finish="length"), "too lo", "length"),
        (completion(None, message={"refusal": "I cannot"}), "I cannot", "refusal"),
        (completion("", finish="content_filter"), "", "refusal"),
        (completion([{"type": "text", "text": "in parts"}]), "in parts", "stop"),
        (refusal("blocked by the content filter"), "blocked by the content filter", "refusal"),
        (refusal("your input was flagged by moderation", 403), "your input was flagged by moderation", "refusal"),
    ):
        server.script = [said]
        reply = ask(model)
        assert (reply.text, reply.finish) == (text, finish)


def test_what_follows_a_stop_is_cut_whatever_the_server_does(server):
    server.say = lambda body: completion("one\nObservation: two")
    assert ask(endpoint(server), stop=["\nObservation:", "###"]).text == "one"


def test_usage_that_is_missing_is_estimated_and_said_once(server, caplog):
    server.say = lambda body: completion("some words here", usage=None)
    model = endpoint(server, price_in=1.0, price_out=1.0)
    with caplog.at_level(logging.WARNING):
        reply = ask(model, "some ten words " * 10)
        ask(model)
    assert reply.tokens_in > 20
    assert reply.tokens_out >= 3
    assert reply.cost > 0
    assert caplog.text.count("they are estimated") == 1


def test_a_server_that_refuses_pictures_is_told_in_their_place(server, caplog):
    def say(body):
        pictured = any(isinstance(turn["content"], list) for turn in body["messages"])
        return refusal("image_url is not supported") if pictured else completion(body["messages"][-1]["content"])

    server.say = say
    model = endpoint(server)
    assert model.sees
    talks = [[Message("user", ("look: ", picture(i)))] for i in range(4)]
    with caplog.at_level(logging.WARNING):
        replies = model.reply(talks, max_tokens=8, deterministic=True)
        again = model.reply(talks, max_tokens=8, deterministic=True)
    assert {reply.text for reply in replies + again} == {"look: [no picture]"}
    assert not model.sees
    assert caplog.text.count("takes no pictures") == 1
    assert not any(isinstance(body["messages"][0]["content"], list) for body in server.seen[-4:])


def test_what_a_server_does_not_take_is_left_out_from_then_on(server, caplog):
    def say(body):
        for name in ("seed", "response_format", "stop"):
            if name in body:
                return refusal(f"Unsupported field: {name}", 422)
        old = "max_tokens" in body
        return refusal("Use 'max_completion_tokens' instead of 'max_tokens'") if old else completion("{}")

    server.say = say
    model = endpoint(server, json_mode=True)
    with caplog.at_level(logging.WARNING):
        replies = model.reply([user(str(i)) for i in range(8)], max_tokens=8, deterministic=True, stop=["x"])
    assert {reply.text for reply in replies} == {"{}"}
    asked = len(server.seen)
    ask(model, stop=["x"])
    assert len(server.seen) == asked + 1
    assert server.seen[-1].keys() == {"model", "messages", "max_completion_tokens", "temperature", "stream"}
    assert caplog.text.count("takes no seed") == 1


def test_of_a_conversation_that_is_too_long_the_oldest_turns_go(server):
    def say(body):
        if sum(len(turn["content"]) for turn in body["messages"]) > 250:
            return refusal("This model's maximum context length is 64 tokens", code="context_length_exceeded")
        return completion("fine")

    server.say = say
    model = endpoint(server)
    turns = [Message(role, (f"{role} {i} " * 5,)) for i in range(6) for role in ("user", "assistant")]
    talk = [Message("system", ("rules",)), *turns, Message("user", ("the last",))]
    reply = ask(model, talk)
    assert reply.text == "fine"
    kept = [turn["content"] for turn in server.seen[-1]["messages"]]
    assert kept[0] == "rules"
    assert kept[-1] == "the last"
    assert server.seen[-1]["messages"][1]["role"] == "user"
    assert len(kept) + reply.dropped == len(talk)
    assert 0 < reply.dropped < len(turns)

    alone = ask(model, [Message("system", ("rules",)), Message("user", ("x" * 300,))])
    assert (alone.text, alone.finish, alone.cost) == ("", "length", 0)
    before = len(server.seen)
    assert ask(endpoint(server, context=60), talk).dropped > 0
    assert len(server.seen) == before + 1  # what is known not to fit is not tried


def test_a_key_that_is_missing_or_wrong(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "wrong-key-0123456789")
    fix = r"refuses the token \(401\); put the right .*OPENAI_API_KEY, or use model=smollm2_chat"
    with pytest.raises(UserError, match=fix) as told:
        ask(endpoint(server))
    assert "wrong-key" not in str(told.value)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UserError, match=r"OPENAI_API_KEY, which is not set, or use model=smollm2_chat"):
        ask(endpoint(server))
    monkeypatch.setenv("OPENAI_API_KEY", "two lines\nof it 0123456789")
    with pytest.raises(UserError, match=r"OPENAI_API_KEY holds blanks") as told:
        ask(endpoint(server))
    assert "lines" not in str(told.value).replace("line ends", "")


def test_a_model_that_is_not_listed(server):
    server.models = ("small", "smart", "models/large", "llama:latest")
    with pytest.raises(UserError, match=r"serves small, smart, .*not smal; did you mean small\?; set model\.name"):
        ask(endpoint(server, name="smal"))
    for name in ("small", "large", "llama", "models/large"):
        assert ask(endpoint(server, name=name)).text == "fine"
    assert ask(endpoint(server, name="hidden", listed=False)).text == "fine"
    server.models = Answer({"error": "no such path"}, 404)
    assert ask(endpoint(server, name="hidden")).text == "fine"
    server.say = lambda body: refusal("The model `hidden` does not exist", 404)
    with pytest.raises(UserError, match=r"answered 404: The model `hidden` does not exist; check model"):
        ask(endpoint(server, name="hidden"))


def test_an_address_that_is_a_web_site(server):
    server.models = Answer("<!doctype html><title>Welcome</title>", headers={"Content-Type": "text/html"})
    with pytest.raises(UserError, match=r"but with a web page; set model\.base_url to the /v1 of an OpenAI-compat"):
        ask(endpoint(server))
    server.models = Answer("<html>404</html>", 404)
    server.say = lambda body: Answer("<html>404</html>", 404)
    with pytest.raises(UserError, match=r"answered 404: a web page; set model\.base_url to the /v1"):
        ask(endpoint(server))
    server.models = ("small",)
    server.say = lambda body: {"hello": "world"}
    with pytest.raises(UserError, match=r"JSON that is no chat completion; set model\.base_url"):
        ask(endpoint(server))


def test_a_redirect_to_another_host_is_given_no_key(server):
    with serving(FaultServer()) as other:
        there = f"{other.url}/chat/completions"
        for status in (301, 302, 303, 307, 308):
            server.script = [Answer("", status, {"Location": there})]
            with pytest.raises((UserError, RunFailed), match=r"redirects to http://127\.0\.0\.1:\d+/v1/chat/compl"):
                ask(endpoint(server))
        server.models = Answer("", 302, {"Location": f"{other.url}/models"})
        with pytest.raises(UserError, match="is given no key"):
            ask(endpoint(server))
        assert not other.headers


def test_a_redirect_within_the_server_is_followed(server):
    server.models = ("small",)
    server.script = [Answer("", 307, {"Location": "/v1/chat/completions"})]
    assert ask(endpoint(server)).text == "fine"
    server.say = lambda body: Answer("", 307, {"Location": "/v1/chat/completions"})
    with pytest.raises((UserError, RunFailed), match="redirects in a circle"):
        ask(endpoint(server))


def test_a_key_in_escapes_is_a_key(server):
    escaped = "".join(f"\\u{ord(one):04X}" for one in KEY)
    server.script = [Answer(f"""{{"error": {{"message": "{'x' * 290} {escaped}"}}}}""", 400)]
    with pytest.raises(UserError) as fault:
        ask(endpoint(server))
    assert KEY[:8] not in str(fault.value)
    server.models = Answer(f'{{"data": [{{"id": "{escaped}"}}]}}')
    with pytest.raises(UserError, match=r"serves \[key\], not small"):
        endpoint(server).check()


def test_the_key_is_scrubbed_from_whatever_a_server_says(server, caplog):
    server.say = lambda body: completion(f"your key is {KEY}", model=KEY)
    assert ask(endpoint(server)).text == "your key is [key]"
    server.say = lambda body: refusal(f"no seed with {KEY}", 400)
    with caplog.at_level(logging.DEBUG), pytest.raises((UserError, RunFailed)) as told:
        ask(endpoint(server))
    fault, said = told.value, ""
    while fault is not None:
        said, fault = f"{said} {fault!r}", fault.__cause__ or fault.__context__
    assert KEY not in said + caplog.text
    assert "[key]" in said
    hidden = f"\\u{ord(KEY[0]):04x}{KEY[1:]}"  # as JSON may write it
    error = '{"error": {"message": "KEY"}}'.replace("KEY", hidden)
    server.script = [Answer(error, status) for status in (500, 200, 400)]
    with pytest.raises((UserError, RunFailed), match=r"\[key\]") as told:
        ask(endpoint(server))
    assert KEY not in str(told.value)
    whole = json.dumps(completion("KEY", model="KEY")).replace("KEY", hidden)
    server.script = [Answer(whole)]
    assert KEY not in repr(ask(endpoint(server)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"base_url": "localhost:8000"},
        {"base_url": "http://me:secret@host/v1"},
        {"base_url": "http://host/v1?key=secret"},
        {"max_cost": 0, "price_in": 1.0, "price_out": 1.0},
        {"price_in": 1.0, "max_cost": 1.0},
        {"max_calls": 0},
        {"max_tokens_per_run": 0},
        {"parallel": 0},
        {"extra": {"messages": []}},
        {"api_key": "secret"},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        EndpointSettings(**{"name": "small", **wrong})
