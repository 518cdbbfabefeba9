"""What `conf/env/pettingzoo.yaml` may say."""

from typing import Any

from pydantic import Field

from agentlab_runner.envs.settings import Settings


class ZooSettings(Settings):
    """See `agentlab_runner.envs.zoo.make.make`."""

    num_envs: int = Field(ge=1)
    id: str = Field(pattern=r"^[A-Za-z_][\w.]*$")
    """Of the module that has the environment."""
    kwargs: dict[str, Any] | None = None
