"""A room to tidy up in two right steps, told in words and in numbers; for tests of agents that choose phrases."""

import io
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from agentlab_runner.runners.types import Trajectory

PHRASES = ("pick up the bowl", "walk to the bedroom", "walk to the living room", "pick up the book")


class Tidy(gymnasium.Env[dict[str, Any], int]):
    """Pick up the bowl, then walk to the bedroom: 1, else 0; six decisions at most.

    Walking takes three primitive steps. With the bowl in hand nothing else can be picked up.
    """

    metadata = {"render_modes": []}  # noqa: RUF012
    actions_total = len(PHRASES)

    def __init__(self, worker: int = 0) -> None:
        self.observation_space = spaces.Dict({"vector": spaces.Box(0, 1, (2,), np.float32)})
        self.action_space = spaces.Discrete(len(PHRASES))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.held, self.away, self.decisions = False, False, 0
        return self._observe(), {"task": "tidy", "goal": "tidy up"}

    def step(self, action):
        assert action in self._admissible()
        self.decisions += 1
        walks = action in (1, 2)
        success = self.held and action == 1
        self.held = self.held or action == 0
        self.away = walks and not success
        info = {"success": success, "steps": 3 if walks else 1, "parsed": PHRASES[action], "parse_failed": False}
        return self._observe(), float(success), success, not success and self.decisions == 6, info | {"marks": []}

    def _admissible(self):
        return (1, 2) if self.held else (0, 1, 2, 3)

    def _observe(self):
        holding = "You hold the bowl." if self.held else "There is a bowl and a book in the kitchen."
        place = "living room" if self.away else "kitchen"
        return {
            "text": f"You walk to the {place}. {holding} To tidy up, you should",
            "actions": tuple(PHRASES[i] for i in self._admissible()),
            "action_ids": self._admissible(),
            "vector": np.array([self.held, self.away], np.float32),
        }


def length(trajectories: list[Trajectory]) -> float:
    """Mean decisions an episode; what fails takes six."""
    return sum(len(trajectory.steps) for trajectory in trajectories) / len(trajectories)


def stored(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state as a checkpoint gives it back."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded
