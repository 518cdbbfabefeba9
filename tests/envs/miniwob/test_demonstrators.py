"""The scripted user in a real browser, and that nothing but warm starts needs it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentlab_runner.envs.miniwob import catalog
from agentlab_runner.envs.miniwob.demonstrators import Demonstrator
from agentlab_runner.envs.miniwob.experts.view import EXPERTS
from agentlab_runner.envs.miniwob.parser import PageParser
from agentlab_runner.runners.experiment import Demonstrator as Promise

ROOT = Path(__file__).parents[3]
LEARNT = ("click-link", "click-dialog", "click-dialog-2", "click-tab", "click-test-2", "click-button-sequence",
          "enter-password", "click-option", "enter-text", "click-checkboxes", "click-widget", "focus-text-2",
          "login-user")  # fmt: skip
STAGED = {"login-user-popup": 3, "use-autocomplete": 2, "terminal": 2, "guess-number": 4, "search-engine": 2,
          "email-inbox-forward": 3, "choose-date": 2}  # fmt: skip
"""Tasks whose page has to be looked at again, and how often at most."""


def played(env, task, seed, action):
    """Whether it was done, and in how many steps."""
    user: Promise = Demonstrator()
    env.reset(seed=seed, options={"task": task})
    user.begin(env, seed)
    for step in range(1, env.horizon + 1):
        *_, terminated, truncated, info = env.step(user.decide(env))
        assert not info["parse_failed"]
        if terminated or truncated:
            return info["success"], step
    raise AssertionError("the episode has no end")


def start(make, action, tasks):
    form = "block" if action == "program" else "utterance"
    return make(*tasks, split="demonstrations", action=action, parser=PageParser(form), horizon=150)


def test_most_of_the_tasks_of_the_paper_are_demonstrated():
    assert set(EXPERTS) <= set(catalog.tasks())
    assert set(catalog.SYNAPSE) - set(EXPERTS) == {"click-pie", "tic-tac-toe"}


@pytest.mark.parametrize("action", ["program", "utterances", "phrases"])
def test_it_does_them(make, action):
    env = start(make, action, LEARNT)
    assert [(task, seed) for task in LEARNT for seed in range(3) if not played(env, task, seed, action)[0]] == []


def test_a_block_ends_where_the_page_has_to_be_looked_at(make):
    env = start(make, "program", STAGED)
    for task, most in STAGED.items():
        played_ones = [played(env, task, seed, "program") for seed in range(4)]
        assert all(won for won, _ in played_ones), task
        assert max(steps for _, steps in played_ones) <= most, task
        assert min(steps for _, steps in played_ones) > 1 or task == "guess-number", task


@pytest.mark.slow  # minutes
@pytest.mark.parametrize("action", ["program", "utterances"])
def test_it_does_them_all(make, action):
    env = start(make, action, tuple(EXPERTS))
    assert [(task, seed) for task in EXPERTS for seed in range(20) if not played(env, task, seed, action)[0]] == []


def test_what_it_does_not_play(make):
    user = Demonstrator()
    env = make("click-test", split="test")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=re.escape("plays no pages for testing; set warm_start.env.split")):
        user.begin(env, 0)
    env = make("tic-tac-toe", split="demonstrations")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=re.escape("nobody demonstrates 'tic-tac-toe'; leave it out of env.tasks")):
        user.begin(env, 0)
    env = make("copy-paste", split="demonstrations", action="phrases", horizon=5)
    env.reset(seed=0)
    user.begin(env, 0)
    env.step(user.decide(env))
    with pytest.raises(ValueError, match="does press command\\+a, which is none of the phrases"):
        user.decide(env)


def test_nothing_that_evaluates_imports_it():
    rooms = ("runners", "agents", "envs", "data_cleaning", "video")
    own = {ROOT / "envs/miniwob/demonstrators.py", *(ROOT / "envs/miniwob/experts").glob("*.py")}
    for file in sorted({file for room in rooms for file in (ROOT / room).rglob("*.py")} - own):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [f"{node.module}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if "miniwob.demonstrators" in name or "miniwob.experts" in name], file


def test_without_it_the_tasks_are_played_as_ever():
    script = """if True:
        import sys
        for name in ("demonstrators", "experts"):
            sys.modules[f"agentlab_runner.envs.miniwob.{name}"] = None
        from agentlab_runner.envs.miniwob import make
        env = make(tasks=["click-test"], split="test", action="utterances")
        env.reset(seed=0)
        number = next(one["ref"] for one in env.unwrapped.seen["elements"] if one["tag"] == "button")
        assert env.step(f"click {number}")[-1]["success"]
        env.close()
    """
    subprocess.run([sys.executable, "-c", script], check=True)
