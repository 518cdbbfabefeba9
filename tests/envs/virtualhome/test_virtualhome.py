"""Household tasks: the original's shortest solutions, what is offered, what fails, words, bad input."""

import json
import re
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from agentlab_runner.envs.virtualhome import RELEASED_IDS, make
from agentlab_runner.envs.virtualhome.apartment import apartment
from agentlab_runner.envs.virtualhome.env import VirtualHomeEnv
from agentlab_runner.envs.virtualhome.graph import Graph
from agentlab_runner.envs.virtualhome.simulator import GraphHousehold
from agentlab_runner.envs.virtualhome.tasks import TASKS, UNSEEN, FoodPreparation
from tests.envs.virtualhome.fake_unity import as_json

FOOD = [4, 6, 5, 8, 7, 9]
FUN = [4, 9, 5, 10, 0, 6, 11, 7, 13, 8, 15]
ALL = (*TASKS, *UNSEEN)


def play(env: VirtualHomeEnv, actions: list[int], offered: bool = True) -> tuple[dict, dict]:
    """Reset and act; every action must be among those offered."""
    observation, _ = env.reset(seed=0)
    info: dict = {}
    for action in actions:
        assert not offered or action in observation["action_ids"], (action, observation)
        observation, *_, info = env.step(action)
    return observation, info


@pytest.mark.parametrize(
    ("task", "actions", "value"), [("food_preparation", FOOD, 0.77378), ("entertainment", FUN, 0.59874)]
)
def test_the_shortest_solutions(task, actions, value):
    env = VirtualHomeEnv(task)
    _, info = play(env, actions)
    assert (info["success"], info["stop"], info["episode_steps"]) == (True, "success", len(actions))
    assert info["episode_return"] == pytest.approx(value, abs=5e-6)


def test_what_is_seen_on_the_way():
    """Rooms; the pancake seen, close, held; the microwave seen, close; open; the pancake in it."""
    env = VirtualHomeEnv("food_preparation")
    rows = [env.reset()[0]["vector"].tolist()]
    for action in FOOD[:-1]:
        observation, reward, terminated, truncated, info = env.step(action)
        assert (reward, terminated, truncated, info["executed"]) == (0.0, False, False, True)
        rows.append(observation["vector"].tolist())
    assert {tuple(row[:4]) for row in rows} == {(1, 0, 0, 0)}
    assert [row[4:] for row in rows] == [
        [1, 0, 0, 1, 0, 0, 0],
        [1, 1, 0, 1, 0, 0, 0],  # walked to the pancake
        [1, 1, 1, 1, 0, 0, 0],  # took it
        [1, 1, 1, 1, 1, 0, 0],  # walked to the microwave
        [1, 1, 1, 1, 1, 1, 0],  # opened it
        [1, 1, 0, 1, 1, 1, 1],  # put the pancake in
    ]
    assert env.step(FOOD[-1])[1:3] == (1.0, True)


@pytest.mark.parametrize(("task", "steps"), [("food_preparation", 6), ("entertainment", 11)])
def test_nothing_shorter_reaches_the_goal(task, steps):
    """All that is reachable by admissible actions in one step less, breadth first."""
    env = VirtualHomeEnv(task)
    env.reset()
    frontier, seen = [()], set()
    for _ in range(steps - 1):
        following = []
        for path in frontier:
            observation, _ = play(env, list(path))
            for action in observation["action_ids"]:
                _, info = play(env, [*path, action])
                assert not info["success"], [*path, action]
                key = json.dumps(as_json(env.scene.graph))
                if key not in seen:
                    seen.add(key)
                    following.append((*path, action))
        frontier = following


@pytest.mark.parametrize("task", [*RELEASED_IDS])
def test_the_originals_names_are_registered(task):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Gymnasium's, that one is the newer version of the other
        assert gymnasium.make(task).unwrapped.name == RELEASED_IDS[task]


@pytest.mark.parametrize("task", ALL)
def test_gymnasiums_own_check(task):
    check_env(make(task).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("task", ALL)
def test_prompts_are_whole_and_phrases_differ_wherever_chance_leads(task):
    env, rng = VirtualHomeEnv(task), np.random.default_rng(0)
    observation, _ = env.reset()
    failed = 0
    for _ in range(400):
        assert observation["text"].endswith("the next thing to do is to")
        assert not re.search(r"\b(chips|dishes|clothes) is\b|\bis the (chips|dishes|clothes)\b", observation["text"])
        assert len(set(observation["actions"])) == len(observation["actions"]) == len(observation["action_ids"])
        assert observation["vector"].shape == (env.task.entries,)
        action = int(rng.choice(observation["action_ids"]))
        observation, _, terminated, truncated, info = env.step(action)
        failed += not info["executed"]
        if terminated or truncated:
            observation, _ = env.reset()
    assert failed < 40  # admissible does not imply executable, but it mostly is


def test_what_cannot_be_done_changes_nothing_and_costs_a_step():
    env = VirtualHomeEnv("food_preparation", horizon=9)
    env.reset()
    before = json.dumps(as_json(env.scene.graph))
    for action in (6, 7, 8, 9):  # grab, put in, open, close: nothing is close yet
        _, reward, *_, info = env.step(action)
        assert (info["executed"], reward) == (False, 0.0)
    assert json.dumps(as_json(env.scene.graph)) == before
    env.step(0)
    *_, info = env.step(5)  # the microwave is not in sight from the living room
    assert not info["executed"]
    assert env.scene.room == "livingroom"
    for _ in range(3):
        *_, truncated, info = env.step(0)
    assert truncated
    assert (info["stop"], info["episode_return"]) == ("horizon", 0.0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


def test_a_closed_microwave_takes_nothing_and_hides_what_is_in_it():
    home = GraphHousehold()
    pancake, microwave = 62, 109
    home.do("walk", pancake)
    assert home.do("grab", pancake)[1]
    home.do("walk", microwave)
    assert not home.do("putin", pancake, microwave)[1]
    assert home.do("open", microwave)[1]
    assert not home.do("open", microwave)[1]
    assert home.do("putin", pancake, microwave)[1]
    assert home.graph.sees(pancake)
    assert home.do("close", microwave)[1]
    assert not home.graph.sees(pancake)
    assert not home.do("grab", pancake)[1]


def test_two_full_hands_switch_nothing_and_take_nothing_more():
    env = VirtualHomeEnv("entertainment")
    play(env, [4, 9, 5, 10, 0, 7])
    assert not env.scene.free_hand()
    assert 13 not in env._observe()["action_ids"]
    *_, info = env.step(13)
    assert not info["executed"]
    home = env.household
    home.do("walk", 213)
    assert not home.do("grab", 213)[1]


def test_who_stood_up_still_counts_as_sitting_until_it_walks():
    env = VirtualHomeEnv("entertainment")
    play(env, [0, 7, 13, 8, 15])
    assert env.scene.sits("sofa")
    assert env.scene.faces("tv")
    assert env._observe()["action_ids"] == (1, 2, 3)
    *_, info = env.step(16)
    assert info["executed"]
    assert env.scene.sits("sofa")
    env.step(0)
    assert not env.scene.sits("sofa")
    assert not env.scene.faces("tv")


def test_offers_in_the_living_room():
    env = VirtualHomeEnv("entertainment")
    observation, _ = play(env, [4, 9, 5, 10, 0, 6])
    assert observation["action_ids"] == (1, 2, 3, 7, 8, 11, 12)
    observation, *_ = env.step(11)
    assert observation["action_ids"] == (1, 2, 3, 7, 8)  # one of the two on the table is enough
    observation, *_ = env.step(7)
    assert observation["action_ids"] == (1, 2, 3, 6, 8, 13, 14)
    observation, *_ = env.step(13)
    assert observation["action_ids"] == (1, 2, 3, 6, 8)
    observation, *_ = env.step(8)
    assert observation["action_ids"] == (1, 2, 3, 6, 7, 15, 16)


def test_the_releases_slip_is_offered_only_when_asked_for():
    for strict, expected in ((False, 4), (True, 5)):
        env = VirtualHomeEnv("entertainment", strict_original=strict)
        play(env, [5, 10, 0, 6, 12])  # the milk is left on the coffee table
        observation, *_ = env.step(1)
        assert observation["action_ids"] == (0, 2, 3, expected)


def test_unseen_tasks_are_the_same_home_in_other_words():
    for task in UNSEEN:
        env = VirtualHomeEnv(task)
        observation, _ = env.reset()
        assert "pancake" not in observation["text"]
        _, end = play(env, FOOD)
        assert end["success"]
    assert "wash the clothes in the washing machine" in VirtualHomeEnv("laundry").reset()[0]["text"]
    phrases = [VirtualHomeEnv("laundry").task.phrase(action) for action in (0, 4, 5, 6)]
    assert phrases == [
        "enter the living room",
        "go and find the clothes",
        "walk to the washing machine",
        "pick up the clothes",
    ]
    with pytest.raises(ValueError, match="has no 'soup' to rename"):
        FoodPreparation({"soup": "stew"})


def test_several_tasks_are_played_in_turn():
    env = VirtualHomeEnv(["pizza", "laundry"])
    told = [env.reset(options={"episode": i}) for i in (0, 1, 2)]
    assert [info["task"] for _, info in told] == ["pizza", "laundry", "pizza"]
    assert ["clothes" in observation["text"] for observation, _ in told] == [False, True, False]
    for names in (["pizza", "entertainment"], []):
        with pytest.raises(ValueError, match="have not the same actions"):
            VirtualHomeEnv(names)


def test_a_graph_from_a_file_is_played_alike(tmp_path):
    file = tmp_path / "home.json"
    file.write_text(json.dumps({"init_graph": as_json(apartment())}))
    env = VirtualHomeEnv("entertainment", household=lambda worker: GraphHousehold(worker, str(file)))
    assert play(env, FUN)[1]["success"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "cannot be read"),
        ("[]", "this is no VirtualHome graph"),
        ('{"nodes": [{"id": 2, "class_name": "sofa"}], "edges": []}', "has no node 1, the character"),
        (
            '{"nodes": [{"id": 1, "class_name": "character"}],'
            ' "edges": [{"from_id": 1, "relation_type": "ON", "to_id": 7}]}',
            "edges name node 7",
        ),
        (
            '{"nodes": [{"id": 1, "class_name": "character"}, {"id": 2, "class_name": "kitchen"},'
            ' {"id": 3, "class_name": "bedroom"}], "edges": [{"from_id": 1, "relation_type": "INSIDE", "to_id": 2},'
            ' {"from_id": 1, "relation_type": "INSIDE", "to_id": 3}]}',
            "the character is in bedroom and in kitchen at once",
        ),
    ],
)
def test_a_damaged_graph_is_refused_in_a_sentence(tmp_path, content, sentence):
    file = tmp_path / "home.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=sentence):
        GraphHousehold(0, str(file))


def test_a_home_without_the_tasks_things_is_refused(tmp_path):
    plain = as_json(apartment())
    gone = next(node["id"] for node in plain["nodes"] if node["class_name"] == "tv")
    plain["nodes"] = [node for node in plain["nodes"] if node["id"] != gone]
    plain["edges"] = [edge for edge in plain["edges"] if gone not in (edge["from_id"], edge["to_id"])]
    graph = Graph.of(plain)
    with pytest.raises(ValueError, match="this home has no tv, which entertainment needs"):
        TASKS["entertainment"]().find(graph)


@pytest.mark.parametrize("arguments", [{"task": "gardening"}, {"horizon": 0}])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=r"unknown task 'gardening'|horizon is 0"):
        VirtualHomeEnv(**arguments)


@pytest.mark.parametrize("action", [10, -1, "walk", None])
def test_no_action_of_the_task(action):
    env = VirtualHomeEnv("food_preparation")
    env.reset()
    with pytest.raises(ValueError, match="is no action of food_preparation; give an index of 0 to 9"):
        env.step(action)
