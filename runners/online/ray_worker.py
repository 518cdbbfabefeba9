"""What a rollout worker runs; it imports little, so that one that died is soon replaced."""

from typing import Any

import gymnasium
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from agentlab_runner.runners.types import Observation


class Envs:
    """Some environments, each made when it is first asked for.

    Args:
        env: their config node.
    """

    def __init__(self, env: dict[str, Any]) -> None:
        self.env = env
        self.made: dict[int, gymnasium.Env[Any, Any]] = {}

    def reset(
        self, number: int, seed: int | None, options: dict[str, Any] | None
    ) -> tuple[Observation, dict[str, Any]]:
        if number not in self.made:
            try:
                self.made[number] = instantiate(self.env, worker=number, _convert_="all")
            except InstantiationException as fault:
                raise (fault.__cause__ or fault) from None
        return self.made[number].reset(seed=seed, options=options)

    def step(self, number: int, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.made[number].step(action)
        return observation, float(reward), terminated, truncated, info
