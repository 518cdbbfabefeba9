"""A batched environment of one row as a `pettingzoo.ParallelEnv`."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import ParallelEnv
from torch import Tensor

from agentlab_runner.envs.batched import Outcome, Spec, View


class Batched(Protocol):
    """What is asked of the environment; see `runners/teams.py`."""

    spec: Spec

    def reset(self, rows: Tensor, seeds: Tensor, tasks: Sequence[str | None]) -> Sequence[Mapping[str, Any]]: ...
    def view(self) -> View: ...
    def step(self, actions: Tensor) -> Outcome: ...
    def picture(self, state: Tensor, present: Tensor, shown: Mapping[str, Tensor]) -> NDArray[np.uint8]: ...
    def close(self) -> None: ...


class ParallelView(ParallelEnv):  # type: ignore[misc]  # pettingzoo is an extra
    """Agents are `agent_0`, `agent_1`, ...; whoever dies, or is not in the team, is not among `agents`.

    An episode of `reset(seed=S, options={"task": NAME})` is what a row of the batched environment plays from
    seed S. Where actions may be illegal, observations are dicts of `observation` and `action_mask`.

    Args:
        env: of one row, on the CPU.
        low: least value of a continuous action.
        high: greatest.

    Raises:
        ValueError: if there are several rows.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    render_mode = "rgb_array"

    def __init__(self, env: Batched, low: float = 0.0, high: float = 1.0) -> None:
        seen, spec = env.view(), env.spec
        if (rows := len(seen.present)) != 1:
            raise ValueError(f"a ParallelEnv plays one episode at a time and this environment {rows}; use num_envs=1")
        self.env, self._spec, self._bounds = env, spec, (low, high)
        self.metadata = {**self.metadata, "name": type(env).__name__.lower()}
        self.possible_agents = [f"agent_{number}" for number in range(spec.agents)]
        self.agents: list[str] = []
        self._masked = seen.legal is not None
        self._chance = np.random.default_rng()
        self.state_space = spaces.Box(-np.inf, np.inf, (spec.state,), np.float32)
        self.observation_space = cache(self._observation_space)
        self.action_space = cache(self._action_space)

    def _observation_space(self, agent: str) -> spaces.Space[Any]:
        seen = spaces.Box(-np.inf, np.inf, (self._spec.observation,), np.float32)
        if not self._masked:
            return seen
        return spaces.Dict({"observation": seen, "action_mask": spaces.MultiBinary(self._spec.actions)})

    def _action_space(self, agent: str) -> spaces.Space[Any]:
        if self._spec.continuous:
            return spaces.Box(*self._bounds, (self._spec.actions,), np.float32)
        return spaces.Discrete(self._spec.actions)

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Begin an episode; without a seed one is drawn, from those that the last given seed decides."""
        if seed is None:
            seed = int(self._chance.integers(2**32))
        else:
            self._chance = np.random.default_rng(seed)
        task = (options or {}).get("task")
        (info,) = self.env.reset(torch.tensor([0]), torch.tensor([seed]), [task])
        self.agents = self._there()
        return self._observed(self.agents), {agent: dict(info) for agent in self.agents}

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """All agents act.

        Raises:
            ValueError: if one of `agents` does not.
        """
        if lacking := [agent for agent in self.agents if agent not in actions]:
            raise ValueError(f"there is no action of {lacking[0]}; each of {', '.join(self.agents)} needs one")
        spec, acting = self._spec, self.agents
        chosen = np.zeros((1, spec.agents, spec.actions), np.float32) if spec.continuous else np.zeros((1, spec.agents))
        for agent in acting:
            chosen[0, self._number(agent)] = actions[agent]
        outcome = self.env.step(torch.from_numpy(chosen if spec.continuous else chosen.astype(np.int64)))
        over = bool(outcome.ended[0])
        truncated = self._each(outcome.truncated, acting)
        terminated = self._each(outcome.terminated, acting)
        alive = set(self._there())
        for agent in acting:
            terminated[agent] |= (agent not in alive or over) and not truncated[agent]
        self.agents = [agent for agent in acting if not (terminated[agent] or truncated[agent])]
        told: dict[str, Any] = {}
        if over:
            told = {"success": bool(outcome.success[0])}
            told |= {name: float(value[0]) for name, value in outcome.measures.items()}
        rewards = {agent: float(outcome.rewards[0, self._number(agent)]) for agent in acting}
        return self._observed(acting), rewards, terminated, truncated, {agent: dict(told) for agent in acting}

    def state(self) -> NDArray[np.float32]:
        """[Z]."""
        state: NDArray[np.float32] = self.env.view().state[0].numpy()
        return state

    def render(self) -> NDArray[np.uint8]:
        """[H, W, 3]."""
        seen = self.env.view()
        return self.env.picture(seen.state[0], seen.present[0], {})

    def close(self) -> None:
        """Close the batched environment."""
        self.env.close()

    def _observed(self, agents: Sequence[str]) -> dict[str, Any]:
        seen = self.env.view()
        observed: dict[str, Any] = {}
        for agent in agents:
            own = seen.observations[0, self._number(agent)].numpy()
            legal = seen.legal
            mask = None if legal is None else legal[0, self._number(agent)].numpy().astype(np.int8)
            observed[agent] = own if mask is None else {"observation": own, "action_mask": mask}
        return observed

    def _there(self) -> list[str]:
        here = self.env.view().present[0].tolist()
        return [agent for agent, there in zip(self.possible_agents, here, strict=True) if there]

    def _each(self, flags: Tensor, agents: Sequence[str]) -> dict[str, bool]:
        return {agent: bool(flags[0, self._number(agent)]) for agent in agents}

    def _number(self, agent: str) -> int:
        return self.possible_agents.index(agent)
