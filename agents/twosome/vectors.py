"""What learners on numeric observations share: the network, actions of the full list, and episodes as tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import torch
from torch import Tensor, nn

from agentlab_runner.agents.rl.phrases import chosen, duration, reward
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.types import Observation, Trajectory


def network(inputs: int, outputs: int, gain: float) -> nn.Sequential:
    """inputs -> 64 -> tanh -> 64 -> tanh -> outputs; orthogonal weights of gain sqrt 2, `gain` in the last layer."""
    layers: list[nn.Module] = []
    for size, following in pairwise((inputs, 64, 64)):
        layers += [_linear(size, following, 2**0.5), nn.Tanh()]
    return nn.Sequential(*layers, _linear(64, outputs, gain))


def _linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def vectors(observations: Sequence[Observation]) -> Tensor:
    """[N, D] float32 of the observations' `vector`.

    Raises:
        UserError: if an observation has none.
    """
    if not all("vector" in observation for observation in observations):
        raise UserError("this agent reads numbers, and the observation has no `vector`; choose an environment with one")
    return torch.stack([torch.as_tensor(observation["vector"], dtype=torch.float32) for observation in observations])


def admissible(observations: Sequence[Observation], num_actions: int) -> Tensor:
    """[N, num_actions] bool.

    Raises:
        UserError: if an id is not below `num_actions`.
    """
    allowed = torch.zeros(len(observations), num_actions, dtype=torch.bool)
    for row, observation in zip(allowed, observations, strict=True):
        ids = [int(i) for i in observation["action_ids"]]
        if not ids or max(ids) >= num_actions:
            raise UserError(
                f"the environment offers the actions {ids}, and agent.num_actions is {num_actions}; set it to how many "
                "there are in all"
            )
        row[ids] = True
    return allowed


@dataclass(frozen=True, slots=True)
class VectorEpisode:
    """T decisions on observations of D numbers, among A actions."""

    seen: Tensor
    """[T + 1, D] float32; the last is what the episode ended in."""
    allowed: Tensor
    """[T, A] bool."""
    actions: Tensor
    """[T] int64."""
    rewards: Tensor
    """[T] float32."""
    durations: Tensor
    """[T] int64, primitive steps each action took."""

    def __len__(self) -> int:
        return len(self.actions)

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def restored(cls, state: Mapping[str, Tensor]) -> "VectorEpisode":
        return cls(**state)


def vector_episode(trajectory: Trajectory, num_actions: int, admissible_only: bool = False) -> VectorEpisode:
    """What a learner on numbers keeps of a trajectory.

    Raises:
        UserError: if an observation has no numbers, a reward is not finite, or an action is not among the `num_actions`
            (among the admissible ones, where only they count).
    """
    steps = trajectory.steps
    for step in steps:
        if admissible_only:
            chosen(step)
        elif not 0 <= step.decision.action < num_actions:
            raise UserError(f"action {step.decision.action} is none of the {num_actions}; set agent.num_actions")
    return VectorEpisode(
        seen=vectors([*(step.observation for step in steps), trajectory.final_observation]),
        allowed=admissible([step.observation for step in steps], num_actions),
        actions=torch.tensor([step.decision.action for step in steps]),
        rewards=torch.tensor([reward(step) for step in steps], dtype=torch.float32),
        durations=torch.tensor([duration(step) for step in steps]),
    )
