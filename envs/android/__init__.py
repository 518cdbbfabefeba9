"""Operating a phone by text: Android-in-the-Wild tasks on a simulated phone, an emulator or a handset."""

from typing import Any

import gymnasium

ENV_ID = "agentlab/Android-v0"

gymnasium.register(id=ENV_ID, entry_point="agentlab_runner.envs.android.env:AndroidEnv", disable_env_checker=True)


def make(worker: int = 0, **kwargs: Any) -> "gymnasium.Env[dict[str, Any], str]":
    """The environment of `conf/env/android.yaml` for one worker, through Gymnasium's registry.

    Keyword arguments are those of `envs.android.env.AndroidEnv`; `env.unwrapped` is one.
    """
    return gymnasium.make(ENV_ID, worker=worker, **kwargs)
