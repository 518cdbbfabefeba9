"""Tasks on web pages: MiniWoB++ on its stock pages in a real Chromium."""

from typing import Any

import gymnasium

ENV_ID = "agentlab/Miniwob-v0"

gymnasium.register(id=ENV_ID, entry_point="agentlab_runner.envs.miniwob.env:MiniwobEnv", disable_env_checker=True)


def make(*, worker: int = 0, **kwargs: Any) -> "gymnasium.Env[dict[str, Any], str]":
    """The environment of `conf/env/miniwob.yaml` for one worker, through Gymnasium's registry.

    Keyword arguments are those of `envs.miniwob.env.MiniwobEnv`; `env.unwrapped` is one.
    """
    return gymnasium.make(ENV_ID, worker=worker, **kwargs)
