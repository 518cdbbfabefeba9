"""No curriculum, as an object."""

from collections.abc import Mapping, Sequence
from typing import Any

from agentlab_runner.runners.experiment import Learner
from agentlab_runner.runners.types import Metrics, Trajectory


class NoCurriculum:
    """Every episode is of what the environments are about."""

    target_episodes = 0

    def setup(self, tasks: Mapping[str, Mapping[str, float]], seed: int) -> None: ...

    def propose(self, count: int) -> Sequence[str] | None:
        return None

    def feedback(self, trajectories: Sequence[Trajectory], target: Sequence[Trajectory], agent: Learner) -> Metrics:
        return {}

    def state_dict(self) -> Mapping[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...
