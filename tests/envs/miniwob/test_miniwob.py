"""The tasks in a real browser."""

import json
import os
import random
import re
import runpy
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentlab_runner.envs.miniwob import catalog, stage
from agentlab_runner.envs.miniwob.demonstrators import Demonstrator
from agentlab_runner.envs.miniwob.env import SEEDS
from agentlab_runner.envs.miniwob.experts.view import EXPERTS
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import UserError


def start(env, task, seed=0):
    observation, info = env.reset(seed=seed, options={"task": task})
    return observation, info["goal"]


def ref(observation, **own):
    """The number of the first element that is shown and like this."""
    return next(e["ref"] for e in json.loads(observation["elements"])
                if e["visible"] and all(e[key] == value for key, value in own.items()))  # fmt: skip


def faults(info):
    return [one["fault"] for one in info["outcomes"]]


def test_the_tasks_are_those_of_the_package():
    assert len(catalog.tasks()) == 125
    assert set(catalog.SYNAPSE) <= set(catalog.tasks())
    assert set(catalog.tasks()) >= catalog.RELOADED
    assert len(catalog.chosen(["all"])) == 125
    assert catalog.chosen(["click-tab*", "click-tab"])[0] == "click-tab"
    with pytest.raises(ValueError, match="did you mean click-button, click-option"):
        catalog.chosen(["click-buton"])
    with pytest.raises(ValueError, match="button-delay is a page of MiniWoB\\+\\+ and no task"):
        catalog.chosen(["button-delay"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("env.action=program", "action=program does not go with parser.form=utterance"),
        ("env.parser.form=block", "action=utterances does not go with parser.form=block"),
        ("env.tasks=[click-buton]", "did you mean click-button"),
        ("env.browser.url=http://example.com", "env.browser.url"),
        ("env.horizon=0", "env.horizon"),
    ],
)
def test_what_cannot_be_is_refused_before_a_browser_starts(override, said):
    with pytest.raises(UserError, match=re.escape(said)):
        compose(["env=miniwob", override])


def test_phrases_solve_it(make):
    env = make("click-button", action="phrases", horizon=2)
    for seed in range(4):
        observation, info = env.reset(seed=seed)
        wanted = re.search(r'"(.*)"', info["goal"])[1]
        phrase = next(p for p in observation["actions"] if p.endswith(f'button "{wanted}"'))
        action = observation["action_ids"][observation["actions"].index(phrase)]
        _, reward, terminated, truncated, info = env.step(action)
        assert (reward, terminated, truncated, info["stop"], info["raw"]) == (1.0, True, False, "success", 1.0)


def test_a_block_solves_it(make):
    env = make("login-user", action="program")
    _, goal = start(env, "login-user")
    name, password = re.findall(r'"([^"]*)"', goal)
    block = [
        "click_xpath \"//*[@id='username']\"", f'type "{name}"', "click_xpath \"//*[@id='password']\"",
        f'type "{password}"', "click_xpath \"//*[@id='subbtn']\"",
    ]  # fmt: skip
    *_, info = env.step("\n".join(block))
    assert info["success"], info
    assert faults(info) == [""] * 5


def test_lists_dates_sliders_and_drags(make):
    env = make("choose-list", "enter-date", "use-slider", "drag-box", "drag-items", "use-autocomplete", "copy-paste",
               action="utterances", horizon=40)  # fmt: skip
    observation, goal = start(env, "choose-list")
    wanted = re.search(r"Select (.*) from the list", goal)[1]
    env.step(f"select {ref(observation, tag='select')} {json.dumps(wanted)}")
    *_, info = env.step(f"click {ref(observation, tag='button')}")
    assert info["success"]

    observation, goal = start(env, "enter-date")
    month, day, year = re.search(r"(\d+)/(\d+)/(\d+)", goal).groups()
    field = ref(observation, kind="date") if '"date"' in observation["elements"] else ref(observation, tag="input")
    env.step(f"click {field}")
    for _ in range(2):
        env.step("press arrowleft")
    env.step(f'type "{month}{day}{year}"')
    *_, info = env.step(f"click {ref(observation, tag='button')}")
    assert info["success"], (goal, info)

    observation, goal = start(env, "use-slider")
    wanted = int(re.search(r"Select (-?\d+)", goal)[1])
    handle = "click_xpath \"//*[contains(@class, 'ui-slider-handle')]\""
    env.step(handle)
    for _ in range(400):
        now = int(env.stage.page.evaluate("() => document.getElementById('val').textContent"))
        if now == wanted:
            break
        env._steps = 0
        env.step("press arrowright" if now < wanted else "press arrowleft")
    *_, info = env.step("click_xpath \"//*[@id='subbtn']\"")
    assert info["success"], info


def test_a_clipboard_a_page(make):
    first, second = make("copy-paste", horizon=9), make("copy-paste", horizon=9)
    copied = []
    for env in (first, second):
        start(env, "copy-paste", seed=len(copied))
        env.step("click_xpath \"//textarea\"\npress command+a\npress command+c")
        copied.append(env.stage.page.evaluate("() => document.querySelector('textarea').value"))
    assert copied[0] != copied[1]
    for env in (first, second):
        *_, info = env.step("click_xpath \"//input\"\npress command+v\nclick_xpath \"//button\"")
        assert info["success"], info


def test_what_does_nothing_says_why(make):
    env = make("click-test-2", "click-dialog", horizon=20)
    start(env, "click-test-2")
    expected = {
        'click_xpath "//["': "invalid xpath", 'click_xpath "//table"': "nothing matches //table",
        "click 9999": "nothing matches 9999", 'select 9999 "x"': "nothing matches 9999",
        'click_option "//button"': "no list", "click_xpath \"//*[text()='it\\\\'s \\\"']\"": "invalid xpath",
        "click_xpath \"//*[text()=concat('it', \\\"'\\\", 's')]\"": "nothing matches",
    }  # fmt: skip
    for action, reason in expected.items():
        *_, info = env.step(action)
        assert info["parsed"], action
        assert reason in faults(info)[0], action
    *_, info = env.step("I do not know")
    assert info["parse_failed"]
    assert info["parsed"] is None
    assert info["stop"] is None
    env.stage.page.evaluate("""() => {
        const cover = document.createElement('div');
        cover.id = 'cover';
        cover.style = 'position:fixed;left:0;top:0;width:500px;height:320px;z-index:99';
        document.body.append(cover) }""")
    *_, info = env.step("hover 4")
    assert "covered by <div id=cover>" in faults(info)[0]
    env.stage.page.evaluate("() => document.getElementById('cover').remove()")
    env.stage.page.evaluate("() => document.querySelector('button').style.display = 'none'")
    *_, info = env.step('movemouse "//button"')
    assert "hidden" in faults(info)[0]


def test_one_seed_is_one_episode_whatever_came_before(make):
    env, other = make("click-link", "enter-text", "email-inbox"), make("click-link", "enter-text", "email-inbox")

    def seen(env, task, seed):
        observation, info = env.reset(seed=seed, options={"task": task})
        return observation, info

    first = {(task, seed): seen(env, task, seed) for task in env.tasks for seed in (1, 2)}
    for (task, seed), expected in reversed(first.items()):
        assert seen(other, task, seed) == expected


def test_seeds_of_pages_are_apart(make):
    assert SEEDS["demonstrations"][1] <= SEEDS["train"][0] < SEEDS["train"][1] <= SEEDS["test"][0]
    for split, (first, end) in SEEDS.items():
        env = make("click-test", split=split)
        numbers = [env._page_seed(None) for _ in range(200) if env.reset(seed=None)]
        assert all(first <= number < end for number in numbers)


def test_the_timer_does_not_end_it(make):
    env = make("click-test-2", horizon=3)
    start(env, "click-test-2")
    left = env.stage.page.evaluate("() => core.EPISODE_MAX_TIME")
    assert left > 10 * 60 * 1000
    time.sleep(0.2)
    *_, info = env.step("press escape")
    assert info["stop"] is None
    slow = make("click-test-2", horizon=3, max_episode_seconds=0.1)
    start(slow, "click-test-2")
    time.sleep(0.2)
    *_, truncated, info = slow.step("press escape")
    assert (truncated, info["stop"]) == (True, "timeout")


def test_a_part_of_the_reward_is_no_success(make):
    env = make("click-checkboxes-soft", "find-greatest", horizon=20)
    for seed in range(6):
        observation, _ = start(env, "click-checkboxes-soft", seed)
        *_, info = env.step(f"click {ref(observation, tag='button')}")
        assert info["stop"] == "failure"
        assert info["measures"] == {"raw": info["raw"], "raw_positive": float(info["raw"] > 0)}


def test_who_leaves_the_task_has_failed_and_sees_nothing_of_it(make):
    env = make("click-test-2", horizon=5)
    before, _ = start(env, "click-test-2")
    away = "() => { location.href = 'file:///etc/passwd' }"
    env.stage.page.evaluate(f"() => {{ document.querySelector('button').onclick = {away} }}")
    observation, reward, terminated, _, info = env.step(f"click {ref(before, tag='button')}")
    for _ in range(20):
        if terminated:
            break
        time.sleep(0.05)
        observation, reward, terminated, _, info = env.step("press escape")
    assert (reward, terminated, info["stop"]) == (0.0, True, "failure")
    assert info["reason"].startswith("left_page: file:///etc/passwd")
    assert "root:" not in json.dumps([observation, info], default=str)
    start(env, "click-test-2")


def test_a_page_that_is_no_longer_what_it_was_is_lost_and_loaded_anew(make):
    env = make("click-test-2", horizon=5)
    start(env, "click-test-2")
    env.stage.page.evaluate("() => { delete window.lab }")
    *_, truncated, info = env.step("press escape")
    assert (truncated, info["stop"]) == (True, "device_lost")
    assert info["reason"].startswith("the page is no longer what it was")
    observation, _ = start(env, "click-test-2")
    assert "Click button" in observation["text"]
    env.stage._pages = "file:///nowhere"
    env.stage._task = ""
    with pytest.raises(ConnectionError, match="cannot be loaded"):
        env.reset(seed=0)


def test_a_killed_browser_is_lost_and_had_again(make):
    env = make("click-test-2", horizon=5)
    before, _ = start(env, "click-test-2")
    os.killpg(env.stage.page.browser._process.pid, signal.SIGKILL)
    observation, reward, terminated, truncated, info = env.step("press escape\npress escape")
    assert (reward, terminated, truncated, info["success"], info["stop"]) == (0.0, False, True, False, "device_lost")
    assert observation == before
    assert info["reason"].startswith("the browser is gone")
    assert start(env, "click-test-2")[0] == before
    os.killpg(env.stage.page.browser._process.pid, signal.SIGKILL)
    assert start(env, "click-test-2")[0] == before, "and so if it dies between two episodes"


def test_threads_play_what_one_plays(make):
    def play(env, seed):
        observation, _ = env.reset(seed=seed)
        *_, info = env.step(f"click {ref(observation, tag='button')}")
        return observation["html"], info["raw"]

    alone = make("click-button")
    expected = [play(alone, seed) for seed in range(12)]
    envs = [make("click-button") for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: [play(envs[n], seed) for seed in (n, n + 6)], range(6)))
    assert [found[seed % 6][seed // 6] for seed in range(12)] == expected


def disturb(env, task, draw):
    """Play as one who knows the task, if there is one, and then at random."""
    user = Demonstrator()
    for seed in (11, 14):
        start = {"task": task, "page_seed": seed}
        if task in EXPERTS:
            env.reset(options=start)
            user.begin(env, seed)
            while not any(env.step(user.decide(env))[2:4]):
                pass
        env.reset(options=start)
        for _ in range(5):
            shown = [one["ref"] for one in env.seen["elements"] if one["visible"]] or [0]
            action = draw.choice(["click {}", 'type {} "a"', "drag {} to {}", "scroll {} down"])
            if any(env.step(action.format(draw.choice(shown), draw.choice(shown)))[2:4]):
                break


@pytest.mark.slow  # minutes
def test_only_these_tasks_show_something_of_earlier_episodes(make, monkeypatch):
    monkeypatch.setattr(stage, "RELOADED", frozenset())
    env, odd, draw = make("all", split="train", action="utterances", horizon=150), {}, random.Random(0)
    for task in catalog.tasks():
        env.stage._task = ""  # so that the page is loaded anew
        expected = env.stage.reset(task, 12)
        disturb(env, task, draw)
        seen = env.stage.reset(task, 12)
        before_and_after = [(expected[name], seen[name]) for name in ("utterance", "html", "elements")]
        if apart := [pair for pair in before_and_after if pair[0] != pair[1]]:
            odd[task] = apart
    told = catalog.RELOADED | {"click-pie"}  # its wheel comes to rest by the clock, a fraction of a pixel apart
    assert {task: apart for task, apart in odd.items() if task not in told} == {}


@pytest.mark.parametrize("task", ["choose-date", "email-inbox-reply"])
def test_what_was_done_does_not_show_in_the_next_episode(make, task):
    env = make(task, split="train", action="utterances", horizon=150)
    begun = {"task": task, "page_seed": 12}
    first, _ = env.reset(options=begun)
    disturb(env, task, random.Random(1))
    assert env.reset(options=begun)[0] == first


def test_a_picture_shows_the_task_and_nothing_once_it_is_over(make):
    env = make("click-test-2", image=True)
    observation, _ = start(env, "click-test-2")
    assert observation["image"].shape == (210, 160, 3)
    assert tuple(observation["image"][5, 100]) == (255, 255, 0), "what is asked stands on yellow"
    wanted = observation["goal"].rstrip(".").split()[-1]
    observation, *_, info = env.step(f"click {ref(observation, tag='button', text=wanted)}")
    assert info["success"]
    assert not observation["image"].any(), "a task that is over covers itself"


@pytest.mark.parametrize(
    "spoils", ["while (true);", "throw new Error('x')", "return null", "return {}", "return { done: 7, elements: 5 }",
               "location.reload()"]
)  # fmt: skip
def test_a_page_that_cannot_be_observed_loses_the_episode_alone(make, spoils):
    env = make("click-test-2", horizon=3, browser={"patience": 1.0})
    start(env, "click-test-2")
    env.stage.page.evaluate(f"() => {{ lab.observe = () => {{ {spoils} }} }}")
    *_, info = env.step("press tab")
    assert info["stop"] == "device_lost"
    observation, _ = start(env, "click-test-2", seed=1)
    assert "Click button" in observation["text"]


def test_the_loop_of_the_docs_runs(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "miniwob.md").read_text()
    (loop,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "loop.py"
    path.write_text(loop)
    said = runpy.run_path(str(path))
    assert said["observation"]["text"].count('holds "Agustina"') == 1
    assert said["info"]["outcomes"] == [{"primitive": 'type 5 "Agustina"', "fault": ""}]
