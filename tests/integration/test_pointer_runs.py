"""The pointer on three rooms that know nothing of each other, driven by command lines as a user gives them."""

import sys
from functools import partial

import pytest

from agentlab_runner.runners.claim.claim import read
from agentlab_runner.runners.config.compose import compose
from tests.conftest import environment
from tests.integration.conftest import invoke, lines

SMALL = (
    "logger=none",
    "total_iterations=2",
    "rollout_size=4",
    "env.num_envs=2",
    "env.horizon=4",
    "agent.network.size=16",
    "agent.network.layers=1",
    "eval.episodes=2",
    "eval.record=1",
    "checkpoint.every=1",
)
DEMONSTRATORS = "agentlab_runner.envs.miniwob.demonstrators"


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """`agentlab ARGS` in an empty folder, in this process, in which nobody can import the demonstrators."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, DEMONSTRATORS, None)
    return partial(invoke, env=environment())


@pytest.mark.parametrize("room", ["overcooked", "virtualhome", "miniwob"])
def test_a_run_cut_in_two_gives_the_numbers_of_a_whole_one(lab, tmp_path, monkeypatch, room):
    """On web pages, too, without the demonstrators: not one line of them is needed."""
    overrides = ("train", f"+exp=pointer_{room}", *SMALL, *(["env.tasks=[click-test-2]"] if room == "miniwob" else []))
    lab(*overrides)
    whole = lines(tmp_path)
    assert {"eval/success", "losses/policy_loss", "losses/value_loss", "rollout/decisions"} <= whole[-1].keys()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    lab(*overrides, "total_iterations=1")
    lab("resume", "run=latest", "total_iterations=2")
    assert lines(tmp_path / "other")[-1] == whole[-1]


def test_successes_of_training_are_recorded_for_others(lab, tmp_path):
    lab("train", "+exp=pointer_miniwob", *SMALL, "env.tasks=[click-test-2,focus-text]", "record_successes=1")
    kept = list(tmp_path.glob("runs/*/episodes/successes/*/episode.json"))
    assert 1 <= len(kept) <= 2


@pytest.mark.parametrize(("advantage", "kept"), [("grpo", 64), ("gigpo", 0)])
def test_groups_begin_in_one_state(lab, tmp_path, advantage, kept):
    lab("train", "+exp=pointer_overcooked", *SMALL, f"agent.advantage={advantage}", "group_size=2",
        f"agent.replay.per_task={kept}")  # fmt: skip
    assert "losses/policy_loss" in lines(tmp_path)[-1]


def test_the_32_tasks_hold_the_16():
    fewer, more = (compose([f"+exp=pointer_miniwob{name}"]).env for name in ("", "_30"))
    assert (len(fewer.tasks), len(set(more.tasks))) == (16, 32)
    assert set(fewer.tasks) <= set(more.tasks)
    assert (fewer.num_envs, more.num_envs) == (16, 32)  # a page of each task stays open


def test_each_arm_of_the_claim_composes():
    claim = read("pointer_no_demos")
    arms = {
        name: compose([*claim.overrides, *(line.replace("{seed}", "0") for line in arm.overrides)])
        for name, arm in claim.arms.items()
    }
    assert arms["pointer"].warm_start is None
    assert arms["imitation"].warm_start.demonstrator._target_ == f"{DEMONSTRATORS}.Demonstrator"
    assert arms["imitation"].warm_start.env.split == "demonstrations"
    assert arms["pointer"].eval.env.split == arms["imitation"].eval.env.split == "test"
