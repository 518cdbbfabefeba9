"""Random episodes against a slow re-implementation of the rules, every primitive step of them."""

import itertools

import numpy as np
import pytest

from agentlab_runner.envs.overcooked.env import OvercookedEnv
from agentlab_runner.envs.overcooked.kitchen import Kitchen
from agentlab_runner.envs.overcooked.layout import MAPS, SIDE
from agentlab_runner.envs.overcooked.macros import first_step, play
from agentlab_runner.envs.overcooked.views import vector
from tests.envs.overcooked.oracle import SlowKitchen

GOOD = {
    "tomato_salad": ([0, 2, 4, 0, 1, 3], [0, 2, 4, 1, 0, 3]),
    "tomato_lettuce_salad": ([0, 4, 7, 1, 5, 7, 3, 0, 1, 6], [1, 5, 7, 0, 4, 7, 0, 3, 1, 6], [2, 4, 7, 2, 3, 4, 6]),
}
"""Ways to a dish, so that chance also begins in the middle of one."""
EPISODES = 18


def choices(task: str, rng: np.random.Generator, total: int):
    """Actions without end: part of a good way, now and then a step beside it, then chance alone."""
    good = GOOD[task][rng.integers(len(GOOD[task]))]
    for action in good[: rng.integers(len(good) + 1)]:
        if rng.random() < 0.15:
            yield int(rng.integers(total))
        yield action
    while True:
        yield int(rng.integers(total))


def follow(env: OvercookedEnv, slow: SlowKitchen, actions) -> bool:
    """One episode in both; whether the order was served."""
    env.reset()
    assert env._observe()["vector"].tolist() == slow.view()
    spent, whole = 0, 0.0
    for action in actions:
        name = env.macros[action]
        records = list(itertools.islice(slow.macro(name), None if env.strict_original else env.horizon - spent))
        steps = itertools.islice(play(env.kitchen, env.state, name), len(records))
        for (seen, reward, _), (state, event) in zip(records, steps, strict=True):
            assert vector(env.kitchen, state).tolist() == seen, name
            assert env.rewards.of(event, env.kitchen.dish) == pytest.approx(reward, abs=1e-12), name
        observation, reward, terminated, truncated, info = env.step(action)
        assert observation["vector"].tolist() == records[-1][0]
        assert reward == pytest.approx(sum(0.99**i * r for i, (_, r, _) in enumerate(records)), abs=1e-9)
        assert info["steps"] == len(records), name
        whole += sum(0.99 ** (spent + i) * r for i, (_, r, _) in enumerate(records))
        spent += len(records)
        served = records[-1][2]
        assert (terminated, truncated) == (served, not served and spent >= env.horizon)
        if terminated or truncated:
            assert (info["episode_steps"], info["episode_return"]) == (spent, pytest.approx(whole, abs=1e-9))
            return served
    raise AssertionError("an episode ends")


@pytest.mark.parametrize("task", list(GOOD))
@pytest.mark.parametrize("room", MAPS)
@pytest.mark.parametrize("strict", [False, True])
def test_every_primitive_step_is_that_of_the_slow_kitchen(task, room, strict):
    """Twelve times eighteen episodes, a third of them with the whole room in view."""
    rng = np.random.default_rng([len(task), ord(room), strict])
    served = 0
    for episode in range(EPISODES):
        radius = 0 if episode % 3 == 0 else 2
        env = OvercookedEnv(task, room=room, radius=radius, strict_original=strict)
        served += follow(env, SlowKitchen(task, room, radius), choices(task, rng, env.actions_total))
    assert served > 0 or room == "B"


def test_paths_of_equal_length_begin_as_the_originals_do():
    """All 500 pairs of a floor cell and a counter cell of room A."""
    kitchen = OvercookedEnv("tomato_salad").kitchen
    slow = SlowKitchen("tomato_salad", "A", 0)
    floor = [(x, y) for x in range(1, SIDE - 1) for y in range(1, SIDE - 1)]
    counters = [(x, y) for x in range(SIDE) for y in range(SIDE) if (x, y) not in floor and x % 6 + y % 6 > 0]
    pairs = list(itertools.product(floor, counters))
    assert len(pairs) == 500
    for slow.cook, target in pairs:
        assert first_step(kitchen, slow.cook, target) == slow.way_to(target), (slow.cook, target)
    assert first_step(kitchen, (1, 2), (6, 1)) == "down"  # where another order of neighbours begins to the left


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("action", "steps", "reward"), [(3, 5, -0.00490099501), (2, 3, -0.00297010)])
def test_a_macro_ends_with_the_step_after_which_nothing_is_left_to_do(strict, action, steps, reward):
    env = OvercookedEnv("tomato_salad", strict_original=strict)
    env.reset()
    _, gained, _, _, info = env.step(action)
    assert (info["steps"], gained) == (steps, pytest.approx(reward, abs=1e-11))


def test_beside_raw_food_on_a_board_nothing_is_left_to_do():
    env = OvercookedEnv("tomato_salad")
    env.reset()
    for action in (0, 2, 3):  # the tomato on the board, then to the hatch
        env.step(action)
    _, _, _, _, info = env.step(0)
    assert info["steps"] == 2
    assert env.state.held == ""


def test_one_who_remembers_wrongly_stops_after_the_first_step():
    own: Kitchen = OvercookedEnv("tomato_salad").kitchen
    start = own.start()
    moved = start._replace(places=((6, 1), (6, 5)))
    ended = list(play(own, moved._replace(agent=(4, 4), memory=((0, 5), (6, 5))), "get tomato"))
    assert len(ended) == 1
    assert ended[0][0].agent != (4, 4)


def test_the_delivered_dish_is_no_longer_with_the_cook():
    env = OvercookedEnv("tomato_salad")
    env.reset()
    for action in GOOD["tomato_salad"][0]:
        observation, *_ = env.step(action)
    assert observation["vector"].tolist()[:5] == [3, 0, 3, 3, 0]
    assert "carrying nothing" in observation["text"]
