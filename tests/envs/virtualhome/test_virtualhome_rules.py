"""Random episodes against a slow re-implementation of the rules, every step of them."""

import numpy as np
import pytest

from agentlab_runner.envs.virtualhome.env import VirtualHomeEnv
from tests.envs.virtualhome.oracle import SlowHome
from tests.envs.virtualhome.test_virtualhome import FOOD, FUN

EPISODES = 60
GOOD = {"food_preparation": FOOD, "entertainment": FUN}


@pytest.mark.parametrize("task", list(GOOD))
@pytest.mark.parametrize("strict", [False, True])
def test_every_step_is_that_of_the_slow_home(task, strict):
    """Four times sixty episodes: part of a good way, then what is offered, or in every other episode any action."""
    rng = np.random.default_rng([len(task), strict])
    solved = 0
    for episode in range(EPISODES):
        env, slow = VirtualHomeEnv(task, strict_original=strict), SlowHome(task, strict)
        observation, _ = env.reset()
        assert observation["vector"].tolist() == slow.view()
        begun = GOOD[task][: rng.integers(len(GOOD[task]) + 1)]
        taken: list[int] = []
        while True:
            anything = range(env.actions_total) if episode % 2 else observation["action_ids"]
            taken.append(begun[len(taken)] if len(taken) < len(begun) else int(rng.choice(anything)))
            observation, reward, terminated, truncated, info = env.step(taken[-1])
            seen, paid, done = slow.act(taken[-1])
            assert observation["vector"].tolist() == seen, taken
            assert (reward, terminated, info["executed"]) == (paid, bool(paid), done), taken
            assert list(observation["action_ids"]) == slow.offered(), taken
            if terminated or truncated:
                solved += terminated
                assert terminated or len(taken) == env.horizon
                break
    assert 0 < solved < EPISODES


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("task", "actions", "entry"),
    [("food_preparation", [4, 6, 5, 8, 7, 3], 10), ("entertainment", [4, 9, 0, 6, 11, 3], 7)],
)
def test_the_vector_does_not_see_through_walls(strict, task, actions, entry):
    env = VirtualHomeEnv(task, strict_original=strict)
    env.reset()
    for action in actions[:-1]:
        before, *_ = env.step(action)
    after, *_ = env.step(actions[-1])
    assert (before["vector"][entry], after["vector"][entry]) == (1, 0)


def test_what_is_shut_in_the_microwave_is_not_seen():
    env = VirtualHomeEnv("food_preparation")
    env.reset()
    for action in FOOD:
        observation, *_ = env.step(action)
    assert observation["vector"].tolist() == [1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize(("strict", "offered"), [(False, (1, 2, 3, 6, 8)), (True, (1, 2, 3, 6, 8, 13, 14))])
def test_the_television_with_both_hands_full(strict, offered):
    env = VirtualHomeEnv("entertainment", strict_original=strict)
    env.reset()
    for action in [4, 9, 5, 10, 0, 7]:
        observation, *_ = env.step(action)
    assert observation["action_ids"] == offered
    *_, info = env.step(13)
    assert info["executed"] is False


@pytest.mark.parametrize(
    ("strict", "rooms"), [(False, ["livingroom"] * 3), (True, ["kitchen", "livingroom", "kitchen"])]
)
def test_walking_to_what_one_holds(strict, rooms):
    """In the release one goes to and fro between the rooms that the last walks began in."""
    env = VirtualHomeEnv("entertainment", strict_original=strict)
    env.reset()
    for action in [4, 9, 0]:
        env.step(action)
    walked = []
    for _ in range(3):
        *_, info = env.step(4)
        assert info["executed"] is True
        walked.append(env.scene.room)
    assert walked == rooms


def test_in_the_release_who_sits_cannot_walk_and_the_seat_stays_taken():
    env = VirtualHomeEnv("entertainment", strict_original=True)
    env.reset()
    for action in [0, 7, 13, 8, 15]:
        env.step(action)
    *_, info = env.step(1)
    assert (info["executed"], env.scene.room) == (False, "livingroom")
    env.step(16)
    for action in [1, 0]:
        observation, *_, info = env.step(action)
        assert info["executed"] is True
    assert observation["vector"].tolist()[14:19] == [0, 1, 1, 0, 1]
    assert observation["action_ids"] == (1, 2, 3, 6, 7, 8)
