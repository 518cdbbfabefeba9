"""Two homes that differ only in what the agent does not see tell it the same."""

import numpy as np
import pytest

from agentlab_runner.envs.virtualhome.env import VirtualHomeEnv
from agentlab_runner.envs.virtualhome.graph import AGENT, Graph
from agentlab_runner.envs.virtualhome.tasks import TASKS, Scene

SWITCHED = {"OPEN": "CLOSED", "CLOSED": "OPEN", "ON": "OFF", "OFF": "ON"}


def otherwise(graph: Graph, rng: np.random.Generator) -> Graph:
    """The same as far as it is seen: unseen things lie elsewhere, are open or on, and one would be close to them."""
    other = graph.copy()
    unseen = [node for node in graph.nodes if node != AGENT and not graph.sees(node)]
    movable = [node for node in unseen if "GRABBABLE" in graph.nodes[node].properties]
    holders = [n for n in unseen if graph.nodes[n].properties & {"SURFACES", "CONTAINERS"} or n in (276, 297)]
    for node in unseen:
        if not any(graph.has(inside, "INSIDE", node) for inside in movable) and rng.random() < 0.5:
            other.nodes[node].states = {SWITCHED.get(state, state) for state in other.nodes[node].states}
        if rng.random() < 0.3:
            other.edges |= {(AGENT, relation, node) for relation in ("CLOSE", "FACING")}
    for node in movable:
        if holders and rng.random() < 0.7:
            other.drop({edge for edge in other.edges if edge[0] == node})
            other.edges.add((node, str(rng.choice(["ON", "INSIDE"])), int(rng.choice(holders))))
    hidden = all(other.sees(node) == graph.sees(node) for node in graph.nodes)
    return other if hidden else graph.copy()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("strict", [False, True])
def test_nothing_tells_what_is_out_of_sight(task, strict):
    rng = np.random.default_rng(strict)
    env = VirtualHomeEnv(task, strict_original=strict)
    observation, _ = env.reset()
    differed = 0
    for step in range(500):
        anything = range(env.actions_total) if step % 3 == 0 else observation["action_ids"]
        observation, _, terminated, truncated, _ = env.step(int(rng.choice(anything)))
        scene = env.scene
        env.scene = Scene(otherwise(scene.graph, rng), scene.ids)
        differed += env.scene.graph.edges != scene.graph.edges
        again = env._observe()
        env.scene = scene
        for key, value in observation.items():
            assert np.array_equal(value, again[key]), key
        if terminated or truncated:
            observation, _ = env.reset()
    assert differed > 250
