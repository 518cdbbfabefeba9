"""Two houses that differ only behind closed doors and at other places tell the one who walks there the same."""

from random import Random

import numpy as np

import agentlab_runner.envs.alfworld
from agentlab_runner.envs.alfworld import draw
from agentlab_runner.envs.alfworld.twin import Twin
from agentlab_runner.envs.alfworld.world import State, World
from tests.envs.alfworld.walks import SMALL, Walker


def otherwise(world: World, state: State, rng: Random) -> State:
    """What was never touched and lies out of sight changes places and states; a closed door hides what is behind it."""
    other = state.copy()
    hides = [
        receptacle
        for receptacle in world.receptacles
        if receptacle.place != state.place or (receptacle.openable and receptacle.id not in state.opened)
    ]
    touched = {thing for thing, _ in state.left} | {state.held}
    movable = [thing for receptacle in hides for thing in state.contents[receptacle.id] if thing not in touched]
    for thing in movable:
        for receptacle in hides:
            if thing in other.contents[receptacle.id]:
                other.contents[receptacle.id].remove(thing)
        to = rng.choice(hides)
        other.contents[to.id] = sorted([*other.contents[to.id], thing])
        other.spots[thing] = to.place
        for group in (other.clean, other.hot, other.cool, other.sliced, other.toggled):
            (group.add if rng.random() < 0.5 else group.discard)(thing)
    return other


def behind_a_door(world: World, state: State) -> set[str]:
    """Names of what lies in the closed receptacles one stands at: ALFRED's domain offers to use and to slice these."""
    closed = [r.id for r in world.at(state.place) if r.openable and r.id not in state.opened]
    names = {thing.id: thing.name for thing in world.things}
    return {names[thing] for receptacle in closed for thing in state.contents[receptacle]}


def told(world: World, state: State) -> tuple[list[str], str, bytes]:
    twin = Twin().resume(world, state)
    turn, hidden = twin.step("look"), behind_a_door(world, state)
    commands = [
        command
        for command in turn.commands
        if not any(command.startswith((f"use {name}", f"slice {name} with")) for name in hidden)
    ]
    return commands, turn.text, draw.scene(world, state, 64).tobytes()


def test_nothing_tells_what_is_out_of_sight():
    rng = Random("out of sight")
    differed = 0
    for episode in range(12):
        env, walker = agentlab_runner.envs.alfworld.make(**SMALL | {"receptacles": 8}), Walker(episode)
        env.reset(seed=episode, options={"episode": episode})
        for _ in range(30):
            _, _, terminated, truncated, _ = env.step(walker.utterance(env))
            engine = env.unwrapped.engine
            other = otherwise(engine.world, engine.state, rng)
            differed += other.contents != engine.state.contents
            assert told(engine.world, engine.state) == told(engine.world, other)
            if terminated or truncated:
                break
    assert differed > 150


def test_an_observation_is_made_of_the_past_the_commands_and_the_picture_alone():
    """So that what the test above compares is all that could tell."""
    env = agentlab_runner.envs.alfworld.make(**SMALL)
    env.reset(seed=1, options={"episode": 1})
    house = env.unwrapped
    before = house._observe()
    house.engine.state.hot |= {thing.id for thing in house.engine.world.things}
    after = house._observe()
    assert after["text"] == before["text"]
    assert np.array_equal(after["image"], before["image"])
