"""Whole episodes kept for learning from again, each distinct frame stored once."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from agentlab_runner.runners.frames import Frame, Frames, Kept
from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory


class TrajectoryReplay:
    """The newest episodes, up to `capacity` steps, the oldest dropped whole; at least one is kept, however long.

    Pictures are kept at rest (see `runners.frames`). Observation, decision and reward of a step are kept, `info` is
    not. With each episode goes a dict of tensors computed once (features, say).
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.episodes: deque[tuple[Trajectory, dict[str, Tensor]]] = deque()
        self._frames = Frames()

    def __len__(self) -> int:
        """Number of steps."""
        return sum(len(trajectory.steps) for trajectory, _ in self.episodes)

    def add(self, trajectory: Trajectory, **tensors: Tensor) -> None:
        """Put in a copy of `trajectory`; make room for it."""
        steps = tuple(Step(self._frames.keep(s.observation), s.decision, s.reward) for s in trajectory.steps)
        kept = Trajectory(
            steps,
            self._frames.keep(trajectory.final_observation),
            trajectory.stop,
            trajectory.success,
            trajectory.seed,
            trajectory.task,
            trajectory.goal,
        )
        self.episodes.append((kept, dict(tensors)))
        while len(self) > self.capacity and len(self.episodes) > 1:
            self.episodes.popleft()

    def state_dict(self) -> dict[str, Any]:
        """Arrays, deflated, each once, and episodes that refer to them by number."""
        numbers: dict[str, int] = {}
        arrays: list[tuple[bytes, str, list[int]]] = []

        def at_rest(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                value = Frame.of(value)
            if not isinstance(value, Frame):
                return value
            if value.name not in numbers:
                numbers[value.name] = len(arrays)
                arrays.append((value.packed, value.dtype, list(value.shape)))
            return {"frame": numbers[value.name]}

        episodes = [
            {
                "observations": [
                    {name: at_rest(value) for name, value in observation.entries.items()}
                    for observation in _observations(trajectory)
                ],
                "decisions": [(s.decision.action, dict(s.decision.extras)) for s in trajectory.steps],
                "rewards": [float(s.reward) for s in trajectory.steps],
                "end": (str(trajectory.stop), trajectory.success, trajectory.seed, trajectory.task, trajectory.goal),
                "tensors": tensors,
            }
            for trajectory, tensors in self.episodes
        ]
        return {"frames": arrays, "episodes": episodes}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave; the capacity stays this one's."""
        frames = [Frame.deflated(packed, dtype, tuple(shape)) for packed, dtype, shape in state["frames"]]
        self.episodes.clear()
        for episode in state["episodes"]:
            seen = [
                Kept({k: frames[v["frame"]] if isinstance(v, Mapping) else v for k, v in o.items()})
                for o in episode["observations"]
            ]
            steps = tuple(
                Step(observation, Decision(action, extras), reward)
                for observation, (action, extras), reward in zip(
                    seen, episode["decisions"], episode["rewards"], strict=False
                )
            )
            stop, *rest = episode["end"]
            self.add(Trajectory(steps, seen[-1], StopReason(stop), *rest), **episode["tensors"])


def _observations(trajectory: Trajectory) -> list[Kept]:
    """Of an episode as `add` has put it in."""
    seen = (*(step.observation for step in trajectory.steps), trajectory.final_observation)
    return [observation for observation in seen if isinstance(observation, Kept)]
