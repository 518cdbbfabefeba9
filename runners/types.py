"""The nouns that flow through the house: observation, decision, step, trajectory, metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Observation = Mapping[str, Any]
"""What an environment shows: `{"text": str, "image": uint8 [H, W, 3], ...}`; an adapter documents its own keys."""


class StopReason(StrEnum):
    """Why an episode ended."""

    SUCCESS = "success"
    FAILURE = "failure"          # the environment ended the episode and the task was not done
    HORIZON = "horizon"          # truncated by the step limit
    DEVICE_LOST = "device_lost"  # the device or simulator went away; does not count as a failure


@dataclass(frozen=True, slots=True)
class Decision:
    """What an agent chose for one observation."""

    action: Any
    """Exactly what `env.step` receives."""
    extras: Mapping[str, Any] = field(default_factory=dict)
    """What the learner needs later: tokens, log-probs, value."""


@dataclass(frozen=True, slots=True)
class Step:
    """One observation, what was decided on it, and what came of it."""

    observation: Observation
    decision: Decision
    reward: float
    """Undiscounted, as the environment gave it."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """What the environment said of this step: `parsed` (canonical action text, None if unparsable), `marks` (below)."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One episode."""

    steps: tuple[Step, ...]
    final_observation: Observation
    stop: StopReason
    success: bool
    seed: int
    task: str
    """Name of the task template, for per-task tables."""
    goal: str = ""
    level: int = 0
    """Difficulty of the task, 1 upwards; 0 where the environment has no levels."""

    @property
    def total_reward(self) -> float:
        return sum(step.reward for step in self.steps)

    @property
    def episode_return(self) -> float:
        """What the environment calls the episode's return (`episode_return` of its last info), else `total_reward`."""
        stated = self.steps[-1].info.get("episode_return") if self.steps else None
        return self.total_reward if stated is None else float(stated)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts between edges."""

    counts: tuple[int, ...]
    edges: tuple[float, ...]
    """One longer than `counts`."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image worth looking at, kept as PNG in the run's media folder."""

    pixels: NDArray[np.uint8]
    """[H, W, 3]."""
    caption: str = ""


Metrics = Mapping[str, float | Histogram | Picture]
"""What learning or evaluation reports, by name (`eval/success`, `causal/acc`, ...)."""
