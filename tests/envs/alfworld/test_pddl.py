"""The twin beside the PDDL engine: equal in everything a policy sees and earns. Needs the extra `alfworld`."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

import agentlab_runner.envs.alfworld
from agentlab_runner.envs.alfworld.commands import CommandParser
from agentlab_runner.envs.alfworld.expert import Planner
from agentlab_runner.envs.alfworld.games import read_problem
from agentlab_runner.envs.alfworld.pddl import PddlEngine
from agentlab_runner.envs.alfworld.twin import Twin
from agentlab_runner.envs.alfworld.world import Goal, TaskType
from tests.envs.alfworld.walks import SMALL, Walker, together

pytest.importorskip("textworld", reason="the PDDL engine needs pip install -e '.[alfworld]'")
pytest.importorskip("alfworld", reason="the PDDL engine needs pip install -e '.[alfworld]'")


def same(ours, theirs):
    (our_view, *ours), (their_view, *theirs) = ours, theirs
    np.testing.assert_array_equal(our_view.pop("image"), their_view.pop("image"))
    assert our_view == their_view
    assert ours == theirs


def test_300_random_steps_are_equal():
    walker = Walker(0)
    for ours, theirs in together(walker, 300, episode_steps=30):
        same(ours, theirs)
    assert len(walker.said) >= 12, f"the walks only met {dict(walker.said)}"


@pytest.mark.slow
def test_10_000_random_steps_are_equal():
    walker = Walker(1)
    for ours, theirs in together(walker, 9_000, episode_steps=50, first=1000):
        same(ours, theirs)
    for ours, theirs in together(walker, 1_000, 50, first=5000, receptacles=None, objects=16, split="test"):
        same(ours, theirs)
    assert set(walker.said) == set(CommandParser.labels), f"the walks only met {dict(walker.said)}"


def test_the_quirks_of_a_shared_place_are_equal():
    text = (Path(__file__).parent / "two_at_one_place.pddl").read_text()
    world = read_problem(text, Goal(TaskType.PICK, "mug", "sinkbasin", "put a mug in sinkbasin"))
    twin, pddl, rng = Twin(), PddlEngine(), Random(3)
    turn = twin.start(world)
    assert turn == pddl.start(world)
    seen = set()
    for _ in range(250):
        command = rng.choice([c for c in turn.commands if not (c.startswith("move mug") and c.endswith("sinkbasin 1"))])
        turn = twin.step(command)
        assert turn == pddl.step(command)
        assert twin.state == pddl.state
        seen.add(turn.text)
    assert any(text.startswith("You are facing the fridge 1, and sinkbasin 1. Next to it, you see a") for text in seen)


def test_a_closed_door_hides_nothing_from_a_knife_or_a_switch_in_the_engine_either():
    text = (Path(__file__).parent / "two_at_one_place.pddl").read_text()
    text = text.replace("(openable Cabinet_bar_1)", "(openable Cabinet_bar_1) (openable Cabinet_bar_2)")
    world = read_problem(text, Goal(TaskType.PICK, "mug", "sinkbasin", "put a mug in sinkbasin"))
    for engine in (Twin(), PddlEngine()):
        engine.start(world)
        turn = engine.step("go to cabinet 1")
        assert turn.text.endswith("The cabinet 1 is closed.")
        assert "use desklamp 1" in turn.commands
        for command in ("open cabinet 1", "take knife 1 from cabinet 1", "go to fridge 1"):
            turn = engine.step(command)
        assert turn.text.endswith("The fridge 1 is closed.")
        assert "slice apple 1 with knife 1" in turn.commands
        assert engine.step("slice apple 1 with knife 1").text == "You sliced the apple 1 with the knife 1."


def test_downloaded_games_are_equal_whatever_version_they_come_from(downloaded):
    settings = {"data": str(downloaded), "receptacles": None, "sampling": "sequential"}
    for ours, theirs in together(Walker(2), 80, episode_steps=20, **settings):
        same(ours, theirs)


def test_the_planner_wins():
    env = agentlab_runner.envs.alfworld.make(engine="pddl", **SMALL | {"task_types": ["pick_heat_then_place_in_recep"]})
    planner = Planner()
    env.reset(seed=4)
    planner.begin(env, 4)
    ended = won = False
    while not ended:
        *_, ended, out_of_time, info = env.step(planner.decide(env))
        assert not info["illegal"]
        won, ended = info["success"], ended or out_of_time
    assert won


def test_the_twin_has_no_planner():
    env = agentlab_runner.envs.alfworld.make(**SMALL)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="engine=pddl"):
        Planner().decide(env)
