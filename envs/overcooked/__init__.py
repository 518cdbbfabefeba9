"""Macro-action Overcooked: one cook prepares a salad by choosing phrases (TWOSOME, arXiv 2401.14151)."""

from typing import Any

import gymnasium

ENV_IDS = {"tomato_salad": "agentlab/TomatoSalad-v0", "tomato_lettuce_salad": "agentlab/TomatoLettuceSalad-v0"}
RELEASED_IDS = {"tomato_salad": "Overcooked-LLMA-v4", "tomato_lettuce_salad": "Overcooked-LLMA-v3"}
"""The names of the original, which others' scripts use."""

for _task in ENV_IDS:
    for _id in (ENV_IDS[_task], RELEASED_IDS[_task]):
        gymnasium.register(
            id=_id,
            entry_point="agentlab_runner.envs.overcooked.env:OvercookedEnv",
            vector_entry_point="agentlab_runner.envs.overcooked.vector:OvercookedVectorEnv",
            disable_env_checker=True,
            kwargs={"task": _task},
        )
    gymnasium.registry[RELEASED_IDS[_task]].name = RELEASED_IDS[_task]  # its number names a task, no newer version


def make(task: str, *, worker: int = 0, **kwargs: Any) -> "gymnasium.Env[dict[str, Any], int]":
    """The environment of `conf/env/overcooked.yaml` for one worker, through Gymnasium's registry.

    Keyword arguments are those of `envs.overcooked.env.OvercookedEnv`; `env.unwrapped` is one.

    Raises:
        ValueError: there is no such task, or an argument is not one of its choices.
    """
    if task not in ENV_IDS:
        raise ValueError(f"unknown task {task!r}; choose one of {', '.join(ENV_IDS)}")
    return gymnasium.make(ENV_IDS[task], worker=worker, **kwargs)
