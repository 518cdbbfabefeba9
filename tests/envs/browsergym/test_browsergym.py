"""The real BrowserGym, where `make browsergym` has made its environment."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from agentlab_runner.envs.browsergym import client
from agentlab_runner.envs.browsergym.client import Refused
from agentlab_runner.envs.browsergym.env import BrowserGymEnv
from agentlab_runner.envs.miniwob.env import MiniwobEnv
from tests.conftest import environment

pytestmark = [
    pytest.mark.slow,  # seconds an episode
    pytest.mark.skipif(not client.BESIDE.exists(), reason="needs BrowserGym: make browsergym"),
]
MINIWOB = "browsergym/miniwob."


@pytest.fixture
def make():
    made = []

    def make(*tasks, **settings):
        made.append(BrowserGymEnv(tasks=[MINIWOB + task for task in tasks], **settings))
        return made[-1]

    yield make
    for env in made:
        env.close()


def bid(env, **own):
    return next(e["bid"] for e in env.seen["elements"] if all(e[name] == value for name, value in own.items()))


def of(folder):
    """Living processes that were started with this temporary folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            state = (file.parent / "stat").read_text().rpartition(")")[2].split()[0]
            if f"TMPDIR={folder}".encode() in file.read_bytes() and state != "Z":
                found.append(int(file.parent.name))
        except OSError:
            continue
    return found


def gone(folder):
    until = time.monotonic() + 20
    while of(folder) and time.monotonic() < until:
        time.sleep(0.1)
    return not of(folder)


def test_calls_solve_tasks(make):
    env = make("click-test-2", "enter-text", "choose-list", html=True, image=True)
    observation, info = env.reset(seed=3, options={"task": MINIWOB + "click-test-2"})
    assert observation["text"].startswith("## Goal:\nClick button ONE.")
    assert re.search(r"\[\d+\] button 'ONE'", observation["text"])
    assert 'id="subbtn"' in observation["html"]
    assert (observation["image"].dtype, observation["image"].shape) == (np.uint8, (321, 498, 3))
    assert "/site-packages/" not in observation["text"]
    _, reward, terminated, truncated, info = env.step(f"click('{bid(env, name='ONE')}')")
    assert (reward, terminated, truncated, info["stop"]) == (1.0, True, False, "success")

    _, info = env.reset(seed=0, options={"task": MINIWOB + "enter-text"})
    wanted = re.search(r'"(.*)"', info["goal"])[1]
    observation, *_ = env.step(f"fill('{bid(env, role='textbox')}', {wanted!r})")
    assert f"value='{wanted}'" in observation["text"]
    assert env.step(f"click('{bid(env, role='button')}')")[4]["success"]

    _, info = env.reset(seed=1, options={"task": MINIWOB + "choose-list"})
    wanted = re.search(r"Select (.*) from the list", info["goal"])[1]
    env.step(f"select_option('{bid(env, role='combobox')}', {wanted!r})")
    assert env.step(f"click('{bid(env, role='button')}')")[4]["success"]

    observation, *_, info = env.reset(seed=1)[0], env.step("click('9999')")[4]
    assert 'Could not find element with bid "9999"' in info["reason"]


def test_a_wrong_card_is_no_success(make):
    """BrowserGym 392: it pays 1 for the 0.1 of a wrong card."""
    env = make("find-greatest")
    for seed in range(6):
        env.reset(seed=seed)
        ours = MiniwobEnv(tasks=["find-greatest"], page_seed="browsergym")
        try:
            ours.reset(seed=seed)
            greatest = "() => [...document.querySelectorAll('.card')].map((one) => +one.textContent)"
            values = ours.stage.page.evaluate(greatest)
        finally:
            ours.close()
        wrong = values.index(min(values))
        cards = [e["bid"] for e in env.seen["elements"] if e["clickable"] and e["role"] != "button"]
        env.step(f"click('{cards[wrong]}')")
        _, reward, terminated, _, info = env.step(f"click('{bid(env, role='button')}')")
        if terminated and info["raw"] > 0:
            assert (reward, info["success"], info["measures"]) == (0.0, False, {"raw": 0.1, "raw_positive": 1.0})
            return
    pytest.fail("no wrong card was chosen")


def test_our_pages_are_the_same_for_its_seeds(make):
    tasks = ("click-test-2", "click-link", "enter-text", "choose-list", "email-inbox", "use-autocomplete")
    theirs = make(*tasks)
    ours = MiniwobEnv(tasks=tasks, page_seed="browsergym")
    try:
        for number, task in enumerate(tasks):
            for seed in (0, 7, 4_000_000_000 + number):
                _, info = theirs.reset(seed=seed, options={"task": MINIWOB + task})
                observation, said = ours.reset(seed=seed, options={"task": task})
                assert info["goal"] == said["goal"], (task, seed)
                shown = {e["name"] for e in theirs.seen["elements"] if e["role"] in ("button", "link") and e["name"]}
                assert all(name in observation["html"] for name in shown), (task, seed)
    finally:
        ours.close()


def test_one_seed_is_one_episode(make):
    first, second = make("click-link", "enter-text"), make("click-link", "enter-text")
    starts = [{"seed": seed, "options": {"episode": seed}} for seed in range(4)]
    seen = [first.reset(**start) for start in starts]
    assert [second.reset(**start) for start in reversed(starts)] == seen[::-1]


def test_a_browser_that_is_killed_loses_its_episode_and_nothing_is_left(make):
    env = make("click-test-2")
    before, _ = env.reset(seed=0)
    folder = env.client.folder
    for pid in of(folder):
        if "chrom" in (Path(f"/proc/{pid}") / "comm").read_text():
            os.kill(pid, signal.SIGKILL)
    *_, truncated, info = env.step("noop(10)")
    assert (truncated, info["stop"]) == (True, "device_lost")
    assert info["reason"]
    assert gone(folder)
    assert not folder.exists()
    assert env.reset(seed=0)[0] == before
    folder = env.client.folder
    assert len(of(folder)) > 3
    env.close()
    assert gone(folder)
    assert not folder.exists()


@pytest.mark.parametrize("when", ["env.reset(seed=1)", "env.reset(seed=0); go(); env.step('noop(5000)')"])
def test_nothing_is_left_when_its_owner_is_killed(when):
    program = f"""
        import os, signal, threading, time
        from agentlab_runner.envs.browsergym.env import BrowserGymEnv
        env = BrowserGymEnv(tasks=["{MINIWOB}click-test"])
        print(env.client.folder, flush=True)
        def go(): threading.Timer(0.7, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
        {when}
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=environment(), capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert gone(done.stdout.strip())


def test_unknown_tasks_and_packages_are_named(make):
    with pytest.raises(Refused, match=r"did you mean browsergym/miniwob\.click-button,"):
        make("click-buton").check()
    with pytest.raises(Refused, match=r"there is no package browsergym\.webarena in .*; pip install browsergym-web"):
        make("click-test", package="webarena").check()
    env = make("click-t*")
    env.check()
    assert env._chosen[0] == MINIWOB + "click-tab"
