"""Observations that list phrases, and episodes of choices among them, checked where a fault can come in."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.types import Observation, Step, Trajectory, lists_phrases


def listed(observation: Observation) -> tuple[str, ...]:
    """The admissible phrases of an observation.

    Raises:
        UserError: if it has no list of actions, or their ids do not match it.
    """
    if not lists_phrases(observation):
        raise UserError(
            "this agent chooses among phrases, and the observation lists none; use an environment that gives `actions` "
            "and `action_ids`, such as overcooked or virtualhome"
        )
    phrases = tuple(map(str, observation["actions"]))
    if not phrases:
        raise UserError("the observation lists no phrase; the environment must give one at least, such as to wait")
    if len(phrases) != len(observation["action_ids"]):
        raise UserError(
            f"the observation has {len(phrases)} actions and {len(observation['action_ids'])} action_ids; "
            "the environment must give an id with each phrase"
        )
    return phrases


def listed_action(observation: Observation, choice: int) -> Any:
    """What `env.step` receives for a phrase: its id, as Python has it where it is a number of NumPy's."""
    own = observation["action_ids"][choice]
    return own.item() if isinstance(own, np.generic) else own


def chosen(step: Step) -> int:
    """Index of the decided action among the admissible ones.

    Raises:
        UserError: if it was not admissible.
    """
    ids = list(step.observation["action_ids"])
    if step.decision.action not in ids:
        raise UserError(
            f"action {step.decision.action} was taken where {ids} were admissible; learn from this agent's own episodes"
        )
    return ids.index(step.decision.action)


def duration(step: Step) -> int:
    """Primitive steps the action took, 1 where the environment says nothing."""
    return int(step.info.get("steps", 1))


def reward(step: Step) -> float:
    """The step's reward.

    Raises:
        UserError: if it is not finite.
    """
    if not math.isfinite(step.reward):
        raise UserError(
            f"the reward of action {step.decision.action} is {step.reward}; the environment must give finite rewards"
        )
    return step.reward


def usable(trajectories: Sequence[Trajectory]) -> list[Trajectory]:
    """Episodes that say something of the policy: not those that the simulator, the judge or a person ended."""
    return [trajectory for trajectory in trajectories if trajectory.steps and trajectory.stop.counts]
