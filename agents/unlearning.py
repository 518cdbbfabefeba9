"""The ground of agents that learn nothing, so that whatever plays learning agents plays them too."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentlab_runner.runners.types import Metrics, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.runners.experiment import Trainer


class Unlearning:
    """A `LearningAgent` that stays as it is; whoever inherits writes `act`, and the rest where it does something."""

    def setup(self, trainer: "Trainer") -> None:
        """Nothing to optimise."""

    def begin(self, episodes: Sequence[int]) -> None:
        """Nothing is remembered between steps."""

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        """Nothing is remembered between steps."""

    def learn(self, trajectories: Sequence[Trajectory], trainer: "Trainer") -> Metrics:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing was learnt."""
