"""The judge, against a real HTTP server on the loopback interface."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import agentlab_runner.envs.android
from agentlab_runner.envs.android.actions import AitwParser, tap
from agentlab_runner.envs.android.device import TaskSpec
from agentlab_runner.envs.android.evaluators import Judge, NotEvaluated, Programmatic
from tests.envs.android.button_phone import ButtonPhone

TASK = TaskSpec("goals", "open the settings", 1)
DARK, BRIGHT, GREY = (np.full((20, 10, 3), value, np.uint8) for value in (10, 240, 128))


class Endpoint:
    """An OpenAI-compatible endpoint that gives these answers in turn, the last one for ever.

    An answer is what the model says, a status code, `cut` (the connection breaks) or `hang`.
    """

    def __init__(self):
        self.answers = ["Status: failure"]
        self.requests = []
        self.released = threading.Event()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.requests.append((self.path, self.headers.get("Authorization"), body))
                answer = endpoint.answers.pop(0) if len(endpoint.answers) > 1 else endpoint.answers[0]
                if answer == "hang":
                    endpoint.released.wait(5)
                if answer in ("cut", "hang"):
                    self.close_connection = True
                    return
                self.send_response(answer if isinstance(answer, int) else 200)
                self.end_headers()
                if not isinstance(answer, int):
                    self.wfile.write(json.dumps({"choices": [{"message": {"content": answer}}]}).encode())

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def endpoint():
    endpoint = Endpoint()
    yield endpoint
    endpoint.stop()


@pytest.fixture
def judge(endpoint):
    return lambda **options: Judge("looker", endpoint.url, **{"retry_wait": 0.0, "timeout": 10.0, **options})


def ask(judge, before=DARK, after=BRIGHT):
    return judge.success(ButtonPhone(), TASK, before, after)


@pytest.mark.parametrize(("answer", "expected"), [
    ("The settings are open.\nStatus: success", True),
    ("The settings are closed.\nStatus: failure, since there is no success", False),
    ("Status:   Successful.", True),
    ("Status: unsuccessful", False),
    ("Status: done", False),
])
def test_the_first_word_after_status_decides(endpoint, judge, answer, expected):
    endpoint.answers = [answer]
    assert ask(judge()) is expected


def test_what_the_endpoint_is_sent(endpoint, judge, monkeypatch):
    monkeypatch.setenv("AGENTLAB_JUDGE_KEY", "k-123")
    ask(judge())
    path, key, body = endpoint.requests[0]
    assert path == "/v1/chat/completions"
    assert key == "Bearer k-123"
    assert body["model"] == "looker"
    goal, picture = body["messages"][1]["content"]
    assert "open the settings" in goal["text"]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    monkeypatch.delenv("AGENTLAB_JUDGE_KEY")
    ask(judge())
    assert endpoint.requests[1][1] is None


def test_an_unchanged_screen_is_not_judged(endpoint, judge):
    endpoint.answers = ["Status: success"]
    nearly = DARK.copy()
    nearly[0, 0] += 20
    assert not ask(judge(), DARK, nearly)
    assert endpoint.requests == []


def test_seen_screens_are_skipped_on_request_only(endpoint, judge):
    endpoint.answers = ["Status: success"]
    released, plain = judge(skip_seen=True), judge()
    for evaluator, results in ((released, [True, False, True, False]), (plain, [True] * 4)):
        assert [ask(evaluator, GREY, after) for after in (DARK, DARK, BRIGHT, DARK)] == results


def test_the_cache_of_the_release_stops_growing_at_five(endpoint, judge):
    endpoint.answers = ["Status: success"]
    released = judge(skip_seen=True)
    screens = [np.full((4, 4, 3), value, np.uint8) for value in range(0, 240, 40)]
    other = np.full((4, 4, 3), 255, np.uint8)
    assert [ask(released, other, screen) for screen in screens] == [True] * 6
    assert [ask(released, other, screen) for screen in screens] == [False] * 5 + [True]


@pytest.mark.parametrize("trouble", [500, 429, "cut", "hang"])
def test_passing_trouble_is_tried_again(endpoint, judge, trouble):
    endpoint.answers = [trouble, "Status: success"]
    assert ask(judge(timeout=1.0 if trouble == "hang" else 10.0))
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize(("answer", "message", "requests"), [
    (503, "did not answer 3 times", 3),
    ("cut", "did not answer 3 times", 3),
    (401, "status 401; check env.evaluator.model and", 1),
    ("I cannot tell.", "no line `Status", 1),
])
def test_lasting_trouble_is_not_evaluated(endpoint, judge, answer, message, requests):
    endpoint.answers = [answer]
    with pytest.raises(NotEvaluated, match=message):
        ask(judge(retries=2))
    assert len(endpoint.requests) == requests


def test_nobody_listens():
    with pytest.raises(NotEvaluated, match="is it running"):
        ask(Judge("looker", "http://127.0.0.1:9/v1", retries=0))


def test_a_judge_ends_an_episode_and_its_silence_is_no_failure(endpoint, judge, tmp_path):
    goals = tmp_path / "goals.txt"
    goals.write_text("press go")
    parser = AitwParser()
    env = agentlab_runner.envs.android.make(
        device=ButtonPhone(), evaluator=judge(retries=0), parser=parser, task_set=str(goals))
    go = parser.render(tap(0.1, 0.1))
    endpoint.answers = ["Status: success", 500]
    env.reset(seed=0)
    assert env.step(parser.render(tap(0.9, 0.9)))[1] == 0.0
    assert endpoint.requests == []
    assert env.step(go)[-1]["stop"] == "success"
    env.reset(seed=1)
    *_, truncated, info = env.step(go)
    assert (truncated, info["stop"]) == (True, "device_lost")
    assert "is it running" in info["reason"]


def test_programmatic_asks_the_phone():
    phone = ButtonPhone()
    assert not Programmatic().success(phone, TASK, DARK, BRIGHT)
    phone.tap(1, 1)
    assert Programmatic().success(phone, TASK, DARK, DARK)


@pytest.mark.parametrize("options", [{"base_url": "localhost:8000"}, {"timeout": 0}, {"retries": -1}])
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match=r"base_url|timeout"):
        Judge("looker", **options)


@pytest.mark.parametrize("answer", [401, "cut", "hang"])
def test_an_endpoint_that_is_silent_or_wrong_is_told_before_anything_is_played(endpoint, judge, tmp_path, answer):
    (tmp_path / "goals.txt").write_text("press go")
    env = agentlab_runner.envs.android.make(
        device=ButtonPhone(), evaluator=judge(timeout=0.5), parser=AitwParser(), task_set=str(tmp_path / "goals.txt"))
    endpoint.answers = [answer]
    with pytest.raises(ConnectionError, match=f"the judge at {endpoint.url}"):
        env.unwrapped.check()
    assert [body["max_tokens"] for _, _, body in endpoint.requests] == [1]  # cheap, and asked once
    if answer == 401:
        endpoint.answers = ["yes"]
        env.unwrapped.check()
