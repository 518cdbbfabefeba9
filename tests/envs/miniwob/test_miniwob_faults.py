"""What users of the peers reported, and what pages and machines do to an episode, in a real browser."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from agentlab_runner.envs.browser import chromium
from agentlab_runner.envs.miniwob.env import MiniwobEnv
from agentlab_runner.runners.online.rollout import collect
from agentlab_runner.runners.types import Decision, StopReason
from tests.conftest import environment


def number(observation, **own):
    """Of the first element that is shown and like this."""
    return next(e["ref"] for e in json.loads(observation["elements"])
                if e["visible"] and all(e[name] == value for name, value in own.items()))  # fmt: skip


class Clicks:
    """Clicks the button that the goal names; before it decides it calls `before`."""

    def __init__(self, before=None):
        self.before = before or (lambda: None)

    def begin(self, episodes):
        pass

    def act(self, observations, deterministic):
        self.before()
        names = [observation["goal"].rstrip(".").split()[-1] for observation in observations]
        return [Decision(f"click_xpath \"//button[text()='{name}']\"") for name in names]

    def end(self, trajectories):
        pass


def played(trajectories):
    return [(one.seed, one.stop, one.goal, one.steps[0].observation["html"], one.success) for one in trajectories]


def test_sixteen_in_threads_play_what_one_plays(make):
    """playwright-python 623: its pages belong to the thread that made them."""
    alone = played(collect(Clicks(), [make("click-test-2")], range(32)))
    envs = [make("click-test-2") for _ in range(16)]
    assert len({env.stage.page.browser for env in envs}) > 3
    assert envs[0].metadata["blocking"], "so they step in threads"
    assert played(collect(Clicks(), envs, range(32))) == alone
    assert all(success for *_, success in alone)


def test_a_wrong_card_is_no_success(make):
    """BrowserGym 392, miniwob-plusplus 108: a wrong card pays 0.1."""
    env = make("find-greatest", horizon=5)
    env.reset(seed=0)
    values = env.stage.page.evaluate("() => [...document.querySelectorAll('#area .card')].map((c) => +c.textContent)")
    assert len(values) > 2
    cards = "(//*[@id='area']//*[contains(concat(' ', @class, ' '), ' card ')])"
    env.step(f'click_xpath "{cards}[{values.index(min(values)) + 1}]"')
    _, reward, terminated, _, info = env.step("click_xpath \"//button[text()='Submit']\"")
    assert (reward, terminated, info["success"], info["raw"]) == (0.0, True, False, 0.1)
    assert info["measures"] == {"raw": 0.1, "raw_positive": 1.0}


@pytest.mark.parametrize("action", ["utterances", "phrases"])
def test_a_covered_card_is_not_read_out(make, action):
    """Cards of find-greatest are covered by letters of no size, which innerText has all the same."""
    env = make("find-greatest", action=action, horizon=5)
    observation, _ = env.reset(seed=0)
    said = " ".join(observation.get("actions", [observation["text"]]))
    assert said.count("red area") == 3
    assert not re.search(r'"\d+"', said)
    _, card, _ = [one["ref"] for one in json.loads(observation["elements"]) if "card" in one["classes"]]
    observation, *_ = env.step(f"click {card}")
    value = env.stage.page.evaluate("() => document.querySelector('.card:not(.hidden)').textContent")
    assert re.findall(r'"(\d+)"', " ".join(observation.get("actions", [observation["text"]]))) == [value]


def test_a_page_that_listens_to_keys_hears_each_character(make):
    """browser-use 4143: text that is inserted reaches no listener."""
    env = make("enter-text", action="utterances", horizon=9)
    observation, _ = env.reset(seed=0)
    field = number(observation, tag="input")
    env.stage.page.evaluate("""() => { window.heard = [];
        document.querySelector('input').addEventListener('keydown', (event) => heard.push(event.key)) }""")
    env.step(f'type {field} "ż 日 😀"')
    heard, value = env.stage.page.evaluate("() => [heard, document.querySelector('input').value]")
    assert [key for key in heard if key not in ("Control", "a")] == ["ż", " ", "日", " ", "😀"]
    assert value == "ż 日 😀"


def test_an_xpath_with_both_quotes(make):
    env = make("click-test-2", horizon=3)
    env.reset(seed=0)
    env.stage.page.evaluate("""() => { document.querySelector('button').textContent = `it's "so"` }""")
    xpath = """//button[text()=concat('it', "'", 's "so"')]"""
    *_, info = env.step(f"click_xpath {json.dumps(xpath)}")
    assert [one["fault"] for one in info["outcomes"]] == [""]


@pytest.mark.parametrize(
    "does",
    [
        "while (true);",
        "setTimeout(() => { while (true); }, 0)",
        "alert('hello')",
        "confirm('sure?') || prompt('why?')",
        "for (let n = 0; n < 5; n++) window.open('about:blank')",
        "location.hash = 'there'",
        "history.pushState({}, '', '#elsewhere')",
        "const link = document.createElement('a'); link.href = 'data:,x'; link.download = 'x.txt'; link.click()",
        "fetch('file:///etc/passwd').then((all) => all.text()).then((text) => { document.body.textContent = text })",
    ],
)  # fmt: skip
def test_what_a_page_does_to_hold_one_up_ends_within_the_step(make, does):
    env = make("click-test-2", horizon=3, browser={"patience": 2.0})
    observation, _ = env.reset(seed=0)
    env.stage.page.evaluate(f"() => {{ document.querySelector('button').onclick = () => {{ {does} }} }}")
    began = time.monotonic()
    observation, *_, info = env.step(f"click {number(observation, tag='button')}")
    assert info["stop"] in (None, "success"), info  # the button is the right one and tells the task, too
    assert time.monotonic() - began < 60
    assert "root:" not in json.dumps(observation)
    observation, _ = env.reset(seed=1)
    assert "Click button" in observation["text"]


def test_a_page_that_crashes_loses_its_episode_alone(make):
    """The other environments of the same browser play on, and it is played again on a page of its own."""
    envs = [make("click-test-2"), make("click-test-2")]
    assert envs[0].stage.page.browser is envs[1].stage.page.browser
    turn = iter(range(100))

    def crash():
        if next(turn) == 1:
            page = envs[0].stage.page
            page.cdp.post("Page.navigate", page._session, url="chrome://crash")
            while not page.gone:
                time.sleep(0.01)

    found = collect(Clicks(crash), envs, range(8))
    assert [one.stop for one in found].count(StopReason.DEVICE_LOST) == 1
    assert sum(one.success for one in found) == 7


def test_a_browser_that_dies_loses_the_live_episodes_and_the_run_goes_on(make):
    envs = [make("click-test-2") for _ in range(3)]
    turn = iter(range(100))

    def kill():
        if next(turn) == 1:
            os.killpg(envs[0].stage.page.browser._process.pid, signal.SIGKILL)

    found = collect(Clicks(kill), envs, range(12))
    assert [one.stop for one in found].count(StopReason.DEVICE_LOST) == 3
    assert sum(one.success for one in found) == 9


def test_a_browser_that_stands_still_is_replaced_for_all_who_share_it(make):
    envs = [make("click-test-2", browser={"patience": 2.0}) for _ in range(2)]
    for env in envs:
        env.reset(seed=0)
    (browser,) = {env.stage.page.browser for env in envs}
    os.killpg(browser._process.pid, signal.SIGSTOP)
    assert [env.step("press tab")[4]["stop"] for env in envs] == ["device_lost"] * 2
    for env in envs:
        assert "Click button" in env.reset(seed=1)[0]["text"]
        assert env.stage.page.browser is not browser


@pytest.mark.slow  # it sleeps
def test_a_model_that_thinks_for_half_a_minute_loses_nothing(make):
    env = make("click-test-2", horizon=3)
    observation, info = env.reset(seed=0)
    time.sleep(31)  # three times as long as the page's own timer
    name = info["goal"].rstrip(".").split()[-1]
    _, reward, _, _, info = env.step(f"click {number(observation, text=name)}")
    assert (reward, info["raw"]) == (1.0, 1)


def of(folder):
    """Living processes that were started with this temporary folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            state = (file.parent / "stat").read_text().rpartition(")")[2].split()[0]
            if f"TMPDIR={folder}\0".encode() in file.read_bytes() and state != "Z":
                found.append(file.parent.name)
        except OSError:
            continue
    return found


def wait_for(reached):
    for _ in range(300):
        if reached():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow  # a minute or two
def test_nothing_is_left_of_a_hundred_starts_and_kills(tmp_path, monkeypatch):
    """playwright-python 984: browsers, profiles and ports pile up."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    for turn in range(100):
        env = MiniwobEnv()
        env.reset(seed=turn)
        if turn % 2:
            os.killpg(env.stage.page.browser._process.pid, signal.SIGKILL)
        env.close()
    assert wait_for(lambda: not of(tmp_path)), of(tmp_path)
    chromium.sweep()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow  # a command is started
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_command_that_is_ended(tmp_path, monkeypatch, how):
    own = tmp_path / "t"
    own.mkdir()
    given = ["eval", "env=miniwob", "env.action=phrases", "agent=random_phrase", "eval.episodes=5000", "logger=none"]
    running = subprocess.Popen([sys.executable, "-m", "agentlab_runner.runners", *given], cwd=tmp_path,
                               env=environment() | {"TMPDIR": str(own)}, stderr=subprocess.PIPE)  # fmt: skip
    assert wait_for(lambda: len(of(own)) > 3), "a browser was started"
    time.sleep(2)
    running.send_signal(how)
    running.communicate()
    assert running.returncode == (130 if how != signal.SIGKILL else -how)
    assert wait_for(lambda: not of(own))
    monkeypatch.setenv("TMPDIR", str(own))
    monkeypatch.setattr(tempfile, "tempdir", None)
    chromium.sweep()
    assert not list(own.glob(f"*{chromium.PROFILE}*"))
