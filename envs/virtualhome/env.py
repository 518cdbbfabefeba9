"""A household task as a Gymnasium environment, on the graph simulator or on the real one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces

from agentlab_runner.envs.spaces import AnyText
from agentlab_runner.envs.virtualhome.graph import Graph
from agentlab_runner.envs.virtualhome.simulator import GraphHousehold
from agentlab_runner.envs.virtualhome.tasks import Scene, as_array, task_named

HORIZON = 50
RETURN_DISCOUNT = 0.95
"""Of the episode's return in the statistics, as published."""


class Household(Protocol):
    """What a home is asked for; `GraphHousehold` and `UnityHousehold` are two."""

    blocking: bool
    """Whether it makes its caller wait, so that several are worth threads."""

    def reset(self, strict_original: bool = False) -> Graph: ...

    def do(self, verb: str, *things: int) -> tuple[Graph, bool]: ...

    def close(self) -> None: ...


class VirtualHomeEnv(gymnasium.Env[dict[str, Any], Any]):
    """One household task (TWOSOME, arXiv 2401.14151).

    An observation holds `text` (the prompt, an unfinished clause), `actions` and `action_ids` (phrases of the
    admissible actions and their indices among all) and `vector` (zeros and ones, float32). An action is an index among
    **all** actions; one that cannot be done changes nothing and costs a step. The reward is 1 when the task is done,
    which ends the episode; `horizon` steps truncate it.

    A simulator that goes away truncates the episode (`stop` is `device_lost`, `reason` says why).

    The info of `step` holds `steps` (1), `executed`, `success`, `stop`, `parsed` (the phrase), `parse_failed` (False),
    `marks`, and at the end `episode_return` (discounted by 0.95 a step) and `episode_steps`.

    Args:
        task: `food_preparation`, `entertainment`, or an unseen one: `cheese`, `hamburger`, `apple_pie`, `pizza`,
            `washing_plate`, `laundry`. Of several, with the same actions, episode i (`options["episode"]`) plays the
            i-th in turn.
        household: makes the worker's home; by default the graph of our own apartment.
        horizon: steps.
        strict_original: offer what the release offers, and on the graph let happen what happens there, where that is
            plainly a slip.
        worker: which of the parallel environments this is; it decides which executable of the real simulator.

    Raises:
        ValueError: there is no such task, or the home lacks what it needs.
        ConnectionError: the real simulator cannot be reached.
    """

    metadata = {"render_modes": ["ansi"], "one_start": True}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        task: str | Sequence[str] = "food_preparation",
        household: Callable[[int], Household] = GraphHousehold,
        horizon: int = HORIZON,
        strict_original: bool = False,
        worker: int = 0,
        render_mode: str | None = "ansi",
    ) -> None:
        if horizon < 1:
            raise ValueError(f"horizon is {horizon}; give at least 1 step")
        names = [task] if isinstance(task, str) else list(task)
        self.tasks = [task_named(name, strict_original) for name in names]
        if len({own.name for own in self.tasks}) != 1:
            raise ValueError(f"the tasks {names} have not the same actions; name one, or several of one kind")
        self.names = names
        self.name, self.task = names[0], self.tasks[0]
        self.household = household(worker)
        self.metadata = {**self.metadata, "blocking": self.household.blocking}
        self.horizon, self.strict_original = horizon, strict_original
        self.render_mode = render_mode
        self.actions_total = self.task.actions_total
        self.action_space = spaces.Discrete(self.actions_total)
        self.observation_space = spaces.Dict(
            {
                "text": AnyText(1 << 11),
                "actions": spaces.Sequence(AnyText(100)),
                "action_ids": spaces.Sequence(spaces.Discrete(self.actions_total)),
                "vector": spaces.Box(0.0, 1.0, (self.task.entries,), np.float32),
            }
        )
        self._ended = True

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Every episode begins alike, in the kitchen; the task is `options["task"]` or that of the episode's number."""
        super().reset(seed=seed)
        asked = options or {}
        if (name := asked.get("task", self.name)) not in self.names:
            known = " or ".join(self.names)
            raise ValueError(f"this household does not play {name!r}; ask for {known}, or set env.task")
        turn = self.names.index(name) if "task" in asked else int(asked.get("episode", 0)) % len(self.tasks)
        self.name, self.task = self.names[turn], self.tasks[turn]
        graph = self.household.reset(self.strict_original)
        self._ids = self.task.find(graph)
        self.scene = Scene(graph, self._ids)
        self._steps, self._ended = 0, False
        return self._observe(), {"task": self.name, "goal": self.task.goal, "level": 0}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        if self._ended:
            raise gymnasium.error.ResetNeeded("the episode is over; call reset before the next step")
        if not isinstance(action, int | np.integer) or not 0 <= action < self.actions_total:
            raise ValueError(f"{action!r} is no action of {self.name}; give an index of 0 to {self.actions_total - 1}")
        verb, names = self.task.line(int(action))
        things = () if verb == "standup" else tuple(self._ids[name] for name in names)
        try:
            graph, done = self.household.do(verb, *things)
        except ConnectionError as fault:
            return self._lost(str(fault))
        self._ids = self.task.follow(graph, self._ids)
        self.scene = Scene(graph, self._ids)
        self._steps += 1
        success = self.task.reached(self.scene)
        truncated = not success and self._steps >= self.horizon
        self._ended = success or truncated
        phrase = self.task.phrase(int(action))
        info: dict[str, Any] = {
            "steps": 1,
            "executed": done,
            "success": success,
            "stop": "success" if success else "horizon" if truncated else None,
            "parsed": phrase,
            "parse_failed": False,
            "marks": [{"kind": "text", "text": phrase}],
        }
        if self._ended:
            info |= {
                "episode_return": RETURN_DISCOUNT ** (self._steps - 1) if success else 0.0,
                "episode_steps": self._steps,
            }
        return self._observe(), float(success), success, truncated, info

    def _lost(self, reason: str) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """The simulator went away: the episode is over and says nothing of the agent."""
        self._ended = True
        info = {"steps": 1, "success": False, "stop": "device_lost", "reason": reason, "parsed": None, "marks": []}
        return self._observe(), 0.0, False, True, info | {"parse_failed": False}

    def render(self) -> str:
        """The prompt, which is all there is to see."""
        return self.task.prompt(self.scene)

    def close(self) -> None:
        self.household.close()

    def _observe(self) -> dict[str, Any]:
        offered = self.task.admissible(self.scene)
        return {
            "text": self.task.prompt(self.scene),
            "actions": tuple(self.task.phrase(action) for action in offered),
            "action_ids": tuple(offered),
            "vector": as_array(self.task.vector(self.scene)),
        }
