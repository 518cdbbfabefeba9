"""Push-Ball of SPC (arXiv 2302.03429), batched: agents push balls onto landmarks."""

from typing import Any

import torch

from agentlab_runner.envs.mpe.settings import PushBallSettings
from agentlab_runner.envs.mpe.sight import Sight
from agentlab_runner.envs.mpe.spread import Covering
from agentlab_runner.envs.mpe.world import Kind


class PushBall(Covering):
    """N agents, N balls and N landmarks; success is that a ball covers every landmark at the last step.

    Not stated in the paper, and so our choice: balls of radius 0.15 and mass 2, landmarks that let everything through,
    a cover radius of 0.3, 60 steps, +4 for all on each step on which all landmarks are covered. The physics are mpe2's;
    the dense reward is Spread's with balls in the place of agents, while collisions are still those of agents.

    Args:
        keys: those of `PushBallSettings`, but for `num_envs`.
    """

    settings: PushBallSettings

    def __init__(self, num_envs: int = 1, device: "torch.device | str" = "cpu", **keys: Any) -> None:
        settings = PushBallSettings(num_envs=num_envs, **keys)
        self.success_reward = settings.success_reward
        count = max(settings.sizes)
        agents, balls = Kind(count, radius=0.15), Kind(count, radius=0.15, mass=2.0)
        super().__init__(settings, device, [agents, balls], Kind(count, solid=False), slice(count, 2 * count))

    def _sight(self) -> Sight:
        count = self.agents
        landmarks, agents, balls = (range(first * count, (first + 1) * count) for first in range(3))
        if (nearest := self.settings.neighbors) is not None:
            return Sight(self.world, count, [], [landmarks, agents, balls], nearest)
        return Sight(self.world, count, [*landmarks, *agents, *balls])
