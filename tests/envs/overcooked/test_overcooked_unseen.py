"""Two kitchens that differ only in what the cook does not see tell the cook the same."""

from collections.abc import Iterator

import numpy as np
import pytest

from agentlab_runner.envs.overcooked.env import OvercookedEnv
from agentlab_runner.envs.overcooked.kitchen import CHOPS, Kitchen, State
from agentlab_runner.envs.overcooked.layout import PLATE, SIDE


def visited(env: OvercookedEnv, rng: np.random.Generator, decisions: int) -> Iterator[State]:
    """The states of random play, some of them after items were put on the boards."""
    env.reset()
    for _ in range(decisions):
        _, _, terminated, truncated, _ = env.step(int(rng.integers(env.actions_total)))
        yield env.state
        if terminated or truncated:
            env.reset()


def otherwise(kitchen: Kitchen, state: State, rng: np.random.Generator) -> State:
    """The same within the window: what is unseen lies elsewhere, chopped or raw, in the unseen plate or beside it."""
    cells = [(x, y) for x in range(SIDE) for y in range(SIDE)]
    unseen = [cell for cell in cells if not kitchen.sees(state, cell) and not kitchen.layout.is_floor(cell)]
    layout, places, chops = kitchen.layout, list(state.places), list(state.chops)
    hidden = [i for i, place in enumerate(places) if not kitchen.sees(state, place)]
    for i in hidden:
        places[i] = unseen[rng.integers(len(unseen))]
        if i < len(chops):
            chops[i] = int(rng.integers(CHOPS + 1))
    plated = {food for food in state.plated if kitchen.sees(state, kitchen.place(state, food))}
    plate = len(places) - 1
    if plate in hidden:
        for i in hidden[:-1]:
            if rng.random() < 0.5:
                places[i], chops[i] = places[plate], CHOPS
                plated.add(layout.items[i])
    memory = tuple(cells[rng.integers(len(cells))] for _ in places)
    return state._replace(places=tuple(places), chops=tuple(chops), plated=frozenset(plated), memory=memory)


@pytest.mark.parametrize("task", ["tomato_salad", "tomato_lettuce_salad"])
@pytest.mark.parametrize("radius", [1, 2])
def test_nothing_tells_what_is_out_of_sight(task, radius):
    rng = np.random.default_rng(radius)
    env = OvercookedEnv(task, radius=radius, image=True)
    differed = 0
    for state in visited(env, rng, 400):
        told = env._observe()
        env.state = otherwise(env.kitchen, state, rng)
        differed += env.state.places != state.places or env.state.plated != state.plated
        again = env._observe()
        env.state = state
        for key, value in told.items():
            assert np.array_equal(value, again[key]), (key, state)
    assert differed > 200


def test_the_bowls_phrase_is_that_of_the_bowl_in_sight():
    env = OvercookedEnv("tomato_lettuce_salad")
    env.reset()
    for action in (0, 4, 7, 3, 0, 5):  # a bowl of chopped tomato, put on the second board
        observation, *_ = env.step(action)
    assert env.kitchen.sees(env.state, env.kitchen.place(env.state, PLATE))
    assert observation["actions"][3] == "pick up the bowl"
    observation, *_ = env.step(2)  # away, to the onion
    assert not env.kitchen.sees(env.state, env.kitchen.place(env.state, PLATE))
    assert observation["actions"][3] == "pick up the empty bowl"
