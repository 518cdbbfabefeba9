"""Whole episodes kept for learning from again, each distinct frame stored once."""

import hashlib
import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from agentlab_runner.runners.types import Decision, Observation, Step, StopReason, Trajectory

Kept = TypeVar("Kept")


class TrajectoryReplay:
    """The newest episodes, up to `capacity` steps, the oldest dropped whole; at least one is kept, however long.

    Arrays in observations are shared between equal frames. Observation, decision and reward of a step are kept, `info`
    is not. With each episode goes a dict of tensors computed once (features, say).
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.episodes: deque[tuple[Trajectory, dict[str, Tensor]]] = deque()
        self._frames: dict[str, NDArray[Any]] = {}
        self._packed: dict[str, bytes] = {}

    def __len__(self) -> int:
        """Number of steps."""
        return sum(len(trajectory.steps) for trajectory, _ in self.episodes)

    def add(self, trajectory: Trajectory, **tensors: Tensor) -> None:
        """Put in a copy of `trajectory`; make room for it."""
        steps = tuple(Step(self._shared(s.observation), s.decision, s.reward) for s in trajectory.steps)
        kept = Trajectory(
            steps,
            self._shared(trajectory.final_observation),
            trajectory.stop,
            trajectory.success,
            trajectory.seed,
            trajectory.task,
            trajectory.goal,
        )
        self.episodes.append((kept, dict(tensors)))
        dropped = False
        while len(self) > self.capacity and len(self.episodes) > 1:
            self.episodes.popleft()
            dropped = True
        if dropped:
            used = {id(a) for t, _ in self.episodes for o in _observations(t) for a in o.values()}
            self._frames = {digest: frame for digest, frame in self._frames.items() if id(frame) in used}
            self._packed = {digest: packed for digest, packed in self._packed.items() if digest in self._frames}

    def _shared(self, observation: Observation) -> dict[str, Any]:
        return {k: self._frame(v) if isinstance(v, np.ndarray) else v for k, v in observation.items()}

    def _frame(self, array: NDArray[Any]) -> NDArray[Any]:
        digest = frame_digest(array)
        if digest not in self._frames:
            frame = array.copy()
            frame.flags.writeable = False
            self._frames[digest] = frame
        return self._frames[digest]

    def state_dict(self) -> dict[str, Any]:
        """Frames (deflated: screens shrink some twentyfold) and episodes that refer to them by number."""
        index = {id(frame): i for i, frame in enumerate(self._frames.values())}
        return {
            "frames": [
                (self._pack(digest, frame), str(frame.dtype), list(frame.shape))
                for digest, frame in self._frames.items()
            ],
            "episodes": [
                {
                    "observations": [
                        {k: {"frame": index[id(v)]} if isinstance(v, np.ndarray) else v for k, v in o.items()}
                        for o in _observations(trajectory)
                    ],
                    "decisions": [(s.decision.action, dict(s.decision.extras)) for s in trajectory.steps],
                    "rewards": [float(s.reward) for s in trajectory.steps],
                    "end": (
                        str(trajectory.stop),
                        trajectory.success,
                        trajectory.seed,
                        trajectory.task,
                        trajectory.goal,
                    ),
                    "tensors": tensors,
                }
                for trajectory, tensors in self.episodes
            ],
        }

    def _pack(self, digest: str, frame: NDArray[Any]) -> bytes:
        """Each frame is deflated once, however many checkpoints hold it."""
        if digest not in self._packed:
            self._packed[digest] = zlib.compress(frame.tobytes(), level=1)
        return self._packed[digest]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave; the capacity stays this one's."""
        frames = [
            np.frombuffer(zlib.decompress(packed), dtype).reshape(shape) for packed, dtype, shape in state["frames"]
        ]
        self._frames.clear()
        self.episodes.clear()
        for episode in state["episodes"]:
            seen = [
                {k: frames[v["frame"]] if isinstance(v, Mapping) else v for k, v in o.items()}
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


def frame_digest(array: NDArray[Any]) -> str:
    """Names an array by its content, shape and type."""
    header = f"{array.dtype}{array.shape}".encode()
    return hashlib.blake2b(header + np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


def _observations(trajectory: Trajectory) -> Iterable[Observation]:
    return (*(step.observation for step in trajectory.steps), trajectory.final_observation)
