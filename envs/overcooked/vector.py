"""Many kitchens as a `gymnasium.vector.VectorEnv`: every macro action from every state is played once and looked up."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from agentlab_runner.envs.overcooked.env import HORIZON, STEP_DISCOUNT, make_kitchen, observation, reward_scale
from agentlab_runner.envs.overcooked.kitchen import State
from agentlab_runner.envs.overcooked.macros import play
from agentlab_runner.envs.overcooked.views import vector_bound
from agentlab_runner.envs.spaces import AnyText

UNKNOWN = -1
GROWTH = 1024
"""Rows by which the tables grow."""


class OvercookedVectorEnv(VectorEnv[dict[str, Any], NDArray[np.int64], NDArray[Any]]):
    """N kitchens that go step for step like N `OvercookedEnv`, without pictures.

    The kitchen leaves nothing to chance, so what a macro action does in a state (its steps, rewards, next state) is a
    row of a table, filled when it first happens; a step of all N is then a look into it.

    Observations hold `text`, `actions` and `action_ids` (tuples of N), `vector` (float32 [N, D]). An episode that ends
    is followed by a new one in the same step; its last observation is then in `infos["final_obs"]`, an object array
    with None where none ended. The infos speak of the step just made: `steps` int [N], `success` bool [N].

    Args:
        task, room, radius, rewards, horizon, strict_original, order: as of `envs.overcooked.env.OvercookedEnv`.
        num_envs: N.

    Raises:
        ValueError: an argument is not one of its choices.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        task: str = "tomato_salad",
        num_envs: int = 1,
        room: str = "A",
        radius: int = 2,
        rewards: str | Sequence[float] = "twosome",
        horizon: int = HORIZON,
        strict_original: bool = False,
        order: str = "",
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; give at least 1")
        self.kitchen = make_kitchen(task, room, radius, order)
        self.rewards = reward_scale(rewards)
        self.num_envs, self.horizon, self.strict_original = num_envs, horizon, strict_original
        self.macros = self.kitchen.layout.macros
        bound = vector_bound(self.kitchen.layout)
        self.single_action_space = spaces.Discrete(len(self.macros))
        self.action_space = batch_space(self.single_action_space, num_envs)
        text = AnyText(1 << 10)
        vector = spaces.Box(np.zeros_like(bound), bound)
        self.single_observation_space = spaces.Dict(
            {
                "text": text,
                "actions": spaces.Sequence(AnyText(100)),
                "action_ids": spaces.Sequence(self.single_action_space),
                "vector": vector,
            }
        )
        self.observation_space = spaces.Dict(
            {
                "text": spaces.Tuple([text] * num_envs),
                "actions": spaces.Tuple([spaces.Sequence(AnyText(100))] * num_envs),
                "action_ids": spaces.Tuple([spaces.Sequence(self.single_action_space)] * num_envs),
                "vector": batch_space(vector, num_envs),
            }
        )
        self._states: list[State] = []
        self._number: dict[State, int] = {}
        self._seen: list[dict[str, Any]] = []
        width = len(self.macros)
        self._next = np.zeros((0, width), dtype=np.int64)
        self._steps = np.zeros((0, width), dtype=np.int64)
        self._reward = np.zeros((0, width))
        self._delivers = np.zeros((0, width), dtype=bool)
        self._vectors = np.zeros((0, len(bound)), dtype=np.float32)
        self._start = self._row(self.kitchen.start())

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """All kitchens begin alike; a seed changes nothing."""
        self._at = np.full(self.num_envs, self._start)
        self._clock = np.zeros(self.num_envs, dtype=np.int64)
        return self._observe(self._at), {}

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[dict[str, Any], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,) or not ((actions >= 0) & (actions < len(self.macros))).all():
            raise ValueError(
                f"give {self.num_envs} indices of 0 to {len(self.macros) - 1}, not {actions.tolist()!r:.100}"
            )
        for row, action in {(r, a) for r, a in zip(self._at.tolist(), actions.tolist(), strict=True)}:
            if self._next[row, action] == UNKNOWN:
                self._learn(row, action)
        before = self._at
        reward, steps = self._reward[before, actions], self._steps[before, actions]
        success = self._delivers[before, actions]
        at, clock = self._next[before, actions], self._clock + steps
        if not self.strict_original:
            for late in np.flatnonzero(clock > self.horizon):
                allowed = int(self.horizon - self._clock[late])
                cut = self._play(int(before[late]), int(actions[late]), allowed)
                at[late], reward[late], steps[late], success[late] = cut
                clock[late] = self.horizon
        truncated = ~success & (clock >= self.horizon)
        ended = success | truncated
        infos: dict[str, Any] = {"steps": steps, "success": success}
        if ended.any():
            final = np.full(self.num_envs, None, dtype=object)
            for i in np.flatnonzero(ended):
                final[i] = dict(self._seen[at[i]])
            infos |= {"final_obs": final, "_final_obs": ended}
        self._at, self._clock = np.where(ended, self._start, at), np.where(ended, 0, clock)
        return self._observe(self._at), reward, success, truncated, infos

    def _row(self, state: State) -> int:
        """The table's row of a state, a new one if need be."""
        if state not in self._number:
            row = self._number[state] = len(self._states)
            self._states.append(state)
            self._seen.append(observation(self.kitchen, state))
            if row == len(self._next):
                self._next = np.concatenate([self._next, np.full((GROWTH, len(self.macros)), UNKNOWN)])
                for name in ("_steps", "_reward", "_delivers", "_vectors"):
                    table = getattr(self, name)
                    setattr(self, name, np.concatenate([table, np.zeros((GROWTH, table.shape[1]), table.dtype)]))
            self._vectors[row] = self._seen[row]["vector"]
        return self._number[state]

    def _learn(self, row: int, action: int) -> None:
        state, *what = self._play(row, action, None)
        self._next[row, action] = state
        self._reward[row, action], self._steps[row, action], self._delivers[row, action] = what

    def _play(self, row: int, action: int, allowed: int | None) -> tuple[int, float, int, bool]:
        """Next row, reward, primitive steps and whether it delivered, cut off after `allowed` steps."""
        reward, steps, delivered, state = 0.0, 0, False, self._states[row]
        for after, event in play(self.kitchen, state, self.macros[action]):
            state = after
            reward += STEP_DISCOUNT**steps * self.rewards.of(event, self.kitchen.dish)
            steps += 1
            delivered = event.kind == "delivered"
            if steps == allowed:
                break
        return self._row(state), reward, steps, delivered

    def _observe(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        seen = [self._seen[row] for row in rows.tolist()]
        return {
            "text": tuple(one["text"] for one in seen),
            "actions": tuple(one["actions"] for one in seen),
            "action_ids": tuple(one["action_ids"] for one in seen),
            "vector": self._vectors[rows],
        }
