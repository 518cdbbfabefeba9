"""Any registered BrowserGym task, in a process of its own."""

from typing import Any

import gymnasium

ENV_ID = "agentlab/BrowserGym-v0"

gymnasium.register(
    id=ENV_ID, entry_point="agentlab_runner.envs.browsergym.env:BrowserGymEnv", disable_env_checker=True
)


def make(*, worker: int = 0, **kwargs: Any) -> "gymnasium.Env[dict[str, Any], str]":
    """The environment of `conf/env/browsergym.yaml` for one worker, through Gymnasium's registry.

    Keyword arguments are those of `envs.browsergym.env.BrowserGymEnv`; `env.unwrapped` is one.
    """
    return gymnasium.make(ENV_ID, worker=worker, **kwargs)
