"""Mind2Web (arXiv 2306.06070), offline: what a person did on a web site, step by step, and what a model would do."""

from typing import Any

import gymnasium

ENV_ID = "agentlab/Mind2Web-v0"

gymnasium.register(
    id=ENV_ID, entry_point="agentlab_runner.envs.mind2web.env:Mind2WebEnv", disable_env_checker=True
)


def make(*, worker: int = 0, **kwargs: Any) -> "gymnasium.Env[dict[str, Any], str]":
    """The environment of `conf/env/mind2web.yaml` for one worker, through Gymnasium's registry.

    Keyword arguments are those of `envs.mind2web.env.Mind2WebEnv`; `env.unwrapped` is one.
    """
    return gymnasium.make(ENV_ID, worker=worker, **kwargs)
