"""What a rollout worker runs; it imports little, so that one that died is soon replaced."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentlab_runner.runners.config.modules import find_modules
from agentlab_runner.runners.online.contract import Outcome, begun, check, stepped

if TYPE_CHECKING:
    import gymnasium

    from agentlab_runner.runners.types import Observation


class Envs:
    """Some environments, each made when it is opened or first asked for.

    Args:
        env: their config node.
        modules: where the user's own modules are found.
        added: the folder that Ray has put before all others, and that is not to stand there.
    """

    def __init__(self, env: dict[str, Any], modules: Sequence[str] = (), added: str | None = None) -> None:
        if sys.path[0] == added:
            del sys.path[0]
        find_modules(modules)
        self.env = env
        self.made: dict[int, gymnasium.Env[Any, Any]] = {}

    def open(self, number: int) -> None:
        """Make the environment with this number, so that what it refuses is told; the first asks for all."""
        from hydra.errors import InstantiationException
        from hydra.utils import instantiate

        if number in self.made:
            return
        try:
            self.made[number] = instantiate(self.env, worker=number, _convert_="all")
        except InstantiationException as fault:
            raise (fault.__cause__ or fault) from None
        if len(self.made) == 1:
            check(self.made[number])

    def reset(
        self, number: int, seed: int | None, options: dict[str, Any] | None
    ) -> "tuple[Observation, Mapping[str, Any]]":
        self.open(number)
        return begun(self.made[number], self.made[number].reset(seed=seed, options=options))

    def step(self, number: int, action: Any) -> "Outcome":
        return stepped(self.made[number], self.made[number].step(action))
