"""Household tasks on VirtualHome's graph: Food Preparation, Entertainment and their unseen likes (TWOSOME)."""

from collections.abc import Sequence
from typing import Any

import gymnasium

ENV_ID = "agentlab/VirtualHome-v0"
RELEASED_IDS = {"VirtualHome-v1": "food_preparation", "VirtualHome-v2": "entertainment"}
"""The names of the original, which others' scripts use."""

for _id, _kwargs in ((ENV_ID, {}), *((name, {"task": task}) for name, task in RELEASED_IDS.items())):
    gymnasium.register(
        id=_id,
        entry_point="agentlab_runner.envs.virtualhome.env:VirtualHomeEnv",
        disable_env_checker=True,
        kwargs=_kwargs,
    )
for _id in RELEASED_IDS:
    gymnasium.registry[_id].name = _id  # its number names a task, no newer version


def make(task: str | Sequence[str], *, worker: int = 0, **kwargs: Any) -> "gymnasium.Env[dict[str, Any], Any]":
    """The environment of `conf/env/virtualhome.yaml` for one worker, through Gymnasium's registry.

    Keyword arguments are those of `envs.virtualhome.env.VirtualHomeEnv`; `env.unwrapped` is one.

    Raises:
        ValueError: there is no such task, or an argument is not one of its choices.
        ConnectionError: the real simulator cannot be reached.
    """
    return gymnasium.make(ENV_ID, task=task, worker=worker, **kwargs)
