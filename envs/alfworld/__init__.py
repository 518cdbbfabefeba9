"""Household tasks by text commands: ALFWorld on its PDDL engine, or on a pure-Python twin of it."""

from typing import Any

import gymnasium

ENV_ID = "agentlab/Alfworld-v0"

gymnasium.register(id=ENV_ID, entry_point="agentlab_runner.envs.alfworld.env:AlfworldEnv", disable_env_checker=True)


def make(*, worker: int = 0, **kwargs: Any) -> "gymnasium.Env[dict[str, Any], str]":
    """The environment of `conf/env/alfworld.yaml` for one worker, through Gymnasium's registry.

    Keyword arguments are those of `envs.alfworld.env.AlfworldEnv`; `env.unwrapped` is one.
    """
    return gymnasium.make(ENV_ID, worker=worker, **kwargs)
